"""Columns of text: texts, prompts and completions."""

from __future__ import annotations

import pyarrow as pa

from .cells import MISSING_TEXTS, Cells, Column, as_strings, blank
from .notes import Notes

_IS = {
    "integer": "whole numbers",
    "float": "numbers",
    "bool": "true and false",
    "list": "lists",
    "struct": "objects",
}


def read_text(column: Column, notes: Notes) -> Cells | None:
    """The column as strings; null and blank cells are missing. None after an error."""
    kind = column.kind
    if kind == "empty":
        notes.error(
            f"the column {column.name!r} of the {column.split} data is empty",
            f"{len(column.values):,} rows without a text",
            f"Name another column with --{column.option.replace('_', '-')}.",
            column.where,
        )
        return None
    if kind != "text":
        example = column.values[0].as_py() if len(column.values) else None
        notes.error(
            f"the column {column.name!r} must hold text",
            f"{_IS.get(kind, kind)}, such as {str(example)[:60]!r}",
            f"Name the column of texts with --{column.option.replace('_', '-')}.",
            column.where,
        )
        return None
    values = as_strings(column.values)
    missing = blank(values, MISSING_TEXTS, column.typed)
    if len(values) and missing.all():
        notes.error(
            f"the column {column.name!r} of the {column.split} data is empty",
            f"{len(values):,} rows without a text",
            f"Name another column with --{column.option.replace('_', '-')}.",
            column.where,
        )
        return None
    return Cells(values.cast(pa.string()), missing)
