"""Makes Arrow tables of what programs hand over, and cleans their headers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .cells import kind_of
from .notes import Notes, name_values


def table_of_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of JSON objects; a key that a row lacks is null."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({str(name): array_of([row.get(name) for row in rows]) for name in names})


def array_of(values: Sequence[Any]) -> pa.Array:
    """Any values. Scalars of several types become text; nested values of several types, JSON."""
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, ValueError):
        return pa.array([None if _is_missing(value) else _as_text(value) for value in values], pa.string())


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def clean_header(table: pa.Table, notes: Notes, where: str, what: str) -> pa.Table:
    """``table`` with column names free of white space, line ends and byte order marks at their ends."""
    before = [str(name) for name in table.column_names]
    after = [name.replace("\ufeff", "").strip().strip("\u200b").strip() for name in before]
    after = [name or f"unnamed_{place}" for place, name in enumerate(after, 1)]
    changed = [
        (old, new) for old, new in zip(before, after, strict=True) if old != new and not new.startswith("unnamed_")
    ]
    if changed:
        notes.warn(
            f"column names of {what} were cleaned of white space and invisible characters",
            name_values(repr(old) for old, _ in changed),
            f"They are now: {name_values(new for _, new in changed)}.",
            where,
        )
    twice = sorted({name for name in after if after.count(name) > 1})
    if twice:
        notes.error(
            f"column names of {what} must differ",
            f"{name_values(twice)} more than once",
            "Rename or remove the copies.",
            where,
        )
    return table.rename_columns(after)


def plain_table(table: pa.Table) -> pa.Table:
    """``table`` with class numbers as names (``datasets``), dictionaries decoded, and no metadata."""
    features = _features(table)
    names: list[str] = []
    arrays: list[pa.ChunkedArray] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        names.append(name)
        arrays.append(_named(_decoded(column), features.get(name)))
    return pa.Table.from_arrays(arrays, names=names)


def _features(table: pa.Table) -> dict[str, Any]:
    stored = (table.schema.metadata or {}).get(b"huggingface")
    if not stored:
        return {}
    try:
        features = json.loads(stored)["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_dictionary(column.type):
        # Arrow cannot decode every kind of text (views, as polars hands over) by itself.
        plain = pa.string() if kind_of(column.type.value_type) == "text" else column.type.value_type
        column = pa.chunked_array([chunk.dictionary.cast(plain).take(chunk.indices) for chunk in column.chunks], plain)
    if pa.types.is_string_view(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    return column


def _named(column: pa.ChunkedArray, feature: Any) -> pa.ChunkedArray:
    """Class numbers as class names; -1, which means "unlabelled" there, as null."""
    inner = feature.get("feature") if isinstance(feature, dict) else None
    if isinstance(feature, list) and feature:
        inner = feature[0]
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and kind_of(column.type) == "integer":
        return _names_of(column, feature["names"])
    if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" and kind_of(column.type) == "list":
        lists = column.combine_chunks().cast(pa.list_(pa.int64()))
        names = _names_of(lists.values, inner["names"])
        return pa.chunked_array([pa.ListArray.from_arrays(lists.offsets, names, mask=lists.is_null())])
    return column


def _names_of(numbers: Any, names: Sequence[str]) -> Any:
    known = pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, len(names)))
    places = pc.if_else(known, numbers, pa.scalar(None, numbers.type))
    return pc.take(pa.array(names, pa.string()), places)
