"""``sample:faq``: short questions, each with its answer.

The source is the English part of the ChatterBot corpus: 21 files, a topic each. Entries of
exactly two lines are a question and an answer (1,946, many of them copies: the 1,050
entries on technical support are a few dozen). Longer entries are dialogues or lists of alternatives and are
left out. A question that was there before is left out, and so is a pair whose answer was
there before: no text occurs in two splits, so a model cannot have learnt an answer of the test split by heart.
Each split holds its share of each topic.
"""

from __future__ import annotations

from typing import Any

from .splitting import plain, unique

TOPICS = (
    "ai",
    "botprofile",
    "coding",
    "computers",
    "conversations",
    "emotion",
    "food",
    "gossip",
    "greetings",
    "health",
    "history",
    "humor",
    "literature",
    "money",
    "movies",
    "politics",
    "psychology",
    "science",
    "sports",
    "tech_support",
    "trivia",
)


def read_faq(files: dict[str, bytes]) -> list[dict[str, object]]:
    """Rows of ``prompt`` and ``completion``, with the topic as ``stratum``."""
    import yaml

    rows: list[dict[str, object]] = []
    for topic in TOPICS:
        document: Any = yaml.safe_load(files[f"{topic}.yml"].decode("utf-8"))
        for entry in document["conversations"]:
            if len(entry) == 2:
                prompt, completion = (str(each).strip() for each in entry)
                rows.append({"prompt": prompt, "completion": completion, "stratum": topic})
    rows = [row for row in rows if plain(str(row["prompt"])) and plain(str(row["completion"]))]
    rows = unique(rows, lambda row: plain(str(row["prompt"])))
    return unique(rows, lambda row: plain(str(row["completion"])))
