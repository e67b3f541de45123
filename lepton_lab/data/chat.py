"""Columns of chats: a list of messages a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .cells import Cells, Column, Mask, blank, kind_of, one_array, parse_lists
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
    values, missing, wrong = _read_all(rows)
    for problem, numbers in wrong.items():
        notes.error(
            f"chats of the {column.split} data cannot be learnt: {problem}",
            name_rows(numbers),
            _DO,
            column.where,
        )
    if wrong:
        return None
    if len(missing) and missing.all():
        notes.error(
            f"the column {column.name!r} of the {column.split} data is empty",
            f"{len(missing):,} rows without a chat",
            "Name another column with --messages-column.",
            column.where,
        )
        return None
    return Cells(values, missing)


def _read_all(rows: pa.Array | list[Any]) -> tuple[pa.Array, Mask, dict[str, list[int]]]:
    """Canonical chats, the rows to leave out, and the rows that are wrong by what is wrong with them.

    Rows that are in order already are checked and taken as arrays; only the others one by one.
    """
    plain = _plain_chats(rows) if isinstance(rows, pa.Array) else None
    fine: Mask = np.zeros(len(rows), dtype=bool) if plain is None else plain[1]
    odd = np.flatnonzero(~fine)
    values = rows.take(pa.array(odd)).to_pylist() if isinstance(rows, pa.Array) else rows
    chats: list[list[dict[str, str]] | None] = []
    wrong: dict[str, list[int]] = {}
    for number, row in zip(odd.tolist(), values, strict=True):
        chat, problem = _read_chat(row)
        chats.append(chat)
        if problem:
            wrong.setdefault(problem, []).append(number)
    missing: Mask = np.zeros(len(rows), dtype=bool)
    missing[odd] = [chat is None for chat in chats]
    found = pa.array(chats, MESSAGES)
    if plain is not None:
        order = np.empty(len(rows), dtype=np.int64)
        order[np.flatnonzero(fine)] = np.arange(len(plain[0]))
        order[odd] = len(plain[0]) + np.arange(len(odd))
        found = pa.concat_arrays([plain[0], found]).take(pa.array(order))
    return found, missing, wrong


def _rows(column: Column) -> pa.Array | list[Any] | None:
    """The chats as they came: an array of lists of objects, or Python values; None if they are neither."""
    kind = kind_of(column.values.type)
    if kind == "list" and kind_of(column.values.type.value_type) in ("struct", "empty"):
        return one_array(column.values)
    if kind == "text":
        parsed = parse_lists(column.values)
        if parsed is None:
            return None
        try:
            return pa.array(parsed)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return parsed
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


def _plain_chats(rows: pa.Array) -> tuple[pa.Array, Mask] | None:
    """The rows that need no mending, in canonical form, and which they are. None if none can be told so.

    A row is plain when it has known roles, text that is not blank, and its turns in order.
    """
    if kind_of(rows.type) != "list" or kind_of(rows.type.value_type) != "struct":
        return None
    names = {field.name: kind_of(field.type) for field in rows.type.value_type}
    role_name = "role" if "role" in names else "from"
    content_name = "content" if "content" in names else "value"
    if names.get(role_name) != "text" or names.get(content_name) != "text":
        return None
    lengths = pc.fill_null(pc.list_value_length(rows), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    messages = rows.flatten()
    contents = pc.struct_field(messages, content_name).cast(pa.string())
    known = pc.index_in(pc.utf8_lower(pc.struct_field(messages, role_name).cast(pa.string())), pa.array(list(_ROLES)))
    codes = np.array([("system", "user", "assistant").index(role) for role in _ROLES.values()] + [-1])
    roles = codes[pc.fill_null(known, len(_ROLES)).to_numpy(zero_copy_only=False)]
    starts = np.cumsum(lengths) - lengths
    row_of = np.repeat(np.arange(len(rows)), lengths)
    opens = np.zeros(len(rows), dtype=np.int64)
    filled = lengths > 0
    opens[filled] = roles[starts[filled]] == 0
    turn = np.arange(len(roles)) - starts[row_of] - opens[row_of]
    wrong = (roles != np.where(turn < 0, 0, 1 + turn % 2)) | blank(contents)
    fine = np.bincount(row_of, wrong, len(rows)) == 0
    turns = lengths - opens
    fine &= (turns > 0) & (turns % 2 == 0)
    keep = fine[row_of]
    kept = pa.StructArray.from_arrays(
        [pa.array(["system", "user", "assistant"]).take(pa.array(roles[keep])), contents.filter(pa.array(keep))],
        fields=list(MESSAGES.value_type),
    )
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths[fine])]), pa.int32())
    return pa.ListArray.from_arrays(offsets, kept).cast(MESSAGES), fine
