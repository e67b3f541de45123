"""The label column of text classification: what it means, and its canonical form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .cells import Cells, Column, as_strings, blank, kind_of, nulls, one_array, parse_lists
from .notes import Notes, count_rows, name_rows, name_values
from .splits import ProblemType

# More different fractions than this are a quantity, not classes.
_MOST_FRACTION_CLASSES = 20
# More different numbers or words than this, in over half of the rows, are hardly classes.
_MOST_CLASSES_UNASKED = 50
# Cells that look like a list are parsed so far, to see whether one is.
_MOST_LOOKED_AT = 1000


@dataclass(frozen=True)
class LabelShape:
    """How the labels of every split are read, decided on the training rows.

    ``whole_floats``: classes that pandas turned into floats. ``separator``: texts such as ``a, b``.
    ``hot``: lists of 0 and 1, one place a class.
    """

    problem_type: ProblemType
    whole_floats: bool = False
    separator: str = ""
    hot: bool = False


def find_shape(column: Column, wanted: str, notes: Notes) -> LabelShape | None:
    """What the labels mean. ``wanted`` is the recipe's ``problem_type``. None after an error."""
    kind = column.kind
    if kind == "empty":
        _all_missing(column, notes)
        return None
    lists = kind == "list" or (kind == "text" and parse_lists(column.values.slice(0, 100)) is not None)
    if kind not in ("text", "integer", "float", "bool", "list"):
        notes.error(
            f"the column {column.name!r} must hold labels",
            f"values of type {kind}",
            "Make them words, numbers or lists of words, or set --label-column.",
            column.where,
        )
        return None
    if kind == "text" and wanted != "regression" and _tell_mixture(column, wanted, notes):
        return LabelShape("single_label") if wanted == "single_label" else None
    if lists:
        return _shape_of_lists(column, wanted, notes)
    if wanted == "regression":
        if kind in ("integer", "float"):
            return LabelShape("regression")
        notes.error(
            f"the column {column.name!r} must hold numbers for a regression",
            f"{name_values(_distinct(column)[:5])}",
            "Set --label-column to a column of numbers, or --problem-type single_label for classes.",
            column.where,
        )
        return None
    if wanted == "multi_label":
        if kind == "text":
            notes.warn(
                f"the labels in {column.name!r} are texts",
                "--problem-type multi_label",
                "They were split at commas; lists of labels say the same more clearly.",
                column.where,
            )
            return LabelShape("multi_label", separator=",")
        notes.error(
            f"the column {column.name!r} must hold lists of labels for multi_label",
            f"{kind} values",
            "Make each row a list such as ['sport', 'news'], or set --problem-type single_label.",
            column.where,
        )
        return None
    if kind == "float":
        return _shape_of_floats(column, wanted, notes)
    return _shape_of_classes(column, wanted, kind, notes)


def _tell_mixture(column: Column, wanted: str, notes: Notes) -> bool:
    """Whether some rows hold a list of labels and others a word, which is said."""
    words = pc.utf8_trim_whitespace(as_strings(column.values))
    looks = np.asarray(pc.fill_null(pc.starts_with(words, "["), False).to_numpy(zero_copy_only=False), dtype=bool)
    plain = np.flatnonzero(~looks & ~blank(words, typed=column.typed))
    if not len(plain):
        return False
    candidates = np.flatnonzero(looks)[:_MOST_LOOKED_AT].tolist()
    lists = [row for row in candidates if parse_lists(words.slice(row, 1)) is not None]
    if not lists:
        return False
    what = f"the labels in {column.name!r} are lists in some rows and single words in others"
    seen, word = (words[rows[0]].as_py() for rows in (lists, plain.tolist()))
    got = f"{seen} in {name_rows(lists)}, but {word!r} in {name_rows(plain.tolist())}"
    if wanted == "single_label":
        notes.warn(what, got, "Each list was read as a class of its own, as asked.", column.where)
    else:
        do = "Make every row a list such as ['sport', 'news'], or every row one word."
        notes.error(what, got, do, column.where)
    return True


def _shape_of_lists(column: Column, wanted: str, notes: Notes) -> LabelShape | None:
    if wanted in ("auto", "multi_label"):
        lists = _lists(column)
        hot = _is_hot(lists)
        if hot:
            notes.warn(
                f"the lists in {column.name!r} hold only 0 and 1 and are equally long",
                f"{len(next(row for row in lists if row))} places",
                "They were read as one place a class; give lists of class names to name the classes.",
                column.where,
            )
        return LabelShape("multi_label", hot=hot)
    notes.error(
        f"the column {column.name!r} holds lists of labels",
        f"--problem-type {wanted}",
        "Set --problem-type multi_label, or give one label a row.",
        column.where,
    )
    return None


def _shape_of_floats(column: Column, wanted: str, notes: Notes) -> LabelShape | None:
    numbers = _numbers(column)
    known = np.unique(numbers[~np.isnan(numbers)])
    if len(known) == 0:
        _all_missing(column, notes)
        return None
    if np.all(known == np.floor(known)) and len(known) <= _MOST_CLASSES_UNASKED:
        notes.warn(
            f"the labels in {column.name!r} are floats, all of them whole",
            name_values(f"{number:g}" for number in known),
            "They were read as classes; set --problem-type regression to learn them as numbers.",
            column.where,
        )
        return LabelShape("single_label", whole_floats=True)
    if wanted == "auto" and len(known) > _MOST_FRACTION_CLASSES:
        return LabelShape("regression")
    notes.error(
        f"the labels in {column.name!r} must be classes (words or whole numbers)",
        f"floats such as {name_values(f'{number:g}' for number in known[:3])}",
        "Set --problem-type regression to learn the number, or turn the numbers into classes.",
        column.where,
    )
    return None


