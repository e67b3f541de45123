"""Any data a user has, as three clean tables. Knows neither torch nor transformers."""

from __future__ import annotations

from .loading import load_splits
from .need import ColumnNeed, Needs
from .splits import ProblemType, Splits

__all__ = ["ColumnNeed", "Needs", "ProblemType", "Splits", "load_splits"]
