"""Handing a run over, and asking for its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import places
from ..errors import Fenced
from ..record import LOST_AFTER_SECONDS, RunFolder
from .attempt import supervisor_of
from .door import AgentDoor, spare_wanted
from .endings import end_attempt
from .providers import find_provider
from .starting import WORKER_MODULE

if TYPE_CHECKING:
    from ..recipe import Recipe


def hand_over(
    folder: RunFolder,
    recipe: Recipe,
    environment: dict[str, str],
    after: Sequence[str],
    worker_module: str = WORKER_MODULE,
) -> None:
    """Give a written run to the cluster, which starts it after the runs ``after`` are over.

    ``environment`` reaches the worker and no disk. ``worker_module`` is for tests.
    Raises :class:`RequestError` for a cluster this version does not know, and
    :class:`ClusterError` when the cluster cannot take the run.
    """
    cluster = recipe.resources.cluster
    find_provider(cluster)
    body = {
        "run_dir": str(folder.path),
        "attempt": len(folder.attempts()) + 1,
        "created": folder.header()["created"],
        "cpus": recipe.resources.cpus,
        "grace_seconds": recipe.resources.grace_seconds,
        "after": list(after),
        "parent": folder.header().get("parent") or "",
        "environment": environment,
        "use_spare": spare_wanted(),
        "worker_module": worker_module,
    }
    AgentDoor(cluster).ask("submit", body)


def request_cancel(folder: RunFolder) -> None:
    """Ask a run to save and stop. A run that nobody looks after ends here and now."""
    if folder.final() is not None:
        return
    folder.ask("cancel")
    attempts = folder.attempts()
    if not attempts:
        try:
            attempt = folder.take_lease(1)
        except Fenced:
            return  # it was just started; its supervisor sees the request
        end_attempt(folder, attempt, {"status": "cancelled", "reason": "cancelled", "message": "never started"})
        _fail_children(folder)
        return
    supervisor = supervisor_of(attempts[-1])
    beat = attempts[-1].heartbeat_time() or float(attempts[-1].lease().get("time", time.time()))
    is_silent = time.time() - beat > LOST_AFTER_SECONDS
    if is_silent and (supervisor is None or not supervisor.is_alive()):
        message = "its supervisor had been lost"
        end_attempt(folder, attempts[-1], {"status": "cancelled", "reason": "cancelled", "message": message})


def _fail_children(parent: RunFolder) -> None:
    """End the runs that wait for a run which will never succeed."""
    cluster = parent.recipe().resources.cluster
    answer = AgentDoor(cluster).ask_if_there("children", {"run": parent.run}) or {}
    for run in answer.get("children", []):
        folder = RunFolder(places.runs_dir() / run)
        try:
            attempt = folder.take_lease(1)
        except (Fenced, FileNotFoundError):
            continue
        message = f"its parent run {parent.run} ended cancelled"
        end_attempt(folder, attempt, {"status": "failed", "reason": "parent", "message": message})
        _fail_children(folder)
