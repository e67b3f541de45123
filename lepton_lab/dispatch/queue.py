"""The unfinished runs of one cluster: which one goes where, and when.

First come, first served, one run a device. An attempt is submitted to workers by name: they need no
settings of ours. A run that needs several hosts begins when they are free at once; who came later
does not take what it waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from ..errors import Fenced
from .endings import end_attempt, publish_end
from .following import Follower
from .job import Job, Seat
from .link import Link
from .order import RunOrder
from .roster import Roster, choose

_LOOK_SECONDS = 0.5


class RunQueue:
    """Waiting and running jobs. Lives in the agent's event loop."""

    def __init__(self, link: Link, stays: bool, on_empty: Callable[[], None]) -> None:
        """``stays``: attempts go on when Dask goes; ``on_empty`` is called when the last run is over."""
        self._link = link
        self._was_away = False
        self._stays = stays
        self._on_empty = on_empty
        self.jobs: dict[str, Job] = {}
        self.roster = Roster()
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
                job.find_seats()
                self._watch(job, self._follower(job).adopt())
            else:
                self._go_on(job)
        self._news.set()

    async def run(self) -> None:
        """Place runs, for ever."""
        while True:
            if self.jobs:
                with contextlib.suppress(OSError):  # the scheduler is away; the next look tells
                    await self.look_at_workers()
                self._tell_whether_up()
            self._news.clear()
            self._place()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK_SECONDS)

    async def look_at_workers(self) -> None:
        """See who came and who left. Raises :class:`OSError` while no scheduler answers."""
        there = await self.roster.look(self._link)
        for job in self.jobs.values():
            for seat in job.seats:
                if seat.worker is not None and seat.worker.address not in there:
                    seat.left.set()

    def free_devices(self) -> int:
        """How many more runs of one host could begin now."""
        return self.roster.free_devices(self.jobs.values())

    def busy_workers(self) -> set[str]:
        """Addresses of workers with a run."""
        return self.roster.busy_workers(self.jobs.values())

    def close(self) -> None:
        """Stop watching. The runs go on."""
        for job in self.jobs.values():
            if job.watch is not None:
                job.watch.cancel()

    def _tell_whether_up(self) -> None:
        """Let waiting runs say so when they wait for a scheduler."""
        if self._link.is_up and not self._was_away:
            return
        self._was_away = not self._link.is_up
        what = f"waits for a scheduler: none answers at {self._link.where}" if self._was_away else ""
        for job in self.jobs.values():
            if not job.is_active and job.order.needs_device:
                job.wait_for(what)

    def _place(self) -> None:
        for job in self._ready_jobs(needs_device=False):
            job.seats = [Seat()]
            self._watch(job, self._follower(job).begin_here())
        free = self.roster.free_workers(self.jobs.values())
        for job in self._ready_jobs(needs_device=True) if self._link.is_up else ():
            chosen = choose(job.order, free)
            if chosen:
                job.take_seats(chosen)
                self._watch(job, self._follower(job).begin())
                free = self.roster.free_workers(self.jobs.values())
                continue
            hosts = self.roster.hosts_for(job.order)
            job.wait_for(_lack(job.order, hosts))
            needs_several = job.order.workers > 1 or job.order.processes > 1
            if not free or (needs_several and hosts >= job.order.workers):
                return  # who came later does not take what this one waits for

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
            if not job.is_next():
                return False
            if problem := job.parent_problem():
                self._end(job, {"status": "failed", "reason": "parent", "message": problem})
                return False
            job.may_start = True
        if problem := job.credentials_problem():
            self._end(job, {"status": "lost", "reason": "environment", "message": problem})
            return False
        if job.folder.asked("cancel"):
            self._end(job, {"status": "cancelled", "reason": "cancelled", "message": "it was waiting"})
            return False
        return time.monotonic() >= job.rests_until

    def _follower(self, job: Job) -> Follower:
        return Follower(self._link, self.roster, job, self._stays)

    def _watch(self, job: Job, following: Coroutine[Any, Any, None]) -> None:
        async def watch() -> None:
            await following
            self._go_on(job)

        job.watch = asyncio.create_task(watch())

    def _go_on(self, job: Job) -> None:
        """After an attempt: the run is over, or waits for its next one."""
        job.seats, job.watch = [], None
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


def _lack(order: RunOrder, hosts: int) -> str:
    """What a run waits for if it is not only its turn; so many ``hosts`` could take part in it, were they free."""
    what = ("a worker" if order.workers == 1 else f"{order.workers} hosts") + (" with a GPU" if order.gpu else "")
    if hosts < order.workers:
        return f"waits for {what}: the cluster has {hosts or 'none'}"
    return f"waits for {what} to be free at once" if order.workers > 1 else ""
