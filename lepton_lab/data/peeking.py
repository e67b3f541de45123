"""The first rows of a data set as they are, before a task says what it needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DataError, raise_problems
from ..recipe import DataConfig
from .dataframes import is_frame, is_rows
from .notes import Notes
from .reading import read_source
from .resolving import resolve_dataset
from .written import frames_of_request

_ROWS_OF_FRAME = 2_000


@dataclass(frozen=True)
class Peek:
    """``columns`` and the first ``rows``; ``row_count`` is None where only the head of a file was read."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    row_count: int | None
    splits: Mapping[str, int]


def peek(config: DataConfig, namespace: Mapping[str, Any] | None = None, rows: int = 4) -> Peek:
    """Look at ``config.dataset``. Leaves no file behind. Raises :class:`DataError`."""
    notes = Notes()
    with frames_of_request(keeps=False):
        word = resolve_dataset(str(config.dataset), namespace)
        raw = read_source(word, config, notes, "data.dataset", whole=False)
    raise_problems(DataError, notes.problems)
    if raw is None or not raw.tables:
        return Peek((), (), 0, {})
    name = "train" if "train" in raw.tables else next(iter(raw.tables))
    table = raw.tables[name]
    counts = {split: each.num_rows for split, each in raw.tables.items()} if raw.complete else {}
    return Peek(tuple(table.column_names), tuple(table.slice(0, rows).to_pylist()), counts.get(name), counts)


def heads_of_frames(namespace: Mapping[str, Any], word: str | None) -> tuple[dict[str, Any], float]:
    """``namespace`` with the head of a long data frame that ``word`` names, and how many times longer the whole is.

    So that a look at it takes no longer than one at a short one. Others stay as they are.
    """
    name = (word or "").strip().removeprefix("var:")
    frame: Any = namespace.get(name)
    if not (is_frame(frame) or is_rows(frame)) or not hasattr(frame, "__len__") or isinstance(frame, Mapping):
        return dict(namespace), 1.0
    count = len(frame)
    if count <= _ROWS_OF_FRAME:
        return dict(namespace), 1.0
    return {**namespace, name: _head(frame)}, count / _ROWS_OF_FRAME


def _head(frame: Any) -> Any:
    if hasattr(frame, "select") and hasattr(frame, "column_names") and not hasattr(frame, "slice"):
        return frame.select(range(_ROWS_OF_FRAME))  # of the datasets library
    if hasattr(frame, "head"):
        return frame.head(_ROWS_OF_FRAME)
    return frame.slice(0, _ROWS_OF_FRAME) if hasattr(frame, "slice") else frame[:_ROWS_OF_FRAME]
