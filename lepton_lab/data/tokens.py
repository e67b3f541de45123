"""Columns of token classification: lists of words and one tag a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .cells import Cells, Column, kind_of, nulls, one_array, parse_lists
from .notes import Notes, name_rows


def read_words(column: Column, notes: Notes) -> Cells | None:
    """A column of lists as lists of strings; null and empty lists are missing. None after an error."""
    name = "tokens" if column.option == "tokens_column" else "tags"
    values = column.values
    kind = kind_of(values.type)
    if kind == "text":
        parsed = parse_lists(values)
        if parsed is None:
            example = next((word for word in values[:100].to_pylist() if word), "")
            notes.error(
                f"the column {column.name!r} must hold lists of {name}, one list a row",
                f"text, such as {example[:60]!r}",
                "Split the texts into lists of words (in a CSV: as JSON, "
                'for example ["12","Main","St"]), or set --' + column.option.replace("_", "-") + ".",
                column.where,
            )
            return None
        lists = _strings(parsed)
    elif kind == "list" and kind_of(values.type.value_type) in ("text", "integer", "bool", "empty"):
        lists = one_array(values.cast(pa.list_(pa.string())))
    else:
        notes.error(
            f"the column {column.name!r} must hold lists of {name}, one list a row",
            f"values of type {values.type}",
            f"Make each row a list of words, or set --{column.option.replace('_', '-')}.",
            column.where,
        )
        return None
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    words = pc.list_flatten(lists)
    holes = nulls(words)
    if holes.any():
        rows = np.unique(np.asarray(pc.list_parent_indices(lists))[holes])
        notes.error(
            f"the lists in {column.name!r} of the {column.split} data must be whole",
            f"empty places in {name_rows(rows.tolist())}",
            f"Fill them, or leave those rows out of the {column.split} data.",
            column.where,
        )
        return None
    missing = lengths == 0
    if len(missing) and missing.all():
        notes.error(
            f"the column {column.name!r} of the {column.split} data is empty",
            f"{len(missing):,} rows without {name}",
            f"Name another column with --{column.option.replace('_', '-')}.",
            column.where,
        )
        return None
    return Cells(lists, missing)


def _strings(rows: list[Any]) -> pa.Array:
    try:
        return pa.array(rows, pa.list_(pa.string()))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        words = [row if row is None else [None if word is None else str(word) for word in row] for row in rows]
        return pa.array(words, pa.list_(pa.string()))


def check_lengths(tokens: Cells, tags: Cells, split: str, names: tuple[str, str], notes: Notes) -> None:
    """Every word needs its tag."""
    words = pc.fill_null(pc.list_value_length(tokens.values), 0).to_numpy(zero_copy_only=False)
    marks = pc.fill_null(pc.list_value_length(tags.values), 0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero((words != marks) & ~(tokens.missing & tags.missing))
    if len(rows):
        first = rows[0]
        notes.error(
            f"each row of the {split} data needs as many {names[1]!r} as {names[0]!r}",
            f"{words[first]} and {marks[first]} in row {first + 1}; different lengths in {name_rows(rows.tolist())}",
            "Give every word one tag, or leave those rows out.",
            "data.tags_column",
        )
