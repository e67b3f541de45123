"""Sample models and data that need no model hub: catalog, install, use.

``resolve("minilm")`` is a model folder, ``load("movie-sentiment")`` are tables. Neither downloads: that is
``install``, or ``lepton samples install NAME``. Nothing here imports torch, and nothing of a sample is executed.
"""

from __future__ import annotations

from .entries import SampleInfo, catalog, sample_names
from .library import SampleStatus, install, is_installed, load, made_folder, resolve, status
from .tables import SampleData

__all__ = [
    "SampleData",
    "SampleInfo",
    "SampleStatus",
    "catalog",
    "install",
    "is_installed",
    "load",
    "made_folder",
    "resolve",
    "sample_names",
    "status",
]
