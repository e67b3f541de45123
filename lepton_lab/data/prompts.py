"""Prompts in two columns: an instruction, and the input that it is about."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ..recipe import Recipe
from .cells import MISSING_TEXTS, blank, kind_of, one_array
from .columns import find_column
from .notes import Notes
from .raw import Raw


def find_joined(mapping: dict[str, str], main: pa.Table, recipe: Recipe, notes: Notes) -> tuple[str, ...]:
    """Prompts that a second column completes: ``instruction`` and ``input``, as Alpaca data has them."""
    own = find_column("input", main.column_names)
    if recipe.data.prompt_column or own is None or mapping.get("prompt", "").casefold() != "instruction":
        return ()
    if kind_of(main.column(own).type) != "text":
        return ()
    notes.warn(
        "each prompt is the instruction and, below it, the input",
        f"the columns {mapping['prompt']!r} and {own!r}",
        "Set --prompt-column to use one column only.",
        "data.prompt_column",
    )
    return ("prompt",)


def join_input(values: pa.ChunkedArray, table: pa.Table, raw: Raw) -> pa.ChunkedArray:
    """The instructions, with what the column ``input`` says below each."""
    own = find_column("input", table.column_names)
    if own is None or kind_of(values.type) != "text":
        return values
    extra = one_array(table.column(own).cast(pa.string()))
    first = one_array(values)
    joined = pc.binary_join_element_wise(first, pc.fill_null(extra, ""), "\n\n")
    return pa.chunked_array([pc.if_else(pa.array(blank(extra, MISSING_TEXTS, raw.typed)), first, joined)])
