"""Asking for a run to be mirrored, and seeing to it that somebody does it. Imports no MLflow."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from importlib.util import find_spec

from .. import places
from ..dispatch.processes import ProcessMark
from ..errors import MissingExtra
from ..recipe import TRAINING_KINDS, Recipe
from ..record import AliasMove, read_json
from ..telemetry import NO_TELEMETRY
from .cursor import Cursor, open_runs
from .target import EXPERIMENT, Target

_START_SECONDS = 30.0
_DYING_SECONDS = 5.0
_PACKAGES = ("mlflow", "sqlalchemy", "alembic")


def is_wanted(recipe: Recipe, controller: str | None = None) -> bool:
    """Whether a run of this recipe is to be mirrored: it says so, ``LEPTON_REPORT_TO`` does, or a run above it is.

    ``controller`` is the sweep that it is a trial of.
    """
    named = os.environ.get("LEPTON_REPORT_TO", "").replace(",", " ").split()
    if "mlflow" in named or (recipe.kind in TRAINING_KINDS and "mlflow" in recipe.train.report_to):
        return True
    above = recipe.parent or controller
    return bool(above) and Cursor.read(Target.here(), str(above)) is not None


def check_mlflow() -> None:
    """Raise :class:`MissingExtra` where MLflow is not installed."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtra(", ".join(missing), "mlflow", "report_to mlflow")


def follow(run: str) -> None:
    """Mirror this run from now on, to the target that the environment names. Neither waits nor fails."""
    target = Target.here()
    mark(target, run)
    wake(target)


def follow_resumed(run: str) -> None:
    """Go on mirroring a run that had ended and goes on, if it was mirrored."""
    if Cursor.read(Target.here(), run) is not None:
        follow(run)


def mark(target: Target, run: str) -> None:
    """Say that a run is to be mirrored to ``target``, or looked at again."""
    if not Cursor.reopen(target, run):
        Cursor(run, os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT).write(target)


def follow_moved_alias(move: AliasMove) -> None:
    """Tell the target of an alias that moved, as far as it has the runs."""
    target = Target.here()
    known = [Cursor.reopen(target, run) for run in (move.run, move.previous) if run and Cursor.read(target, run)]
    if any(known):
        wake(target)


def wake_for(run: str) -> None:
    """See to it that somebody mirrors this run, if it is to be mirrored and is not yet."""
    target = Target.here()
    if run in open_runs(target):
        wake(target)


def stop_mirrors() -> None:
    """End the processes of this host and environment that mirror; the cursors stay."""
    for path in places.state_dir().glob("mirror-*.json"):
        found = read_json(path)
        if found:
            ProcessMark.from_dict(found).end(grace_seconds=0.0)
        path.unlink(missing_ok=True)


def wake(target: Target) -> None:
    """See to it that a process mirrors what is open, if anything is."""
    if not open_runs(target):
        return
    if _is_served(target):
        return
    # It comes back at once: the process that mirrors is its child, and nobody's zombie.
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-m", "lepton_lab.tracking.mirror"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=places.tracking_dir(),
            env={**os.environ, **NO_TELEMETRY, "MLFLOW_TRACKING_URI": target.uri},
            start_new_session=True,
            timeout=_START_SECONDS,
            check=False,
        )


def _is_served(target: Target) -> bool:
    """Whether a process mirrors to ``target``. One that was killed may hold its lock a moment longer."""
    deadline = time.monotonic() + _DYING_SECONDS
    while True:
        with target.lock() as is_free:
            if is_free:
                return False
        process = target.process()
        if process is None or process.is_alive() or time.monotonic() > deadline:
            return True
        time.sleep(0.02)
