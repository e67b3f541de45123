"""``sample:faq``: short questions, each with its answer.

The source is the English part of the ChatterBot corpus: 21 files, a topic each. Entries of
exactly two lines are a question and an answer: 1,946, most of them copies (the 1,050 entries on
technical support are ten). Longer entries are dialogues or lists of alternatives and are left
out. So is a question that was there before, and a pair whose answer was there before: 649
pairs are left, and no text occurs in two splits, so no answer of the test split can be known by heart.
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
