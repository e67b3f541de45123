"""Any data a user has, as three clean tables. Knows neither torch nor transformers.

Names are loaded on first use: a task only says what it needs, and that should not cost pandas.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dataframes import frames
    from .loading import load_splits
    from .masks import check_masks
    from .need import ColumnNeed, Needs
    from .peeking import Peek, heads_of_frames, peek
    from .preflight import head, label_counts, report
    from .resolving import resolve_dataset
    from .splits import ProblemType, Splits
    from .written import frames_of_request

__all__ = [
    "ColumnNeed",
    "Needs",
    "Peek",
    "ProblemType",
    "Splits",
    "check_masks",
    "frames",
    "frames_of_request",
    "head",
    "heads_of_frames",
    "label_counts",
    "load_splits",
    "peek",
    "report",
    "resolve_dataset",
]

_HOMES = {
    "dataframes": ("frames",),
    "loading": ("load_splits",),
    "masks": ("check_masks",),
    "need": ("ColumnNeed", "Needs"),
    "peeking": ("Peek", "heads_of_frames", "peek"),
    "preflight": ("head", "label_counts", "report"),
    "resolving": ("resolve_dataset",),
    "splits": ("ProblemType", "Splits"),
    "written": ("frames_of_request",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
