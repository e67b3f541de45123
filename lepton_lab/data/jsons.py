"""Reads JSON and JSON lines."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.json

from .notes import Notes, name_values
from .split_names import split_of
from .tabling import array_of, table_of_rows

_LARGEST_BLOCK = 1 << 30


def read_json(
    content: pa.Buffer, kind: str, name: str, where: str, notes: Notes, whole: bool
) -> dict[str, pa.Table] | None:
    """Tables by split from UTF-8 ``content``. None after an error.

    Takes one object a line, a list of objects, an object of equally long columns, and an object
    that holds such a list under one key (``data``) or under split names (``train``, ``test``).
    ``whole`` is False when ``content`` may end within a row.
    """
    start = bytes(content[: min(4096, len(content))]).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] == b"{":
        if kind == "jsonl" or _is_lines(start):
            table = _read_lines(content, name, where, notes, whole)
            return None if table is None else {"train": table}
    elif start[:1] != b"[":
        notes.error(
            f"{name} is not JSON", f"a start of {start[:40].decode(errors='replace')!r}",
            "Give a list of objects, or one object a line.", where,
        )  # fmt: skip
        return None
    try:
        value = json.loads(memoryview(content).tobytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if start[:1] == b"{" and "Extra data" in str(error):
            table = _read_lines(content, name, where, notes, whole)
            return None if table is None else {"train": table}
        notes.error(f"{name} is not whole JSON", str(error), "Mend it at that place.", where)
        return None
    tables = _tables_of(value)
    if tables is None:
        notes.error(
            f"{name} must hold rows",
            f"{_shape(value)}",
            'Give a list of objects such as [{"text": "…", "label": "…"}], or one object a line.',
            where,
        )
    return tables


def _is_lines(start: bytes) -> bool:
    """Whether the first line is an object of its own and another follows."""
    line, found, rest = start.partition(b"\n")
    return bool(found and line.rstrip().endswith(b"}") and rest.lstrip()[:1] in (b"{", b""))


def _read_lines(content: pa.Buffer, name: str, where: str, notes: Notes, whole: bool) -> pa.Table | None:
    if not whole:
        content = _whole_lines(content)
    table = _read_fast(content)
    return table if table is not None else _read_slowly(content, name, where, notes)


def _read_fast(content: pa.Buffer) -> pa.Table | None:
    """Arrow's reader, or None where it fails or would change values (texts that look like dates)."""
    options = pa.json.ReadOptions(use_threads=False, block_size=min(len(content) + 1, _LARGEST_BLOCK))
    try:
        table = pa.json.read_json(pa.BufferReader(content), read_options=options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None
    return None if any("timestamp" in str(kind) for kind in table.schema.types) else table


def _read_slowly(content: pa.Buffer, name: str, where: str, notes: Notes) -> pa.Table | None:
    rows, wrong = [], []
    for number, line in enumerate(memoryview(content).tobytes().decode("utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            wrong.append((number, line))
    if wrong:
        number, line = wrong[0]
        notes.error(
            f"every line of {name} must be a JSON object",
            f"{line.strip()[:60]!r} in line {number}; {len(wrong):,} such line{'s' if len(wrong) > 1 else ''}",
            "Mend or remove them.",
            where,
        )
        return None
    return table_of_rows(rows)


def _whole_lines(content: pa.Buffer) -> pa.Buffer:
    end = memoryview(content).tobytes().rfind(b"\n")
    return content.slice(0, end + 1) if end >= 0 else content


def _tables_of(value: Any) -> dict[str, pa.Table] | None:
    if isinstance(value, list):
        table = _table_of(value)
        return None if table is None else {"train": table}
    if not isinstance(value, dict) or not value:
        return None
    lists = {key: each for key, each in value.items() if isinstance(each, list)}
    rows = {key: each for key, each in lists.items() if each and all(isinstance(row, dict) for row in each)}
    splits = {split_of(key): table_of_rows(each) for key, each in rows.items() if split_of(key)}
    if splits and "train" in splits:
        return {str(split): table for split, table in splits.items()}
    if len(lists) == len(value) and len({len(each) for each in lists.values()}) == 1 and len(rows) < len(lists):
        return {"train": pa.table({key: array_of(each) for key, each in lists.items()})}
    if len(rows) == 1:
        return {"train": table_of_rows(next(iter(rows.values())))}
    columns = {key: each for key, each in value.items() if isinstance(each, dict)}
    if len(columns) == len(value) and len({tuple(each) for each in columns.values()}) == 1:
        # What pandas writes by default: column → row number → value.
        return {"train": pa.table({key: array_of(list(each.values())) for key, each in columns.items()})}
    if not lists and not columns:
        return {"train": table_of_rows([value])}
    return None


def _table_of(rows: list[Any]) -> pa.Table | None:
    return table_of_rows(rows) if rows and all(isinstance(row, dict) for row in rows) else None


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return f"an object with the keys {name_values(value)}" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {type(value[0]).__name__} values" if value else "an empty list"
    return f"one {type(value).__name__}"
