"""Watching an attempt: until its supervisor is gone, and then saying how it ended if that one could not."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from ..record import DISTURBED, AttemptFolder, read_json, write_json
from .endings import end_attempt, ending_of, publish_end
from .processes import ProcessMark

if TYPE_CHECKING:
    from .attempt import AttemptPlan

_LOOK_SECONDS = 0.2


def supervisor_of(attempt: AttemptFolder) -> ProcessMark | None:
    """Who looks, or looked, after this attempt."""
    found = read_json(attempt.path / "supervisor.json")
    return ProcessMark.from_dict(found) if found else None


def watcher_of(attempt: AttemptFolder) -> ProcessMark | None:
    """The Dask worker that watches this attempt: the last that said so, or who took the lease."""
    found = read_json(attempt.path / "watcher.json") or attempt.lease()
    return ProcessMark.from_dict(found) if "started" in found else None


def watch(plan: AttemptPlan, supervisor: ProcessMark) -> str:
    """Wait for the supervisor's end; how the attempt ended.

    In a Dask worker that leaves its cluster it makes the supervisor save and leave too, unless the plan says
    that it stays.
    """
    was_told = plan.stays
    while not supervisor.wait(_LOOK_SECONDS):
        if not was_told and _dask_worker_leaves():
            was_told = True
            supervisor.send(signal.SIGTERM)
    return conclude(plan)


def conclude(plan: AttemptPlan) -> str:
    """How the attempt ended whose supervisor has gone; written here if that one could not. Blocks while it saves."""
    folder, attempt = plan.folder, plan.attempt
    if not attempt.path.is_dir():
        return "gone"
    ended = attempt.ended()
    if ended is None:
        worker = (read_json(attempt.path / "supervisor.json") or {}).get("worker")
        if worker:
            ProcessMark.from_dict(worker).end(plan.grace_seconds)
        ending = ending_of(attempt, None, "cancel" if folder.asked("cancel") else "")
        if ending["status"] == DISTURBED and ending["reason"] != "memory":
            ending = {"status": DISTURBED, "reason": "supervisor", "message": "Its supervisor was killed."}
        return end_attempt(folder, attempt, ending, plan.limit)
    return publish_end(folder, attempt) or str(ended["status"])


async def look_after(plan: AttemptPlan) -> str:
    """Runs on a worker of the host where the attempt is: become its watcher; ``going on``, or how it ended."""
    attempt = plan.attempt
    supervisor = supervisor_of(attempt)
    if supervisor is not None and supervisor.is_alive():
        write_json(attempt.path / "watcher.json", ProcessMark.of(os.getpid()).to_dict())
        return "going on"
    import asyncio  # the supervisor, which imports this module too, has no time for it

    return await asyncio.to_thread(conclude, plan)


def _dask_worker_leaves() -> bool:
    """Whether this is a task of a Dask worker that is closing, as for a retirement or the end of its lifetime."""
    from distributed import Status, get_worker

    try:
        worker: Any = get_worker()
    except ValueError:
        return False
    return worker.status not in (Status.init, Status.running, Status.paused)