def _shape_of_classes(column: Column, wanted: str, kind: str, notes: Notes) -> LabelShape | None:
    known = _distinct(column)
    if not known:
        _all_missing(column, notes)
        return None
    rows = len(column.values)
    if len(known) > _MOST_CLASSES_UNASKED and len(known) * 2 > rows:
        do = "Name the right column with --label-column"
        do += ", or set --problem-type regression to learn the number" if kind == "integer" else ""
        text = (
            f"the column {column.name!r} does not look like classes",
            f"{len(known):,} different values in {count_rows(rows)}",
        )
        if wanted == "auto":
            notes.error(*text, f"{do}, or --problem-type single_label if these are the classes.", column.where)
            return None
        notes.warn(*text, "Each is a class of its own, as asked.", column.where)
    return LabelShape("single_label")


def read_labels(column: Column, shape: LabelShape, notes: Notes) -> Cells | None:
    """The column in the canonical form of ``shape.problem_type``. None after an error."""
    kind = column.kind
    if kind == "empty":
        return Cells(_nothing(shape, len(column.values)), np.ones(len(column.values), dtype=bool))
    if shape.problem_type == "regression":
        if kind not in ("integer", "float"):
            _wrong_kind(column, "numbers", kind, notes)
            return None
        numbers = _numbers(column)
        return Cells(pa.array(numbers, pa.float64()), ~np.isfinite(numbers))
    if shape.problem_type == "multi_label":
        return _read_many(column, shape, kind, notes)
    if kind == "list":
        _wrong_kind(column, "one label a row", "lists", notes)
        return None
    if kind == "float":
        numbers = _numbers(column)
        if not np.all((known := numbers[~np.isnan(numbers)]) == np.floor(known)):
            _wrong_kind(column, "classes", f"floats such as {known[known != np.floor(known)][0]:g}", notes)
            return None
        words = [None if np.isnan(number) else str(int(number)) for number in numbers]
        return Cells(pa.array(words, pa.string()), np.isnan(numbers))
    values = pc.utf8_trim_whitespace(as_strings(column.values))
    return Cells(values, blank(values, typed=column.typed))


def _read_many(column: Column, shape: LabelShape, kind: str, notes: Notes) -> Cells | None:
    if shape.separator:
        words = as_strings(column.values).to_pylist()
        rows = [None if word is None else [part.strip() for part in word.split(shape.separator)] for word in words]
    elif kind == "list" or parse_lists(column.values) is not None:
        rows = _lists(column)
    else:
        _wrong_kind(column, "lists of labels", kind, notes)
        return None
    if shape.hot:
        rows = [None if row is None else [place for place, on in enumerate(row) if on] for row in rows]
    if any(isinstance(label, (float, list, dict)) for row in rows[:1000] for label in row or ()):
        _wrong_kind(column, "lists of words or whole numbers", f"{name_values(rows[:1])}", notes)
        return None
    # The same label twice in a row says nothing more.
    clean = [
        None if row is None else list(dict.fromkeys(str(label).strip() for label in row if label not in (None, "")))
        for row in rows
    ]
    return Cells(pa.array(clean, pa.list_(pa.string())), np.array([row is None for row in clean], dtype=bool))


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Class names in order; by value when every one is a whole number."""
    found = sorted(set(labels))
    if found and all(re.fullmatch(r"[-+]?\d+", label) for label in found):
        return sorted(found, key=lambda label: (int(label), label))
    return found


def flat_labels(values: pa.Array) -> pa.Array:
    """Every label of a column of strings or of lists of strings."""
    return pc.list_flatten(values) if kind_of(values.type) == "list" else values


def _lists(column: Column) -> list[Any]:
    if kind_of(column.values.type) == "list":
        rows: list[Any] = column.values.to_pylist()
        return rows
    return parse_lists(column.values) or []


def _is_hot(rows: list[Any]) -> bool:
    filled = [row for row in rows[:5000] if row is not None]
    lengths = {len(row) for row in filled}
    return (
        len(lengths) == 1
        and lengths.pop() > 1
        and all(isinstance(place, (int, float)) and place in (0, 1) for row in filled for place in row)
    )


def _numbers(column: Column) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = column.values
    if not column.typed:
        words = one_array(values)
        empty = pa.array(blank(words, typed=False))
        values = pc.if_else(empty, pa.scalar(None, words.type), pc.utf8_trim_whitespace(words))
        values = pc.if_else(pc.starts_with(values, "+"), pc.utf8_ltrim(values, "+"), values)
    numbers = one_array(values.cast(pa.float64())).to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float64)


def _distinct(column: Column) -> list[str]:
    values = pc.utf8_trim_whitespace(as_strings(column.values))
    known = values.filter(pa.array(~blank(values, typed=column.typed)))
    return sort_labels(pc.unique(known).to_pylist())


def _nothing(shape: LabelShape, rows: int) -> pa.Array:
    types = {"regression": pa.float64(), "multi_label": pa.list_(pa.string()), "single_label": pa.string()}
    return pa.nulls(rows, types[shape.problem_type])


def _all_missing(column: Column, notes: Notes) -> None:
    notes.error(
        f"every label in the column {column.name!r} is missing",
        f"{count_rows(len(column.values))} without a label",
        "Name the column of labels with --label-column.",
        column.where,
    )


def _wrong_kind(column: Column, needed: str, got: str, notes: Notes) -> None:
    notes.error(
        f"the labels of the {column.split} data must be {needed}, as in the training data",
        got,
        f"Mend the column {column.name!r}.",
        column.where,
    )


__all__ = ["LabelShape", "find_shape", "flat_labels", "nulls", "read_labels", "sort_labels"]
