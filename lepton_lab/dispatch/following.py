"""Seeing one attempt through, on every host that it is on."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable

from ..record import DISTURBED, LOST_AFTER_SECONDS, AttemptFolder
from .attempt import run_attempt
from .endings import end_attempt
from .gathering import gather_hosts
from .job import Job, Seat
from .link import Link
from .placing import way_to
from .processes import ProcessMark
from .roster import Roster
from .shipping.shipment import SHIPPED_TO, GivenUp, Shipment
from .watching import conclude, look_after, supervisor_of, watcher_of

_LOOK_SECONDS = 0.5
_BEGIN_SECONDS = 0.05
_REST_SECONDS = (1.0, 3.0)  # at random: two submitters whose gangs want the same hosts must not try in step


class Follower:
    """Follows the attempt of one job from its beginning to its end."""

    def __init__(self, link: Link, roster: Roster, job: Job, stays: bool) -> None:
        """``stays``: attempts go on when Dask goes."""
        self._link = link
        self._roster = roster
        self._job = job
        self._stays = stays

    async def begin(self) -> None:
        """Make a new attempt on the workers of the job's seats: on all of them, or on none."""
        job = self._job
        try:
            if len(job.seats) > 1 and (others := await gather_hosts(self._link, job)):
                job.wait_for(f"waits until nobody else uses {others}")
                job.rests_until = time.monotonic() + random.uniform(*_REST_SECONDS)  # noqa: S311  no secret
                return
            job.wait_for("")
            for seat in job.seats:
                if seat.worker is not None:
                    seat.way = way_to(self._link, seat.worker, job.plan(seat, self._stays), seat.left)
            ways = [seat.way for seat in job.seats if seat.way is not None]
            for way in ways:  # one by one: hosts may share a home, and what is left there comes once
                await way.clear()
            await _together(*(way.send() for way in ways))
        except GivenUp:
            return
        except Exception as error:  # noqa: BLE001  it becomes the run's final state, or means that Dask has gone
            self._break(job.seats[0], error)
            return
        await self._follow_all()

    async def begin_here(self) -> None:
        """Make an attempt at a run that needs no device, on this machine: it speaks to this agent."""
        job = self._job
        try:
            await asyncio.to_thread(run_attempt, job.plan(job.seats[0], self._stays))
        except Exception as error:  # noqa: BLE001  it becomes the run's final state
            self._break(job.seats[0], error)

    async def adopt(self) -> None:
        """Follow an attempt that a former agent began."""
        if len(self._job.seats) < self._job.order.workers:
            self._ask_to_leave("Its agent died before all hosts of its gang had begun.")
        await self._follow_all()

    async def _follow_all(self) -> None:
        """Until all hosts are done with it. The first host takes the attempt's lease; the others begin behind it."""
        first, *others = self._job.seats
        following = [asyncio.create_task(self._follow(first))]
        try:
            while others and not self._job.attempt.lease() and not following[0].done():
                await asyncio.sleep(_BEGIN_SECONDS)
            if self._job.attempt.path.is_dir():
                following += [asyncio.create_task(self._follow(seat)) for seat in others]
            await asyncio.gather(*following)
        finally:
            for each in following:
                each.cancel()
        await _together(*(seat.way.forget() for seat in self._job.seats if seat.way is not None))

    async def _follow(self, seat: Seat) -> None:
        """Until one host is done with it: by our task, then by its record."""
        if seat.way is not None:
            try:
                await seat.way.run()
            except Exception as error:  # noqa: BLE001  it becomes the end, or means that Dask has gone
                self._break(seat, error)
        part = self._job.part(seat)
        while part.path.is_dir() and part.ended() is None:
            try:
                await self._watch(seat)
            except Exception:  # noqa: BLE001  a full disk, a worker that left: the next look may succeed
                traceback.print_exc()
                await asyncio.sleep(_LOOK_SECONDS)
        ended = part.ended() or {"status": DISTURBED, "message": "It never began there."}
        if seat.host == 0 or ended["status"] != "succeeded":
            where = f" {seat.worker.host}" if seat.worker else ""
            self._ask_to_leave(f"Host {seat.host}{where} of its gang is done. {ended.get('message', '')}")

    def _ask_to_leave(self, why: str) -> None:
        """Let the other hosts of a gang save and leave: an attempt goes on on all of them or on none."""
        job = self._job
        asked = job.folder.asked("leave")
        is_told = asked is not None and asked["attempt"] == job.number
        if job.order.workers > 1 and job.attempt.path.is_dir() and not is_told:
            job.folder.ask("leave", attempt=job.number, message=why)

    async def _watch(self, seat: Seat) -> None:
        """Watch a host's part that no task of ours watches, by its record, until it has ended."""
        part = self._job.part(seat)
        if SHIPPED_TO in part.lease():
            await self._watch_shipped(seat, part)
            return
        plan = self._job.plan(seat, self._stays)
        began = time.time()
        while part.path.is_dir() and part.ended() is None:
            supervisor = supervisor_of(part)
            caretaker = supervisor or watcher_of(part)  # who began it, before there is a supervisor
            if caretaker is not None and caretaker.is_here:
                if await asyncio.to_thread(caretaker.wait, _LOOK_SECONDS):
                    await asyncio.to_thread(conclude, plan)
                continue
            if not await self._ask_neighbour(seat, part, supervisor):
                heard = part.heartbeat_time() or max(began, float(part.lease().get("time", began)))
                if time.time() - heard > LOST_AFTER_SECONDS:
                    message = f"Nothing has been heard of it for {time.time() - heard:.0f} s."
                    ending = {"status": DISTURBED, "reason": "lost", "message": message}
                    await asyncio.to_thread(end_attempt, self._job.folder, part, ending, plan.limit)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _watch_shipped(self, seat: Seat, part: AttemptFolder) -> None:
        """Copy what a former agent sent to a worker without our disk, once that worker is there."""
        address = part.lease()[SHIPPED_TO]
        began = time.time()
        while part.path.is_dir() and part.ended() is None:
            plan = self._job.plan(seat, self._stays)
            worker = self._roster.workers.get(address)
            if worker is not None:
                seat.worker, seat.left = worker, asyncio.Event()
                seat.way = shipment = Shipment(self._link, worker, plan, seat.left)
                await shipment.adopt()
            elif not self._link.is_up:
                began = time.time()  # without a scheduler nobody knows who is there
            elif time.time() - began > LOST_AFTER_SECONDS:
                message = f"Its worker {address} is not there any more."
                ending = {"status": DISTURBED, "reason": "lost", "message": message}
                await asyncio.to_thread(end_attempt, self._job.folder, part, ending, plan.limit)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _ask_neighbour(self, seat: Seat, part: AttemptFolder, supervisor: ProcessMark | None) -> bool:
        """Let a worker on the same host look after it; whether there is one that does."""
        workers = self._roster.workers.values()
        neighbours = [] if supervisor is None else [
            each.address for each in workers
            if (each.process.host, each.process.boot) == (supervisor.host, supervisor.boot)
        ]  # fmt: skip
        if not neighbours:
            return False
        watcher = watcher_of(part)
        if watcher is not None and any(watcher == each.process for each in workers):
            return True
        try:
            await self._link.client.run(look_after, self._job.plan(seat, self._stays), workers=neighbours[:1])
        except Exception:  # noqa: BLE001  it may have left just now; the next look tells
            return False
        return True

    def _break(self, seat: Seat, error: Exception) -> None:
        """End what a task of ours should have looked after, unless it was Dask that lost it."""
        part = self._job.part(seat)
        if _is_of_dask(error) or not self._job.folder.path.is_dir():
            return
        part.path.mkdir(exist_ok=True)
        message = f"The task that watched the run broke: {type(error).__name__}: {error}"
        end_attempt(self._job.folder, part, {"status": "failed", "reason": "dispatch", "message": message})


async def _together(*works: Awaitable[None]) -> None:
    """Do all of it at once; when one fails, the others are given up."""
    tasks = [asyncio.ensure_future(each) for each in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_of_dask(error: Exception) -> bool:
    """Whether Dask lost a worker, or itself: that is nobody's fault, and the record tells how the attempt stands."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    return isinstance(error, (KilledWorker, FutureCancelledError, CommClosedError, OSError))
