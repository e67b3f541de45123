"""From a recipe to three clean tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import DataError, raise_problems
from ..recipe import Recipe
from .cells import Cells, Column, Mask
from .chat import read_chats
from .classes import find_classes
from .columns import column_for, find_column, map_columns
from .cutting import cut_rows, sample_rows
from .labels import LabelShape, find_shape, read_labels
from .need import ColumnNeed, Needs
from .notes import Notes, count_rows, name_values
from .prompts import find_joined, join_input
from .raw import Raw
from .reading import read_source
from .splits import SPLIT_NAMES, ProblemType, Splits
from .texts import read_text
from .tokens import check_lengths, read_words

# A cut needs rows for each part, and a few to learn from.
_LEAST_ROWS = 8
_FEW_ROWS = 100


@dataclass
class _Read:
    """What is known while the splits are read."""

    recipe: Recipe
    notes: Notes
    needs: tuple[ColumnNeed, ...] = ()
    shape: LabelShape | None = None
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    joined: tuple[str, ...] = ()


def load_splits(recipe: Recipe, needs: Needs, whole: bool = True) -> Splits:
    """Read, map, check and cut the data of ``recipe`` for a task that has ``needs``.

    ``recipe.data.dataset`` is resolved (see :func:`resolve_dataset`). Deterministic in the files,
    the recipe's data section and its seed. With ``whole=False`` only the head of a huge CSV, JSON
    or Parquet file is read, enough to find what is wrong with its columns in a second; checks that
    need every row are left out then. Raises :class:`DataError` with every problem found.
    """
    notes = Notes()
    raws = _read_all(recipe, notes, whole)
    raise_problems(DataError, notes.problems)
    read = _Read(recipe, notes)
    tables = {name: (raw, raw.tables[split]) for name, (raw, split) in raws.items()}
    main = tables["train"][1]
    read.needs = map_columns(main, recipe.data, needs, notes)
    mapping = {need.name: str(column_for(need, main.column_names, recipe.data, read.needs)) for need in read.needs}
    read.joined = find_joined(mapping, main, recipe, notes)
    complete = all(raw.complete for raw, _ in tables.values())
    tables = _drop_unlabelled(tables, mapping, read)
    clean = {name: _clean_split(name, raw, table, mapping, read) for name, (raw, table) in tables.items()}
    found = {name: table for name, table in clean.items() if table is not None}
    # What is wrong with one column does not hide what is wrong with another.
    labels = find_classes(found, mapping, read.shape, notes, complete)
    _check_rows(found, labels, recipe, notes)
    raise_problems(DataError, notes.problems)
    source = _describe(recipe, raws, found)
    source["dropped"] = read.dropped
    source["cut"] = _cut(found, recipe)
    if recipe.data.max_rows:
        rows = sample_rows(found["train"], recipe.data.max_rows, recipe.seed)
        found["train"] = found["train"].take(pa.array(rows))
    _warn_of_few(found, notes)
    problem_type: ProblemType | None = read.shape.problem_type if read.shape else None
    return Splits(
        found["train"],
        found["validation"],
        found["test"],
        mapping,
        labels,
        problem_type,
        notes.warnings,
        source,
        complete,
    )


def _read_all(recipe: Recipe, notes: Notes, whole: bool) -> dict[str, tuple[Raw, str]]:
    """For each split that is given, what holds it and under which name."""
    data = recipe.data
    found: dict[str, tuple[Raw, str]] = {}
    main = read_source(str(data.dataset), data, notes, "data.dataset", whole)
    if main is not None:
        found = {name: (main, name) for name in SPLIT_NAMES if name in main.tables}
        if "train" not in found:
            notes.error(
                "the data set has no training rows",
                f"the splits {name_values(main.tables)}",
                "Give the training rows with --dataset, the others with --validation-dataset and --test-dataset.",
            )
    for name, word in (("validation", data.validation_dataset), ("test", data.test_dataset)):
        if not word:
            continue
        raw = read_source(word, data, notes, f"data.{name}_dataset", whole)
        if raw is None:
            continue
        order = (name, "test" if name == "validation" else "validation", "train")
        found[name] = (raw, next(split for split in order if split in raw.tables))
    return found


def _drop_unlabelled(
    tables: dict[str, tuple[Raw, pa.Table]], mapping: dict[str, str], read: _Read
) -> dict[str, tuple[Raw, pa.Table]]:
    """Without the splits of a public data set whose labels are held back; they are cut instead."""
    kept = {}
    for name, (raw, table) in tables.items():
        own = find_column(mapping.get("label", ""), table.column_names)
        asked = getattr(read.recipe.data, f"{name}_dataset", None)
        if (
            name != "train"
            and own
            and not asked
            and _holds_nothing(Column(own, name, table.column(own), raw.typed, ""))
        ):
            read.notes.warn(
                f"the {name} data has no labels",
                count_rows(table.num_rows),
                f"{name.capitalize()} rows are cut from the training data instead.",
            )
            continue
        kept[name] = (raw, table)
    return kept


def _holds_nothing(column: Column) -> bool:
    return column.kind == "empty" or column.values.null_count == len(column.values)


def _clean_split(name: str, raw: Raw, table: pa.Table, mapping: dict[str, str], read: _Read) -> pa.Table | None:
    """One split with canonical columns, without the rows that miss a value.

    Columns with an error are left out; None when every one has one.
    """
    notes, cells = read.notes, {}
    for need in read.needs:
        own = find_column(mapping[need.name], table.column_names)
        if own is None:
            notes.error(
                f"the {name} data has no column {mapping[need.name]!r}, which the training data has",
                f"the columns {name_values(table.column_names)}",
                f"Rename its column to {mapping[need.name]!r}.",
                f"data.{name}_dataset" if getattr(read.recipe.data, f"{name}_dataset", None) else "data.dataset",
            )
            continue
        values = table.column(own)
        if need.name in read.joined:
            values = join_input(values, table, raw)
        column = Column(own, name, values, raw.typed, need.option)
        found = _read_column(need, column, read)
        if found is not None:
            cells[need.name] = found
    if "tokens" in cells and "tags" in cells:
        check_lengths(cells["tokens"], cells["tags"], name, (mapping["tokens"], mapping["tags"]), notes)
    if not cells:
        return None
    return _drop_missing(name, table.num_rows, cells, read)


def _read_column(need: ColumnNeed, column: Column, read: _Read) -> Cells | None:
    notes = read.notes
    if need.kind in ("text", "prompt", "completion"):
        return read_text(column, notes)
    if need.kind in ("tokens", "tags"):
        return read_words(column, notes)
    if need.kind == "messages":
        return read_chats(column, notes)
    if column.split == "train":
        read.shape = find_shape(column, read.recipe.data.problem_type, notes)
    return read_labels(column, read.shape, notes) if read.shape else None


def _drop_missing(name: str, rows: int, cells: dict[str, Cells], read: _Read) -> pa.Table:
    missing: Mask = np.zeros(rows, dtype=bool)
    counts = {}
    for canonical, found in cells.items():
        if found.missing.any():
            counts[canonical] = int(found.missing.sum())
            missing |= found.missing
    table = pa.table({canonical: found.values for canonical, found in cells.items()})
    if missing.any():
        read.dropped[name] = counts
        reasons = " and ".join(f"{count:,} without {canonical}" for canonical, count in counts.items())
        read.notes.warn(
            f"{count_rows(int(missing.sum()))} of the {name} data were left out",
            reasons,
            "Fill them in if they matter.",
        )
        table = table.filter(pa.array(~missing))
    if table.num_rows == 0:
        read.notes.error(
            f"no rows of the {name} data can be used",
            f"{count_rows(rows)}, each without a value in {name_values(cells)}",
            "Give rows that have all of them.",
        )
    return table


def _check_rows(tables: dict[str, pa.Table], labels: list[str] | None, recipe: Recipe, notes: Notes) -> None:
    """Whether there are rows enough to learn from, after the parts that must be cut."""
    parts = _parts(tables, recipe)
    if sum(parts.values()) >= 1:
        notes.error(
            "the validation and test parts must leave training rows",
            f"{' + '.join(f'{share:g}' for share in parts.values())} of all rows",
            "Set a smaller --validation-size or --test-size.",
            "data.validation_size",
        )
    if "train" not in tables or not tables["train"].num_rows:
        return
    least = max(_LEAST_ROWS, len(labels or ()) + len(parts)) if parts else 2
    if tables["train"].num_rows < least:
        notes.error(
            f"at least {least} training rows are needed"
            + (f", because {' and '.join(parts)} rows are cut off" if parts else ""),
            str(tables["train"].num_rows),
            "Add rows" + (f", or give --{next(iter(parts))}-dataset." if parts else "."),
        )


def _parts(tables: dict[str, pa.Table], recipe: Recipe) -> dict[str, float]:
    """The splits that are not given, with their share of the rows."""
    sizes = {"validation": recipe.data.validation_size, "test": recipe.data.test_size}
    return {name: share for name, share in sizes.items() if name not in tables}


def _cut(tables: dict[str, pa.Table], recipe: Recipe) -> list[str]:
    """Cut the splits that are not given off ``tables["train"]``; their names."""
    parts = _parts(tables, recipe)
    if parts:
        train = tables["train"]
        for name, numbers in cut_rows(train, parts, recipe.seed).items():
            tables[name] = train.take(pa.array(numbers))
    return list(parts)


def _warn_of_few(tables: dict[str, pa.Table], notes: Notes) -> None:
    rows = tables["train"].num_rows
    if rows < _FEW_ROWS:
        notes.warn(
            "there is little to learn from",
            f"{count_rows(rows)} for training and {count_rows(tables['test'].num_rows)} for the test",
            "Scores will be rough; add rows if you can.",
        )


def _describe(recipe: Recipe, raws: dict[str, tuple[Raw, str]], tables: dict[str, pa.Table]) -> dict[str, Any]:
    main = raws["train"][0]
    given = {"validation": recipe.data.validation_dataset, "test": recipe.data.test_dataset}
    return {
        "uri": recipe.data.dataset,
        **{f"{name}_uri": uri for name, uri in given.items() if uri},
        "format": main.format,
        "encoding": main.origin.get("encoding"),
        "digest": main.origin.get("digest"),
        "licence": main.origin.get("licence"),
        "columns": raws["train"][0].tables[raws["train"][1]].column_names,
        "rows": {name: raw.tables[split].num_rows for name, (raw, split) in raws.items()},
        "splits": list(tables),
    }
