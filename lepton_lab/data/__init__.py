"""Any data a user has, as three clean tables. Knows neither torch nor transformers."""

from __future__ import annotations

from .frames import frames
from .loading import load_splits
from .masks import check_masks
from .need import ColumnNeed, Needs
from .preflight import head, label_counts, report
from .resolving import resolve_dataset
from .splits import ProblemType, Splits

__all__ = [
    "ColumnNeed",
    "Needs",
    "ProblemType",
    "Splits",
    "check_masks",
    "frames",
    "head",
    "label_counts",
    "load_splits",
    "report",
    "resolve_dataset",
]
