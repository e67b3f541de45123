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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import places
from ..errors import Fenced
from ..record import AttemptFolder, RunFolder
from .endings import AttemptLimit, end_attempt
from .environment import JobEnvironment, allotted_threads
from .processes import ProcessMark
from .spare import hand_to_spare
from .starting import WORKER_MODULE, open_log
from .watching import supervisor_of, watch


@dataclass(frozen=True)
class GangPlace:
    """One host's place in a gang, as :class:`lepton_lab.work.gang.Hosts` reads it."""

    nodes: int
    node_rank: int
    rdzv: str = ""
    interface: str = ""


@dataclass(frozen=True)
class AttemptPlan:
    """What a task needs to know. ``environment`` is never shown."""

    run_dir: str
    number: int
    grace_seconds: float
    gang: GangPlace | None = None
    """Where this host's part of an attempt on several hosts meets the others."""
    cpus: int | None = None
    processes: int = 1
    """How many of them train on each host, each on a device of its own where there are several."""
    sharers: int = 1
    """How many such runs the cores of the worker's host are shared by."""
    orphan_grace_seconds: float = 60.0
    stays: bool = True
    """Whether the attempt goes on by itself, for ever, when its Dask worker goes: on the submitter's own machine."""
    limit: AttemptLimit = field(default_factory=lambda: AttemptLimit(1))
    needs_device: bool = True
    use_spare: bool = True
    worker_module: str = WORKER_MODULE
    environment: JobEnvironment = field(default_factory=lambda: JobEnvironment({}))

    @property
    def key(self) -> str:
        """The Dask key; every attempt has its own, and so has every host of a gang."""
        return f"lepton-{self.attempt.run}-{self.attempt.path.name}"

    @property
    def folder(self) -> RunFolder:
        """The run, where the plan is carried out."""
        return RunFolder(Path(self.run_dir))

    @property
    def host(self) -> int:
        """The number of this host in its gang."""
        return self.gang.node_rank if self.gang else 0

    @property
    def attempt(self) -> AttemptFolder:
        """The attempt, or this host's part of it, where the plan is carried out."""
        return self.folder.attempt(self.number, self.host)

    def job(self) -> dict[str, Any]:
        """The supervisor's line, made on the worker."""
        return {
            "run_dir": self.run_dir,
            "attempt": self.number,
            "gang": asdict(self.gang) if self.gang else None,
            "processes": self.processes,
            "threads": allotted_threads(self.cpus, self.environment.values, self.sharers),
            "grace_seconds": self.grace_seconds,
            "orphan_grace_seconds": None if self.stays else self.orphan_grace_seconds,
            "limit": asdict(self.limit),
            "needs_device": self.needs_device,
            "environment": dict(self.environment.values),
        }


def run_attempt(plan: AttemptPlan) -> dict[str, Any]:
    """Try the run once: ``{"run", "attempt", "status"}``, where the status may be ``fenced`` or ``gone``."""
    folder = plan.folder
    answer: dict[str, Any] = {"run": folder.run, "attempt": plan.number}
    try:
        attempt = take_lease(plan, ProcessMark.of(os.getpid()).to_dict())
    except Fenced:
        return {**answer, "status": _adopt(plan)}
    except FileNotFoundError:
        return {**answer, "status": "gone"}
    try:
        process = _start(plan, attempt)
    except OSError as error:
        ending = {"status": "failed", "reason": "dispatch", "message": f"no supervisor could be started: {error}"}
        return {**answer, "status": end_attempt(folder, attempt, ending)}
    if isinstance(process, ProcessMark):
        return {**answer, "status": watch(plan, process)}
    with process:
        return {**answer, "status": watch(plan, ProcessMark.of(process.pid))}


def take_lease(plan: AttemptPlan, holder: Mapping[str, Any]) -> AttemptFolder:
    """Begin what the plan is about.

    Raises :class:`Fenced` when that was begun before, and :class:`FileNotFoundError` without the run.
    """
    if plan.host:
        return plan.folder.take_part(plan.number, plan.host, holder)
    return plan.folder.take_lease(plan.number, holder)


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


def _adopt(plan: AttemptPlan) -> str:
    """Watch the attempt if somebody looks after it; otherwise this task is fenced."""
    attempt = plan.attempt
    supervisor = supervisor_of(attempt) if attempt.path.is_dir() and attempt.ended() is None else None
    if supervisor is None or not supervisor.is_here:
        return "fenced"
    return watch(plan, supervisor)
