"""The classes of a data set, over all its splits."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from .labels import LabelShape, flat_labels, sort_labels
from .notes import Notes, count_rows, name_values


def find_classes(
    tables: dict[str, pa.Table],
    mapping: dict[str, str],
    shape: LabelShape | None,
    notes: Notes,
    complete: bool,
) -> list[str] | None:
    """The class names, after the checks that concern all splits."""
    name = next((name for name in ("label", "tags") if name in mapping), None)
    if name is None or name not in tables.get("train", pa.table({})).column_names or not tables["train"].num_rows:
        return None
    if shape and shape.problem_type == "regression":
        if complete and pc.count_distinct(tables["train"]["label"]).as_py() < 2:
            notes.error(
                f"the numbers in {mapping[name]!r} are all the same",
                f"{tables['train']['label'][0].as_py():g}",
                "Give rows with different numbers, or set --label-column.",
                "data.label_column",
            )
        return None
    known = {
        split: pc.value_counts(flat_labels(table[name].combine_chunks()))
        for split, table in tables.items()
        if name in table.column_names
    }
    counts = {
        split: dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
        for split, found in known.items()
    }
    labels = sort_labels(counts["train"])
    if complete and len(labels) < 2:
        word = "label" if name == "label" else "tag"
        rows = count_rows(tables["train"].num_rows)
        notes.error(
            f"the column {mapping[name]!r} must hold at least two different {word}s",
            f"only {labels[0]!r} in {rows}" if labels else f"none in {rows}",
            f"Add rows of another class, or name another column with --{name}-column.",
            f"data.{name}_column",
        )
    for split, found in counts.items():
        unseen = sort_labels(set(found) - set(labels))
        if complete and unseen:
            notes.error(
                f"the {split} data has labels that the training data never shows",
                f"{name_values(f'{label} ({count_rows(found[label])})' for label in unseen)}",
                "Add training rows with these labels, mend their spelling, or leave those rows out.",
                f"data.{name}_column",
            )
    return labels
