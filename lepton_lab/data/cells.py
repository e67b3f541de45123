"""One column of one split, while it is being read."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Mask = npt.NDArray[np.bool_]

# How programs write "no value" into a CSV. "NA", "None" and "null" are left to texts:
# as labels they can be meant.
_MISSING_WORDS = ("nan", "NaN", "#N/A", "<NA>", "NaT")
MISSING_TEXTS = (*_MISSING_WORDS, "NULL", "null", "None", "N/A")


@dataclass(frozen=True)
class Column:
    """A column as it was read: ``name`` is the user's, ``split`` says where it is from.

    ``typed`` is False for CSV, where every cell is text and numbers are only found by looking.
    """

    name: str
    split: str
    values: pa.ChunkedArray
    typed: bool
    option: str

    @property
    def where(self) -> str:
        """The recipe field that names this column."""
        return f"data.{self.option}"

    @property
    def kind(self) -> str:
        """``text``, ``integer``, ``float``, ``bool``, ``list``, ``struct``, ``empty`` or the Arrow type's name."""
        return kind_of(self.values.type) if self.typed else _kind_of_words(self.values)


@dataclass
class Cells:
    """A column in its canonical form. ``missing`` marks the rows to leave out."""

    values: pa.Array
    missing: Mask


def kind_of(kind: pa.DataType) -> str:
    """The kind of an Arrow type in words; see :attr:`Column.kind`."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "float"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "list"
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        return "struct"
    if pa.types.is_null(kind):
        return "empty"
    return str(kind)


def _kind_of_words(values: pa.ChunkedArray) -> str:
    words = drop_blank(values)
    if len(words) == 0:
        return "empty"
    if not _all_match(words, r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"):
        return "text"
    return "integer" if _all_match(words, r"^\s*[-+]?\d+\s*$") else "float"


def _all_match(words: pa.ChunkedArray, pattern: str) -> bool:
    # Most columns of text are told from their first rows.
    head = pc.all(pc.match_substring_regex(words.slice(0, 100), pattern)).as_py()
    return bool(head and pc.all(pc.match_substring_regex(words, pattern)).as_py())


def as_strings(values: pa.ChunkedArray) -> pa.Array:
    """Any scalar column as one array of strings."""
    kind = values.type
    if pa.types.is_boolean(kind):
        values = pc.if_else(values, "True", "False")
    elif kind != pa.string():
        values = values.cast(pa.string())
    return one_array(values)


def one_array(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """``values`` without chunks."""
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def blank(values: pa.Array, words: tuple[str, ...] = _MISSING_WORDS, typed: bool = True) -> Mask:
    """True where a string is null or white space; in a CSV also where it is a word for "no value"."""
    trimmed = pc.utf8_trim_whitespace(values)
    empty = pc.equal(pc.utf8_length(trimmed), 0)
    if not typed:
        empty = pc.or_(empty, pc.is_in(trimmed, value_set=pa.array(words, trimmed.type)))
    return np.asarray(pc.fill_null(empty, True).to_numpy(zero_copy_only=False), dtype=bool)


def drop_blank(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Only the cells of a CSV column that hold something."""
    keep = ~blank(one_array(values), typed=False)
    return values.filter(pa.array(keep))


def parse_lists(values: pa.ChunkedArray) -> list[Any] | None:
    """Lists written as text (JSON, or as Python prints them), or None if these are not lists.

    Blank cells give None. Python text is read with ``ast.literal_eval``, which runs nothing.
    """
    words = values.to_pylist()
    filled = [word for word in words if word is not None and word.strip()]
    if not filled or not all(word.lstrip()[0] in "[{" for word in filled[:100]):
        return None
    parsed: list[Any] = []
    for word in words:
        if word is None or not word.strip():
            parsed.append(None)
            continue
        value = _parse(word)
        if not isinstance(value, list):
            return None
        parsed.append(value)
    return parsed


def _parse(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        try:
            return ast.literal_eval(word.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None


def nulls(values: pa.Array) -> Mask:
    """True where there is no value."""
    return np.asarray(values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False), dtype=bool)
