"""Cuts validation and test rows off the training rows, the same way every time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .cells import kind_of

Rows = npt.NDArray[np.int64]

# Below this share of different inputs, keeping equal rows together would leave too few to cut.
_LEAST_DIFFERENT = 0.5
_QUANTILES = 10


def cut_rows(table: pa.Table, parts: dict[str, float], seed: int) -> dict[str, Rows]:
    """Row numbers of ``train`` and of each of ``parts`` (name → share of all rows), in file order.

    Stratified by label (numbers: by tenths; lists: by the rarest label of the row). Rows with the
    same input stay in the same part, so that the cut itself leaks nothing, and every label keeps
    at least one training row. Systematic sampling over rows sorted by stratum, in an order drawn
    with ``seed`` inside each: each part gets its share of each class to within one row.
    """
    rng = np.random.default_rng(seed)
    groups = group_inputs(table)
    first_rows = np.unique(groups, return_index=True)[1]
    if len(first_rows) < _LEAST_DIFFERENT * table.num_rows:
        groups = np.arange(table.num_rows)
        first_rows = groups
    strata = _strata(table)[first_rows]
    order = np.lexsort((rng.random(len(first_rows)), strata))
    chosen = np.full(len(first_rows), "train", dtype=object)
    for name, share in parts.items():
        free = order[chosen[order] == "train"]
        wanted = min(max(1, round(share * len(first_rows))), max(0, len(free) - 1))
        if wanted:
            step = len(free) / wanted
            places = ((np.arange(wanted) + rng.random()) * step).astype(np.int64)
            chosen[free[places]] = name
    # Row → part: equal rows follow the first of them.
    rank = np.empty(int(groups.max()) + 1 if len(groups) else 0, dtype=np.int64)
    rank[groups[first_rows]] = np.arange(len(first_rows))
    part = chosen[rank[groups]]
    _keep_every_label(table, part)
    return {name: np.flatnonzero(part == name) for name in ("train", *parts)}


def sample_rows(table: pa.Table, count: int, seed: int) -> Rows:
    """``count`` row numbers, stratified like a cut, with at least one row of each label if they fit."""
    if count >= table.num_rows:
        return np.arange(table.num_rows)
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(table.num_rows), _strata(table)))
    step = table.num_rows / count
    places = ((np.arange(count) + rng.random()) * step).astype(np.int64)
    return np.sort(order[places])


def group_inputs(table: pa.Table) -> npt.NDArray[np.int64]:
    """One number a row; rows with the same input (everything but the label or the tags) have the same."""
    columns = [name for name in table.column_names if name not in ("label", "tags", "completion")]
    codes: npt.NDArray[np.int64] = np.zeros(table.num_rows, dtype=np.int64)
    for name in columns:
        fresh = pd.factorize(keys_of(table.column(name)))[0]
        codes = pd.factorize(codes * (int(fresh.max(initial=0)) + 1) + fresh)[0].astype(np.int64)
    return codes


def keys_of(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Something hashable a row that is equal where the values are."""
    if kind_of(column.type) == "list":
        lists = column.combine_chunks()
        words = lists.flatten()
        if kind_of(words.type) == "struct":
            parts = [pc.struct_field(words, [place]).cast(pa.string()) for place in range(words.type.num_fields)]
            words = pc.binary_join_element_wise(*parts, "\x1e", null_handling="replace")
        ends = np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False))
        offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, words), "\x1f")
        return np.asarray(joined.to_pandas(), dtype=object)
    return np.asarray(column.to_pandas())


def _strata(table: pa.Table) -> npt.NDArray[np.int64]:
    if "label" not in table.column_names:
        return np.zeros(table.num_rows, dtype=np.int64)
    labels = table.column("label")
    if kind_of(labels.type) == "float":
        order = np.argsort(labels.to_numpy(), kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return rank * _QUANTILES // max(1, len(order))
    if kind_of(labels.type) == "list":
        rows = labels.to_pylist()
        counts = pd.Series([label for row in rows for label in row], dtype=object).value_counts().to_dict()
        rarest = [min(row, key=lambda label: (counts[label], label), default="") for row in rows]
        return pd.factorize(np.array(rarest, dtype=object), sort=True)[0].astype(np.int64)
    return pd.factorize(np.asarray(labels.to_pandas(), dtype=object), sort=True)[0].astype(np.int64)


def _keep_every_label(table: pa.Table, part: npt.NDArray[Any]) -> None:
    """Move one row of each label that only the cut parts have back into train."""
    name = next((name for name in ("label", "tags") if name in table.column_names), None)
    if name is None or kind_of(table.column(name).type) == "float":
        return
    column = table.column(name).combine_chunks()
    if kind_of(column.type) == "list":
        rows = pc.list_parent_indices(column).to_numpy()
        labels = pc.list_flatten(column)
    else:
        rows = np.arange(len(column))
        labels = column
    codes = pd.factorize(np.asarray(labels.to_pandas(), dtype=object))[0]
    while True:
        learnt = np.unique(codes[part[rows] == "train"])
        lost = np.setdiff1d(codes, learnt)
        if len(lost) == 0:
            return
        part[rows[np.flatnonzero(codes == lost[0])[0]]] = "train"
