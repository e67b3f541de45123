"""The Dask task: one attempt at a run.

It takes the attempt's lease, starts a supervisor (or hands the run to a warm spare)
and watches it. It returns a dict and never raises for a run that failed. A task that
Dask runs again adopts a supervisor that lives, and otherwise is fenced.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import places
from ..errors import Fenced
from ..record import LOST_AFTER_SECONDS, AttemptFolder, RunFolder, read_json, view_of
from .endings import end_attempt, ending_of
from .environment import JobEnvironment
from .processes import ProcessMark
from .spare import hand_to_spare
from .starting import WORKER_MODULE, open_log

_POLL_SECONDS = 0.1
_WATCH_SECONDS = 5.0


@dataclass(frozen=True)
class AttemptPlan:
    """What a task needs to know. ``environment`` is never shown."""

    run_dir: str
    number: int
    threads: int
    grace_seconds: float
    use_spare: bool = True
    worker_module: str = WORKER_MODULE
    environment: JobEnvironment = field(default_factory=lambda: JobEnvironment({}))

    def job(self) -> dict[str, Any]:
        """The supervisor's line."""
        return {
            "run_dir": self.run_dir,
            "attempt": self.number,
            "threads": self.threads,
            "grace_seconds": self.grace_seconds,
            "environment": dict(self.environment.values),
        }


def wait_for_runs(run_dirs: list[str], known: list[Any]) -> None:
    """Return when these runs are over. ``known`` are their tasks, where the scheduler has them.

    It has left Dask's pool of threads, so any number may wait.
    """
    from distributed import secede

    secede()
    for path in run_dirs:
        folder = RunFolder(Path(path))
        while folder.path.is_dir() and folder.final() is None and not _is_lost(folder):
            time.sleep(_POLL_SECONDS)


def run_attempt(plan: AttemptPlan, waited: Any = None) -> dict[str, Any]:
    """Try the run once: ``{"run", "attempt", "status"}``, where the status may be ``fenced`` or ``gone``."""
    folder = RunFolder(Path(plan.run_dir))
    answer: dict[str, Any] = {"run": folder.run, "attempt": plan.number}
    try:
        attempt = folder.take_lease(plan.number, ProcessMark.of(os.getpid()).to_dict())
    except Fenced:
        return {**answer, "status": _adopt(folder, plan)}
    except FileNotFoundError:
        return {**answer, "status": "gone"}
    parent = _parent_problem(folder)
    if parent:
        ending = {"status": "failed", "reason": "parent", "message": parent}
        return {**answer, "status": end_attempt(folder, attempt, ending)}
    try:
        process = _start(plan, attempt)
    except OSError as error:
        ending = {"status": "failed", "reason": "dispatch", "message": f"no supervisor could be started: {error}"}
        return {**answer, "status": end_attempt(folder, attempt, ending)}
    if isinstance(process, ProcessMark):
        return {**answer, "status": _watch(folder, attempt, process, plan.grace_seconds)}
    with process:
        process.wait()
    return {**answer, "status": _conclude(folder, attempt, plan.grace_seconds)}


def supervisor_of(attempt: AttemptFolder) -> ProcessMark | None:
    """Who looks, or looked, after this attempt."""
    found = read_json(attempt.path / "supervisor.json")
    return ProcessMark.from_dict(found) if found else None


def _start(plan: AttemptPlan, attempt: AttemptFolder) -> ProcessMark | subprocess.Popen[bytes]:
    if plan.use_spare:
        spare = hand_to_spare(plan.job(), plan.worker_module)
        if spare is not None:
            return spare
    log = open_log(attempt)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "lepton_lab.dispatch.supervisor", "--worker-module", plan.worker_module],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=places.state_dir(),
            start_new_session=True,
        )
    finally:
        os.close(log)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(json.dumps(plan.job()).encode() + b"\n")
    return process


def _adopt(folder: RunFolder, plan: AttemptPlan) -> str:
    """Watch the attempt if somebody looks after it; otherwise this task is fenced."""
    attempt = folder.attempt(plan.number)
    supervisor = supervisor_of(attempt) if folder.final() is None else None
    if supervisor is None or not supervisor.is_here:
        return "fenced"
    return _watch(folder, attempt, supervisor, plan.grace_seconds)


def _watch(folder: RunFolder, attempt: AttemptFolder, supervisor: ProcessMark, grace_seconds: float) -> str:
    while not supervisor.wait(_WATCH_SECONDS):
        pass
    return _conclude(folder, attempt, grace_seconds)


def _conclude(folder: RunFolder, attempt: AttemptFolder, grace_seconds: float) -> str:
    """The final status after the supervisor has gone; written here if it could not write one."""
    final = folder.final()
    if final is not None:
        return str(final["status"])
    if not folder.path.is_dir():
        return "gone"
    worker = (read_json(attempt.path / "supervisor.json") or {}).get("worker")
    if worker:
        ProcessMark.from_dict(worker).end(grace_seconds)
    asked = "cancel" if folder.asked("cancel") else ""
    ending = ending_of(attempt, None, asked)
    if ending["status"] == "failed" and ending.get("reason") in ("killed", "terminated", "orphaned"):
        message = "The run's supervisor was killed; its last complete checkpoint stands."
        ending = {"status": "failed", "reason": "supervisor", "message": message}
    return end_attempt(folder, attempt, ending)


def _is_lost(folder: RunFolder) -> bool:
    """Whether the run was begun and nobody has looked after it for long."""
    attempts = folder.attempts()
    beat = attempts[-1].heartbeat_time() if attempts else None
    return beat is not None and time.time() - beat > LOST_AFTER_SECONDS


def _parent_problem(folder: RunFolder) -> str:
    """Why this run cannot start, if its parent run did not succeed."""
    parent = folder.header().get("parent")
    if not parent:
        return ""
    above = RunFolder(folder.path.with_name(parent))
    if not above.path.is_dir():
        return f"its parent run {parent} is not there any more"
    status = view_of(above).status
    return "" if status == "succeeded" else f"its parent run {parent} ended {status}"
