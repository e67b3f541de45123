"""What a person should see of the data before a model learns from it. The half that needs no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import Problem
from .cells import kind_of
from .cutting import keys_of
from .labels import flat_labels
from .notes import count_rows, name_values
from .splits import Splits

# The largest class this many times the smallest: worth a word.
_IMBALANCE = 10
_CUT_TEXT = 300


def report(splits: Splits) -> dict[str, Any]:
    """The data set as a JSON object.

    ``rows``, ``columns`` (the user's), ``mapping`` (canonical → the user's), ``problem_type``,
    ``labels``, ``label_counts`` by split, ``label_range`` (regression), ``empty_rows`` (left out, by
    split and column), ``duplicate_rows`` by split, ``shared_rows`` by pair of splits,
    ``characters`` (quantiles of the inputs' lengths), ``source``, ``licence``, ``digest``, ``cut``,
    ``complete`` and ``warnings`` (what, got, do, where).
    """
    warnings = list(splits.warnings)
    keys = {name: _hash_rows(table, _inputs(table)) for name, table in splits.items()}
    duplicates = {name: len(found) - len(np.unique(found)) for name, found in keys.items()}
    shared = {
        f"{left}/{right}": int(np.isin(keys[right], keys[left]).sum())
        for left, right in (("train", "validation"), ("train", "test"), ("validation", "test"))
    }
    conflicts = _conflicts(splits.train)
    warnings += _warn_rows(duplicates, shared, conflicts, len(splits.train), splits.source.get("cut", []))
    counts = label_counts(splits)
    warnings += _warn_balance(counts.get("train", {}), splits)
    return {
        "rows": {name: table.num_rows for name, table in splits.items()},
        "columns": splits.source.get("columns", []),
        "mapping": dict(splits.mapping),
        "problem_type": splits.problem_type,
        "labels": splits.labels,
        "label_counts": counts,
        "label_range": _label_range(splits),
        "empty_rows": splits.source.get("dropped", {}),
        "duplicate_rows": duplicates,
        "shared_rows": shared,
        "conflicting_rows": conflicts,
        "characters": _characters(splits.train),
        "source": splits.source,
        "licence": splits.source.get("licence"),
        "digest": splits.source.get("digest"),
        "cut": splits.source.get("cut", []),
        "complete": splits.complete,
        "warnings": [warning.to_dict() for warning in warnings],
    }


def head(splits: Splits, rows: int = 3, split: str = "train") -> str:
    """The first ``rows`` of a split as text, one value a line, long ones shortened."""
    table = dict(splits.items())[split]
    lines = []
    for number, row in enumerate(table.slice(0, rows).to_pylist(), 1):
        lines.append(f"{split} row {number} of {table.num_rows:,}")
        if "tokens" in row and "tags" in row:
            lines.append("  " + _short(" ".join(f"{t}/{g}" for t, g in zip(row["tokens"], row["tags"], strict=True))))
            continue
        for name, value in row.items():
            if name == "messages":
                lines += [f"  {message['role']}: {_short(message['content'])}" for message in value]
            else:
                lines.append(f"  {name}: {_short(value)}")
    return "\n".join(lines)


def label_counts(splits: Splits) -> dict[str, dict[str, int]]:
    """Rows (for tags: words) of each class by split; empty without classes."""
    if splits.labels is None:
        return {}
    counts = {}
    for name, table in splits.items():
        column = table.column("label" if "label" in table.column_names else "tags").combine_chunks()
        found = pc.value_counts(flat_labels(column))
        known = dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
        counts[name] = {label: int(known.get(label, 0)) for label in splits.labels}
    return counts


def _inputs(table: pa.Table) -> list[str]:
    """The columns that a model sees; for generation all that it learns."""
    return [name for name in table.column_names if name not in ("label", "tags")]


def _hash_rows(table: pa.Table, columns: list[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """One number a row; equal rows have equal ones."""
    total = np.zeros(table.num_rows, dtype=np.uint64)
    for name in columns:
        keys = pd.util.hash_array(np.asarray(keys_of(table.column(name)), dtype=object), categorize=False)
        total = total * np.uint64(1_000_003) + keys
    return total


def _conflicts(table: pa.Table) -> int:
    """Training rows whose input also comes with another label."""
    label = next((name for name in ("label", "tags") if name in table.column_names), None)
    if label is None or kind_of(table.column(label).type) == "float":
        return 0
    inputs = _hash_rows(table, _inputs(table))
    frame = pd.DataFrame({"input": inputs, "label": _hash_rows(table, [label])})
    repeated = frame[frame["input"].duplicated(keep=False)]
    if repeated.empty:
        return 0
    return int((repeated.groupby("input")["label"].transform("nunique") > 1).sum())


def _warn_rows(
    duplicates: dict[str, int], shared: dict[str, int], conflicts: int, rows: int, cut: list[str]
) -> list[Problem]:
    found = []
    for pair, count in shared.items():
        if not count:
            continue
        left, right = pair.split("/")
        do = f"Remove them from the {left} data; scores on {right} rows that were learnt are too good."
        if right in cut:
            do = f"Remove duplicate rows from the data; scores on {right} rows that were learnt are too good."
        found.append(
            Problem(f"{count_rows(count)} of the {right} data are also in the {left} data", "", do, "data.dataset")
        )
    if duplicates["train"] > rows / 100:
        do = "Remove duplicates unless they are meant to count more."
        found.append(
            Problem(f"{count_rows(duplicates['train'])} of the training data repeat others", "", do, "data.dataset")
        )
    if conflicts:
        do = "Decide for one label each; no model can learn both."
        what = f"{count_rows(conflicts)} of the training data have the same input but different labels"
        found.append(Problem(what, "", do, "data.label_column"))
    return found


def _warn_balance(counts: dict[str, int], splits: Splits) -> list[Problem]:
    seen = {label: count for label, count in counts.items() if count}
    if len(seen) < 2 or "tags" in splits.train.column_names:
        return []
    most = max(seen, key=lambda label: seen[label])
    least = min(seen, key=lambda label: seen[label])
    if seen[most] < _IMBALANCE * seen[least]:
        return []
    rare = [label for label in seen if seen[most] >= _IMBALANCE * seen[label]]
    return [
        Problem(
            "the classes are far from balanced",
            f"{seen[most]:,} × {most!r} but {seen[least]:,} × {least!r}",
            f"Look at F1, not only accuracy; add rows of {name_values(map(repr, rare), 5)} if you can.",
            "data.label_column",
        )
    ]


def _label_range(splits: Splits) -> dict[str, float] | None:
    if splits.problem_type != "regression":
        return None
    numbers = splits.train.column("label").to_numpy()
    return {
        "least": float(numbers.min()),
        "mean": float(numbers.mean()),
        "most": float(numbers.max()),
        "deviation": float(numbers.std()),
    }


def _characters(table: pa.Table) -> dict[str, int]:
    """Quantiles of the inputs' lengths in characters, without tokenising."""
    total = np.zeros(table.num_rows, dtype=np.int64)
    for name in _inputs(table):
        column = table.column(name).combine_chunks()
        if kind_of(column.type) == "text":
            total += pc.utf8_length(column).to_numpy(zero_copy_only=False)
        elif kind_of(column.type) == "list":
            words = pc.list_flatten(column)
            text = words.field("content") if kind_of(words.type) == "struct" else words
            lengths = pc.fill_null(pc.utf8_length(text), 0).to_numpy(zero_copy_only=False)
            total += np.bincount(pc.list_parent_indices(column).to_numpy(), lengths, len(total)).astype(np.int64)
    if not len(total):
        return {}
    named = {"least": 0.0, "p50": 0.5, "p95": 0.95, "p99": 0.99, "most": 1.0}
    return {name: int(np.quantile(total, share)) for name, share in named.items()}


def _short(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _CUT_TEXT else text[: _CUT_TEXT - 1] + "…"
