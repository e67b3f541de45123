"""The unfinished runs of one cluster: which one goes where, and when.

First come, first served, one run a device. The queue asks each worker once what it is,
and submits an attempt to one worker by name: workers need no settings of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Fenced
from ..record import LOST_AFTER_SECONDS, RunFolder, view_of
from .attempt import AttemptPlan
from .endings import end_attempt
from .order import RunOrder
from .placing import way_to
from .workers import WorkerFacts, describe_worker, home_probe

_LOOK_SECONDS = 0.5


@dataclass
class Job:
    """One run that was handed over and is not over."""

    folder: RunFolder
    order: RunOrder
    number: int
    """Of the attempt that runs, or is next."""
    worker: WorkerFacts | None = None
    """Where the attempt is; None while the run waits."""
    watch: asyncio.Task[None] | None = None
    left: asyncio.Event = field(default_factory=asyncio.Event)
    may_start: bool = False
    """Whether the runs before it are known to be over."""


class RunQueue:
    """Waiting and running jobs, and the workers they go to. Lives in the agent's event loop."""

    def __init__(self, client: Any, on_empty: Callable[[], None]) -> None:
        self._client = client
        self._on_empty = on_empty
        self.jobs: dict[str, Job] = {}
        self.workers: dict[str, WorkerFacts] = {}
        self.problems: dict[str, str] = {}
        """Workers that cannot be used, by address, and why."""
        self._news = asyncio.Event()

    def add(self, job: Job) -> None:
        """Queue a run."""
        self.jobs[job.folder.run] = job
        self._news.set()

    async def run(self) -> None:
        """Place runs, for ever."""
        while True:
            if self.jobs:
                with contextlib.suppress(OSError):  # the scheduler is away; the next look tells
                    await self.look_at_workers()
            self._news.clear()
            self._place()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK_SECONDS)

    async def look_at_workers(self) -> None:
        """See who came and who left."""
        identity = await self._client.scheduler.identity(n_workers=-1)
        there = {address: int(each["nthreads"]) for address, each in identity["workers"].items()}
        for address in [each for each in self.workers if each not in there]:
            del self.workers[address]
            for job in self.jobs.values():
                if job.worker is not None and job.worker.address == address:
                    job.left.set()
        self.problems = {address: text for address, text in self.problems.items() if address in there}
        fresh = [address for address in there if address not in self.workers and address not in self.problems]
        if not fresh:
            return
        with home_probe() as probe:
            said = await self._client.run(describe_worker, probe, workers=fresh, on_error="return")
        for address, answer in said.items():
            if isinstance(answer, BaseException):
                self.problems[address] = f"{type(answer).__name__}: {answer}"
            else:
                self.workers[address] = WorkerFacts.of(address, there[address], answer)

    def close(self) -> None:
        """Stop watching. The runs go on."""
        for job in self.jobs.values():
            if job.watch is not None:
                job.watch.cancel()

    def _place(self) -> None:
        free = list(self._free_workers())
        for job in self._ready_jobs():
            if not free:
                return
            job.worker = free.pop(0)
            job.watch = asyncio.create_task(self._follow(job, job.worker))
            free = list(self._free_workers())

    def _ready_jobs(self) -> Iterator[Job]:
        """Waiting jobs whose time has come, oldest first; one that can never start is ended here."""
        waiting = [job for job in self.jobs.values() if job.worker is None]
        for job in sorted(waiting, key=lambda each: each.order.created):
            if not job.folder.path.is_dir() or job.folder.final() is not None:
                self._drop(job)
                continue
            if not job.may_start:
                if any(not _is_over(job.folder.path.with_name(run)) for run in job.order.after):
                    continue
                problem = _parent_problem(job)
                if problem:
                    self._end(job, {"status": "failed", "reason": "parent", "message": problem})
                    continue
                job.may_start = True
            yield job

    def _free_workers(self) -> Iterator[WorkerFacts]:
        """Workers with a free device and a thread to watch a run on it, least busy first."""
        at_site: dict[str, int] = {}
        at_worker: dict[str, int] = {}
        for job in self.jobs.values():
            if job.worker is not None:
                at_site[job.worker.site] = at_site.get(job.worker.site, 0) + 1
                at_worker[job.worker.address] = at_worker.get(job.worker.address, 0) + 1
        devices: dict[str, set[str]] = {}
        for worker in self.workers.values():
            devices.setdefault(worker.site, set()).update(worker.devices)
        for worker in sorted(self.workers.values(), key=lambda each: at_worker.get(each.address, 0)):
            here = at_worker.get(worker.address, 0)
            site_is_free = at_site.get(worker.site, 0) < len(devices[worker.site])
            if site_is_free and here < min(len(worker.devices), worker.threads):
                yield worker

    async def _follow(self, job: Job, worker: WorkerFacts) -> None:
        """Run one attempt of a job and see what comes next."""
        plan = AttemptPlan(
            run_dir=str(job.folder.path),
            number=job.number,
            cpus=job.order.cpus,
            devices=len(worker.devices),
            grace_seconds=job.order.grace_seconds,
            use_spare=job.order.use_spare,
            worker_module=job.order.worker_module,
            environment=job.order.environment,
        )
        try:
            await way_to(worker)(self._client, worker, plan, job.left)
        except Exception as error:  # noqa: BLE001  it becomes the run's final state
            if job.folder.path.is_dir() and job.folder.final() is None:
                attempt = job.folder.attempt(job.number)
                attempt.path.mkdir(exist_ok=True)
                message = f"The task that watched the run broke: {type(error).__name__}: {error}"
                end_attempt(job.folder, attempt, {"status": "failed", "reason": "dispatch", "message": message})
        self._drop(job)

    def _end(self, job: Job, ending: dict[str, Any]) -> None:
        with contextlib.suppress(Fenced, FileNotFoundError):
            attempt = job.folder.take_lease(job.number)
            end_attempt(job.folder, attempt, ending)
        self._drop(job)

    def _drop(self, job: Job) -> None:
        self.jobs.pop(job.folder.run, None)
        self._news.set()
        if not self.jobs:
            self._on_empty()


def _is_over(path: Path) -> bool:
    """Whether a run that another waits for will not change any more."""
    folder = RunFolder(path)
    if not path.is_dir() or folder.final() is not None:
        return True
    attempts = folder.attempts()
    beat = attempts[-1].heartbeat_time() if attempts else None
    return beat is not None and time.time() - beat > LOST_AFTER_SECONDS


def _parent_problem(job: Job) -> str:
    """Why this run cannot start, if its parent run did not succeed."""
    if not job.order.parent:
        return ""
    above = RunFolder(job.folder.path.with_name(job.order.parent))
    if not above.path.is_dir():
        return f"its parent run {above.run} is not there any more"
    status = view_of(above).status
    return "" if status == "succeeded" else f"its parent run {above.run} ended {status}"
