"""What the first request of a notebook would wait for, done while its author types."""

from __future__ import annotations

import importlib
import threading
from typing import Any

from .registry import task_names
from .work.models.abilities import is_known_type

_MODULES = (
    "lepton_lab.commands.plans",
    "lepton_lab.data.dataframes",
    "lepton_lab.data.loading",
    "lepton_lab.data.resolving",
    "lepton_lab.dispatch.handing",
    "lepton_lab.dispatch.providers.local",
    "lepton_lab.planning",
    "lepton_lab.recipe.defaults",
    "lepton_lab.samples.library",
    "lepton_lab.samples.tables",
    "lepton_lab.widgets.show",
    "lepton_lab.work.models.source",
    "lepton_lab.work.outputs",
    "lepton_lab.work.space",
    "lepton_lab.work.training.wishes",
    "pandas",  # pyarrow imports it when it first meets a value of Python
)


def warm_up() -> None:
    """Import what a request is checked with and read the tables it asks; about half a second. Loads no torch."""
    for name in _MODULES:
        importlib.import_module(name)
    task_names()
    is_known_type({})


def warm_up_after_cell(ip: Any) -> None:
    """Warm up in the background once the cell that runs now is done, so that it is not slowed down."""

    def begin(*_: Any) -> None:
        ip.events.unregister("post_run_cell", begin)
        # Not a daemon: an interpreter that ends in the middle of an import crashes.
        threading.Thread(target=warm_up, name="lepton-warm-up").start()

    ip.events.register("post_run_cell", begin)
