"""Columns of chats: a list of messages a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .cells import Cells, Column, kind_of, parse_lists
from .notes import Notes, name_rows

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bard": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
_DO = "Make each row: an optional system message, then user and assistant in turn, ending with assistant."


def read_chats(column: Column, notes: Notes) -> Cells | None:
    """The column as lists of ``{role, content}``. None after an error.

    Takes ``role``/``content`` and ``from``/``value`` (``human``, ``gpt``), as lists or as JSON text.
    Rows without messages, or with an empty question or answer, are missing.
    """
    rows = _rows(column)
    if rows is None:
        example = next((value for value in column.values[:100].to_pylist() if value is not None), "")
        notes.error(
            f"the column {column.name!r} must hold chats, a list of messages a row",
            f"{column.kind}, such as {str(example)[:60]!r}",
            'Make each row a list such as [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], '
            "or set --messages-column.",
            column.where,
        )
        return None
    chats: list[list[dict[str, str]] | None] = []
    wrong: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        chat, problem = _read_chat(row)
        chats.append(chat)
        if problem:
            wrong.setdefault(problem, []).append(number)
    for problem, numbers in wrong.items():
        notes.error(
            f"chats of the {column.split} data cannot be learnt: {problem}",
            name_rows(numbers),
            _DO,
            column.where,
        )
    if wrong:
        return None
    missing = np.array([chat is None for chat in chats], dtype=bool)
    if len(missing) and missing.all():
        notes.error(
            f"the column {column.name!r} of the {column.split} data is empty",
            f"{len(missing):,} rows without a chat",
            "Name another column with --messages-column.",
            column.where,
        )
        return None
    return Cells(pa.array(chats, MESSAGES), missing)


def _rows(column: Column) -> list[Any] | None:
    kind = kind_of(column.values.type)
    if kind == "list" and kind_of(column.values.type.value_type) in ("struct", "empty"):
        rows: list[Any] = column.values.to_pylist()
        return rows
    if kind == "list" and kind_of(column.values.type.value_type) == "text":
        # Lists of JSON objects as text: what some exports make of nested rows.
        nested = [
            None if row is None else parse_lists(pa.chunked_array([["[" + ",".join(row) + "]"]]))
            for row in column.values.to_pylist()
        ]
        return None if any(row is None for row in nested) else [row[0] for row in nested if row]
    if kind == "text":
        return parse_lists(column.values)
    if kind == "empty":
        return [None] * len(column.values)
    return None


def _read_chat(row: Any) -> tuple[list[dict[str, str]] | None, str]:
    """The chat in canonical form (None: leave the row out), and what is wrong with it."""
    if not row:
        return None, ""
    chat = []
    for message in row:
        if not isinstance(message, dict):
            return None, "a message is not an object with role and content"
        role = message.get("role", message.get("from"))
        content = _text_of(message.get("content", message.get("value")))
        if role is None:
            return None, "a message has no role"
        known = _ROLES.get(str(role).strip().casefold())
        if known is None:
            return None, f"the role {str(role)!r} is not system, user or assistant"
        if content is None:
            return None, "a message's content is not text"
        if known == "system" and not content.strip():
            continue
        chat.append({"role": known, "content": content})
    roles = [message["role"] for message in chat]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns:
        return None, "there is no question and answer"
    if turns[-1] != "assistant":
        return None, "the last message is not the assistant's"
    if len(turns) % 2 or any(role != ("user", "assistant")[place % 2] for place, role in enumerate(turns)):
        return None, "user and assistant do not take turns"
    if any(not message["content"].strip() for message in chat):
        return None, ""
    return chat, ""


def _text_of(content: Any) -> str | None:
    """Text, or parts of which all are text; None for pictures and the like."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    return None
