"""MLflow as a mirror of the record: a process of its own copies runs there, and catches up when it could not.

::

    lab.submit ──> follow(run)           leaves a cursor: this run is to be mirrored there
                     └─ python -m lepton_lab.tracking.mirror      one process a tracking server and home
                          └─ transfer.py   reads the run's record, sends what the server lacks
                               └─ versions.py   the model as a registered version, with our aliases

Only that process imports MLflow; a tracking server that is down or slow delays it and nobody else.
"""

from __future__ import annotations

from .cursor import Cursor, done_runs, open_runs
from .following import (
    check_mlflow,
    follow,
    follow_moved_alias,
    follow_resumed,
    is_wanted,
    mark,
    stop_mirrors,
    wake,
    wake_for,
)
from .target import Target

__all__ = [
    "Cursor",
    "Target",
    "check_mlflow",
    "done_runs",
    "follow",
    "follow_moved_alias",
    "follow_resumed",
    "is_wanted",
    "mark",
    "open_runs",
    "stop_mirrors",
    "wake",
    "wake_for",
]
