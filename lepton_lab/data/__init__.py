"""Any data a user has, as three clean tables. Knows neither torch nor transformers."""

from __future__ import annotations

from .frames import frames
from .loading import load_splits
from .need import ColumnNeed, Needs
from .resolving import resolve_dataset
from .splits import ProblemType, Splits

__all__ = ["ColumnNeed", "Needs", "ProblemType", "Splits", "frames", "load_splits", "resolve_dataset"]
