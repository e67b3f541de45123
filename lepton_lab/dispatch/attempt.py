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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import places
from ..errors import Fenced
from ..record import AttemptFolder, RunFolder, read_json
from .endings import end_attempt, ending_of
from .environment import JobEnvironment, allotted_threads
from .processes import ProcessMark
from .spare import hand_to_spare
from .starting import WORKER_MODULE, open_log

_WATCH_SECONDS = 5.0


@dataclass(frozen=True)
class AttemptPlan:
    """What a task needs to know. ``environment`` is never shown."""

    run_dir: str
    number: int
    grace_seconds: float
    cpus: int | None = None
    devices: int = 1
    """How many devices the cores of the worker's host are shared by."""
    use_spare: bool = True
    worker_module: str = WORKER_MODULE
    environment: JobEnvironment = field(default_factory=lambda: JobEnvironment({}))

    @property
    def key(self) -> str:
        """The Dask key; every attempt has its own."""
        return f"lepton-{Path(self.run_dir).name}-{self.number}"

    def job(self) -> dict[str, Any]:
        """The supervisor's line, made on the worker."""
        return {
            "run_dir": self.run_dir,
            "attempt": self.number,
            "threads": allotted_threads(self.cpus, self.environment.values, self.devices),
            "grace_seconds": self.grace_seconds,
            "environment": dict(self.environment.values),
        }


def run_attempt(plan: AttemptPlan) -> dict[str, Any]:
    """Try the run once: ``{"run", "attempt", "status"}``, where the status may be ``fenced`` or ``gone``."""
    folder = RunFolder(Path(plan.run_dir))
    answer: dict[str, Any] = {"run": folder.run, "attempt": plan.number}
    try:
        attempt = folder.take_lease(plan.number, ProcessMark.of(os.getpid()).to_dict())
    except Fenced:
        return {**answer, "status": _adopt(folder, plan)}
    except FileNotFoundError:
        return {**answer, "status": "gone"}
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
