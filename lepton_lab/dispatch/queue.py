"""The unfinished runs of one cluster: which one goes where, and when.

First come, first served, one run a device. The queue asks each worker once what it is,
and submits an attempt to one worker by name: workers need no settings of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Fenced
from ..record import DISTURBED, LOST_AFTER_SECONDS, AttemptFolder, RunFolder, view_of
from .attempt import AttemptPlan, run_attempt
from .endings import AttemptLimit, end_attempt, publish_end
from .order import RunOrder
from .placing import way_to
from .processes import ProcessMark
from .shipping.shipment import SHIPPED_TO, follow_shipped
from .watching import conclude, look_after, supervisor_of, watcher_of
from .workers import WorkerFacts, describe_worker, home_probe, site_of

_LOOK_SECONDS = 0.5


@dataclass
class Job:
    """One run that was handed over and is not over."""

    folder: RunFolder
    order: RunOrder
    number: int = 1
    """Of the attempt that runs, or is next."""
    is_active: bool = False
    """Whether the attempt runs."""
    worker: WorkerFacts | None = None
    """Where we sent the attempt; None while the run waits, and where a former agent sent it."""
    watch: asyncio.Task[None] | None = None
    left: asyncio.Event = field(default_factory=asyncio.Event)
    may_start: bool = False
    """Whether the runs before it are known to be over."""

    @property
    def attempt(self) -> AttemptFolder:
        """The attempt that runs, or is next."""
        return self.folder.attempt(self.number)

    @property
    def site(self) -> str:
        """Whose devices the attempt uses; empty where that is not known."""
        if self.worker is not None:
            return self.worker.site
        supervisor = supervisor_of(self.attempt)
        return site_of(supervisor) if supervisor is not None else ""


class RunQueue:
    """Waiting and running jobs, and the workers they go to. Lives in the agent's event loop."""

    def __init__(self, client: Any, stays: bool, on_empty: Callable[[], None]) -> None:
        """``stays``: attempts go on when Dask goes; ``on_empty`` is called when the last run is over."""
        self.client = client
        """Of the cluster's scheduler; another one after that one's death."""
        self._stays = stays
        self._on_empty = on_empty
        self.jobs: dict[str, Job] = {}
        self.workers: dict[str, WorkerFacts] = {}
        self.problems: dict[str, str] = {}
        """Workers that cannot be used, by address, and why."""
        self._news = asyncio.Event()

    def add(self, job: Job) -> None:
        """Take a run in, wherever it stands: it waits for its first or next attempt, or one goes on already."""
        if job.folder.run in self.jobs:
            return
        self.jobs[job.folder.run] = job
        attempts = job.folder.attempts()
        if attempts:
            job.number = attempts[-1].number
            if attempts[-1].ended() is None:
                job.is_active = True
                job.watch = asyncio.create_task(self._follow(job))
            else:
                self._go_on(job)
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
        identity = await self.client.scheduler.identity(n_workers=-1)
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
            said = await self.client.run(describe_worker, probe, workers=fresh, on_error="return")
        for address, answer in said.items():
            if isinstance(answer, BaseException):
                self.problems[address] = f"{type(answer).__name__}: {answer}"
            else:
                self.workers[address] = WorkerFacts.of(address, there[address], answer)

    def free_devices(self) -> int:
        """How many more runs could begin now."""
        busy = sum(job.is_active and job.order.needs_device for job in self.jobs.values())
        devices = {(worker.site, device) for worker in self.workers.values() for device in worker.devices}
        return max(0, len(devices) - busy)

    def close(self) -> None:
        """Stop watching. The runs go on."""
        for job in self.jobs.values():
            if job.watch is not None:
                job.watch.cancel()

    def _place(self) -> None:
        for job in self._ready_jobs(needs_device=False):
            job.is_active, job.watch = True, asyncio.create_task(self._try_here(job))
        free = list(self._free_workers())
        for job in self._ready_jobs(needs_device=True):
            if not free:
                return
            worker = next((each for each in free if each.has_gpu or not job.order.gpu), None)
            if worker is None:
                continue  # it waits for a GPU; runs that need none go on
            job.worker, job.is_active, job.left = worker, True, asyncio.Event()
            job.watch = asyncio.create_task(self._follow(job, worker))
            free = list(self._free_workers())

    def _ready_jobs(self, needs_device: bool) -> Iterator[Job]:
        """Waiting jobs whose time has come, oldest first, with or without need of a device.

        One that can never start is ended here.
        """
        waiting = [job for job in self.jobs.values() if not job.is_active and job.order.needs_device == needs_device]
        for job in sorted(waiting, key=lambda each: each.order.created):
            if not job.folder.path.is_dir() or job.folder.final() is not None:
                self._drop(job)
                continue
            try:
                is_ready = self._is_ready(job)
            except (OSError, ValueError, KeyError) as error:
                message = f"Its record cannot be read: {type(error).__name__}: {error}."
                self._end(job, {"status": "lost", "reason": "record", "message": message})
                continue
            if is_ready:
                yield job

    def _is_ready(self, job: Job) -> bool:
        """Whether nothing keeps a job from starting but the lack of a device. It ends here if it can never start."""
        if not job.may_start:
            if any(not _is_over(job.folder.path.with_name(run)) for run in job.order.after):
                return False
            problem = _parent_problem(job)
            if problem:
                self._end(job, {"status": "failed", "reason": "parent", "message": problem})
                return False
            job.may_start = True
        missing = job.order.missing_credentials()
        if missing:
            self._end(job, {"status": "lost", "reason": "environment", "message": _without(missing, job)})
            return False
        if job.folder.asked("cancel"):
            self._end(job, {"status": "cancelled", "reason": "cancelled", "message": "it was waiting"})
            return False
        return True

    def _free_workers(self) -> Iterator[WorkerFacts]:
        """Workers with a free device and a thread to watch a run on it, least busy first."""
        active = [job for job in self.jobs.values() if job.is_active and job.order.needs_device]
        at_site = Counter(job.site for job in active)
        at_worker = Counter(job.worker.address for job in active if job.worker is not None)
        devices: dict[str, set[str]] = {}
        for worker in self.workers.values():
            devices.setdefault(worker.site, set()).update(worker.devices)
        for worker in sorted(self.workers.values(), key=lambda each: at_worker[each.address]):
            here = at_worker[worker.address]
            site_is_free = at_site[worker.site] < len(devices[worker.site])
            if site_is_free and here < min(len(worker.devices), worker.threads):
                yield worker

    def _plan(self, job: Job) -> AttemptPlan:
        worker = job.worker
        return AttemptPlan(
            run_dir=str(job.folder.path),
            number=job.number,
            cpus=job.order.cpus,
            devices=len(worker.devices) if worker is not None else 1,
            grace_seconds=job.order.grace_seconds,
            orphan_grace_seconds=job.order.orphan_grace_seconds,
            stays=self._stays or not job.order.needs_device,
            limit=AttemptLimit.of(job.folder, job.order.max_attempts),
            needs_device=job.order.needs_device,
            use_spare=job.order.use_spare and job.order.needs_device,
            worker_module=job.order.worker_module,
            environment=job.order.environment,
        )

    async def _follow(self, job: Job, worker: WorkerFacts | None = None) -> None:
        """See one attempt through: a new one on ``worker``, or one that a former agent began."""
        if worker is not None:
            await self._try(job, worker)
        while job.attempt.path.is_dir() and job.attempt.ended() is None:
            try:
                await self._see_through(job)
            except Exception:  # noqa: BLE001  a full disk, a worker that left: the next look may succeed
                traceback.print_exc()
                await asyncio.sleep(_LOOK_SECONDS)
        self._go_on(job)

    async def _try(self, job: Job, worker: WorkerFacts) -> None:
        """Make one attempt."""
        try:
            await way_to(worker)(self.client, worker, self._plan(job), job.left)
        except Exception as error:  # noqa: BLE001  it becomes the run's final state, or means that Dask has gone
            if not _is_of_dask(error):
                _end_attempt_of(job, f"The task that watched the run broke: {type(error).__name__}: {error}")

    async def _try_here(self, job: Job) -> None:
        """Make one attempt at a run that needs no device, on this machine: it speaks to this agent."""
        try:
            await asyncio.to_thread(run_attempt, self._plan(job))
        except Exception as error:  # noqa: BLE001  it becomes the run's final state
            _end_attempt_of(job, f"The thread that watched the run broke: {type(error).__name__}: {error}")
        self._go_on(job)

    async def _see_through(self, job: Job) -> None:
        """Watch an attempt that no task of ours watches, by its record, until it has ended."""
        if SHIPPED_TO in job.attempt.lease():
            await self._see_shipped_through(job)
            return
        plan = self._plan(job)
        began = time.time()
        while job.attempt.path.is_dir() and job.attempt.ended() is None:
            supervisor = supervisor_of(job.attempt)
            caretaker = supervisor or watcher_of(job.attempt)  # who began it, before there is a supervisor
            if caretaker is not None and caretaker.is_here:
                if await asyncio.to_thread(caretaker.wait, _LOOK_SECONDS):
                    await asyncio.to_thread(conclude, plan)
                continue
            if not await self._ask_neighbour(job, plan, supervisor):
                heard = job.attempt.heartbeat_time() or max(began, float(job.attempt.lease().get("time", began)))
                if time.time() - heard > LOST_AFTER_SECONDS:
                    message = f"Nothing has been heard of it for {time.time() - heard:.0f} s."
                    ending = {"status": DISTURBED, "reason": "lost", "message": message}
                    await asyncio.to_thread(end_attempt, job.folder, job.attempt, ending, plan.limit)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _see_shipped_through(self, job: Job) -> None:
        """Copy an attempt that a former agent sent to a worker without our disk, once that worker is there."""
        lease = job.attempt.lease()
        began = time.time()
        while job.attempt.path.is_dir() and job.attempt.ended() is None:
            found = [each for each in self.workers.values() if lease[SHIPPED_TO] == each.address]
            if found:
                job.worker, job.left = found[0], asyncio.Event()
                await follow_shipped(self.client, found[0], self._plan(job), job.left)
            elif time.time() - began > LOST_AFTER_SECONDS:
                message = f"Its worker {lease[SHIPPED_TO]} is not there any more."
                ending = {"status": DISTURBED, "reason": "lost", "message": message}
                await asyncio.to_thread(end_attempt, job.folder, job.attempt, ending, self._plan(job).limit)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _ask_neighbour(self, job: Job, plan: AttemptPlan, supervisor: ProcessMark | None) -> bool:
        """Let a worker on the attempt's host look after it; whether there is one that does."""
        neighbours = [] if supervisor is None else [
            each.address for each in self.workers.values()
            if (each.process.host, each.process.boot) == (supervisor.host, supervisor.boot)
        ]  # fmt: skip
        if not neighbours:
            return False
        watcher = watcher_of(job.attempt)
        if watcher is not None and any(watcher == each.process for each in self.workers.values()):
            return True
        try:
            await self.client.run(look_after, plan, workers=neighbours[:1])
        except Exception:  # noqa: BLE001  it may have left just now; the next look tells
            return False
        return True

    def _go_on(self, job: Job) -> None:
        """After an attempt: the run is over, or waits for its next one."""
        job.worker, job.is_active, job.watch = None, False, None
        if not job.folder.path.is_dir() or publish_end(job.folder, job.attempt) or job.folder.final() is not None:
            self._drop(job)
            return
        if job.attempt.path.is_dir():  # else the worker left before it began
            job.number += 1
        self._news.set()

    def _end(self, job: Job, ending: dict[str, Any]) -> None:
        with contextlib.suppress(Fenced, FileNotFoundError):
            end_attempt(job.folder, job.folder.take_lease(job.number), ending)
        self._drop(job)

    def _drop(self, job: Job) -> None:
        self.jobs.pop(job.folder.run, None)
        self._news.set()
        if not self.jobs:
            self._on_empty()


def _is_of_dask(error: Exception) -> bool:
    """Whether Dask lost a worker, or itself: that is nobody's fault, and the record tells how the attempt stands."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    return isinstance(error, (KilledWorker, FutureCancelledError, CommClosedError, OSError))


def _end_attempt_of(job: Job, message: str) -> None:
    """End the run of a job whose task broke."""
    if job.folder.path.is_dir():
        job.attempt.path.mkdir(exist_ok=True)
        end_attempt(job.folder, job.attempt, {"status": "failed", "reason": "dispatch", "message": message})


def _without(names: list[str], job: Job) -> str:
    return (
        f"The agent that took the run over has not {', '.join(names)}, which the submitter had. "
        f"Set it and go on with: lepton resume {job.folder.run}"
    )


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
