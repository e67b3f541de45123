"""Lepton Lab: fine-tune, compile and measure transformers from a notebook, a shell or Python.

Names are loaded on first use: importing this package imports neither torch nor dask nor plotly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .lab import (
        Run,
        attach,
        benchmark,
        cancel,
        checkpoint,
        clone,
        compare,
        compile,
        load,
        models,
        predict,
        promote,
        remove_alias,
        report,
        resume,
        runs,
        submit,
        sweep,
        train,
        use_cluster,
    )
    from .recipe import Recipe
    from .widgets.forms import form

__version__ = "0.1.0"

__all__ = [
    "Recipe",
    "Run",
    "__version__",
    "attach",
    "benchmark",
    "cancel",
    "checkpoint",
    "clone",
    "compare",
    "compile",
    "form",
    "load",
    "load_ipython_extension",
    "models",
    "predict",
    "promote",
    "remove_alias",
    "report",
    "resume",
    "runs",
    "submit",
    "sweep",
    "train",
    "use_cluster",
]

_HOMES = {name: "lepton_lab.lab" for name in __all__ if name[0].islower()} | {
    "Run": "lepton_lab.lab",
    "Recipe": "lepton_lab.recipe",
    "form": "lepton_lab.widgets.forms",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext lepton_lab``: register the magics and their completion."""
    from .magics import register

    register(ipython)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server where the extension is."""
    return [{"module": "lepton_lab.server"}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell JupyterLab where the prebuilt extension is."""
    return [{"src": "labextension", "dest": "lepton-lab"}]
