"""Finds out before a model loads whether anything is left to learn: text generation without torch.

Needs the model folder's ``tokenizer.json``; a folder without one (a hub name, a slow tokenizer) is
not checked here, and the worker's preflight, which has the real tokenizer, finds the same.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError, Problem
from .splits import Splits

# The rows with the shortest questions decide whether anything is left; the others are sampled.
_SHORTEST = 64
_SAMPLE = 256
_SHARE_WORTH_A_WARNING = 0.05


def check_masks(splits: Splits, model_dir: Path, max_length: int, completion_only: bool) -> list[Problem]:
    """Warnings about answers that ``max_length`` tokens leave no room for.

    Rows are rendered with the model's chat template where it has one, as training does, and cut at
    the end; with ``completion_only`` only answers are learnt. Raises :class:`DataError` when no
    token of any answer is left. Returns nothing where there is nothing to check.
    """
    tokenizer_file = Path(model_dir) / "tokenizer.json"
    columns = splits.train.column_names
    if not completion_only or not tokenizer_file.is_file() or "text" in columns or not len(splits.train):
        return []
    if "messages" not in columns and "completion" not in columns:
        return []
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    render = _Renderer(Path(model_dir))
    rows, count = _pick_rows(splits.train)
    heads = [render(row) for row in rows]
    lengths = np.array([len(each.ids) for each in tokenizer.encode_batch(heads, add_special_tokens=not render.chat)])
    needed = int(lengths.min()) + 1
    if needed > max_length:
        raise DataError(
            Problem(
                "every token of every answer would be masked, so there is nothing to learn",
                f"questions of at least {lengths.min():,} tokens with --max-length {max_length}",
                f"Set --max-length to more than {needed}, at best {_round_up(int(np.quantile(lengths, 0.95)) * 2)}, "
                "or shorten the questions; --no-completion-only-loss learns the questions too.",
                "data.max_length",
            )
        )
    share = float(np.mean(lengths[count:] >= max_length)) if len(lengths) > count else 0.0
    if share < _SHARE_WORTH_A_WARNING:
        return []
    return [
        Problem(
            f"about {share:.0%} of the training rows have a question that fills the whole length",
            f"--max-length {max_length}",
            "Nothing is learnt from them; set a larger --max-length.",
            "data.max_length",
        )
    ]


class _Renderer:
    """Everything of a row before its first answer, as text."""

    def __init__(self, folder: Path) -> None:
        self.template, self.words = _read_template(folder)
        self.chat = self.template is not None

    def __call__(self, row: dict[str, Any]) -> str:
        if "messages" in row:
            messages = row["messages"]
            first = next((place for place, each in enumerate(messages) if each["role"] == "assistant"), len(messages))
            messages = messages[:first]
        else:
            messages = [{"role": "user", "content": row["prompt"]}]
        if self.template is None:
            return "\n".join(message["content"] for message in messages)
        return str(self.template.render(messages=messages, add_generation_prompt=True, **self.words))


def _read_template(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The compiled chat template (None: there is none) and the special words that it may use."""
    config = _read_json(folder / "tokenizer_config.json")
    words = {**_read_json(folder / "special_tokens_map.json"), **config}
    special = {
        name: word["content"] if isinstance(word, dict) else word
        for name, word in words.items()
        if name.endswith("_token") and isinstance(word, (str, dict))
    }
    file = folder / "chat_template.jinja"
    text = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
    if isinstance(text, list):
        text = next((each.get("template") for each in text if each.get("name") == "default"), None)
    if not isinstance(text, str):
        return None, {}
    return _compile(text), special


def _compile(text: str) -> Any:
    """The template, as transformers compiles it: sandboxed, with its few functions."""
    from jinja2 import TemplateError, TemplateSyntaxError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):  # type: ignore[misc]
        """``{% generation %}`` marks answers; here it is only passed through."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=False, **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    try:
        return environment.from_string(text)
    except TemplateSyntaxError:
        # A template of another kind; the worker's tokenizer will say so.
        return None


def _pick_rows(table: pa.Table) -> tuple[list[dict[str, Any]], int]:
    """The rows with the shortest questions by characters, then a sample; and how many the first are."""
    if "messages" in table.column_names:
        chats = table.column("messages").to_pylist()
        sizes = np.array([_question_size(chat) for chat in chats])
    else:
        sizes = pc.utf8_length(table.column("prompt")).to_numpy()
    shortest = np.argsort(sizes, kind="stable")[:_SHORTEST]
    spread = np.unique(np.linspace(0, table.num_rows - 1, min(_SAMPLE, table.num_rows)).astype(np.int64))
    rows: list[dict[str, Any]] = table.take(pa.array(np.concatenate([shortest, spread]))).to_pylist()
    return rows, len(shortest)


def _question_size(chat: list[dict[str, str]]) -> int:
    size = 0
    for message in chat:
        if message["role"] == "assistant":
            break
        size += len(message["content"])
    return size


def _round_up(length: int) -> int:
    return max(64, -(-length // 64) * 64)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
