"""One attempt on a worker without our disk: what it needs goes there, what it writes comes back.

The attempt's lease is taken here, in the submitter's run folder; the worker's copy of the run is
only ever a copy. So an attempt that was given up can do no harm, however long it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from ...errors import Fenced
from ...record import DISTURBED, LOST_AFTER_SECONDS
from ..attempt import AttemptPlan, run_attempt, take_lease
from ..endings import end_run
from ..link import Link
from ..workers import WorkerFacts
from .freight import freight_of
from .mirror import Mirror
from .outbox import Outbox
from .port import WorkerPort

SHIPPED_TO = "shipped_to"
"""In a lease: the address of the worker that has a copy of the run."""

_LOOK_SECONDS = 0.1
_FORGET_SECONDS = 60.0
_MOST_LETTERS = 400
_SAVE_SECONDS = 60.0  # beside the grace, for earlier attempts to leave


class GivenUp(Exception):
    """The worker has left, or nobody wants the run any more."""


class Shipment:
    """An attempt (or one host's part of it) that goes to ``worker``, or is there since another agent sent it."""

    def __init__(self, link: Link, worker: WorkerFacts, plan: AttemptPlan, left: asyncio.Event) -> None:
        """``left`` is set when the worker has left the cluster."""
        self._link = link
        self._worker = worker
        self._plan = plan
        self._left = left
        self._port = WorkerPort(link, worker.address)
        self._folder = plan.folder
        self._attempt = plan.attempt
        # Without its cluster an attempt saves and leaves after its own grace.
        self._patience_seconds = max(LOST_AFTER_SECONDS, plan.orphan_grace_seconds)
        self._is_home = False

    async def clear(self) -> None:
        """Take home what earlier attempts left there. Raises :class:`GivenUp`."""
        await self._unless(self._unwanted, self._bring_back_earlier())

    async def send(self) -> None:
        """Bring what the attempt needs there. Raises :class:`GivenUp`."""
        freight = await asyncio.to_thread(freight_of, self._folder, self._worker.home)
        await self._unless(self._unwanted, Outbox(self._port).send(freight))

    async def run(self) -> None:
        """Begin the attempt and copy it until it has ended, or its worker has gone."""
        holder = {SHIPPED_TO: self._worker.address, **self._worker.process.to_dict()}
        try:
            take_lease(self._plan, holder)
        except (Fenced, FileNotFoundError):
            return
        there = replace(
            self._plan, run_dir=f"{self._worker.home}/runs/{self._folder.run}", stays=False, use_spare=False
        )
        future = self._link.client.submit(
            run_attempt, there, key=self._plan.key, pure=False, workers=[self._worker.address],
            allow_other_workers=False,
        )  # fmt: skip
        try:
            await self._follow_until_lost(asyncio.ensure_future(future.result()))
        finally:
            future.release()

    async def adopt(self) -> None:
        """Copy an attempt that is there already."""
        await self._follow_until_lost(None)

    async def forget(self) -> None:
        """Delete the copy there, once everything has come home."""
        if self._is_home:
            with contextlib.suppress(Exception):  # the copy there is no loss; prune takes it
                await self._port.call("forget", _FORGET_SECONDS, run=self._folder.run)

    async def _follow_until_lost(self, task: asyncio.Future[Any] | None) -> None:
        try:
            await self._unless(self._lost, self._follow(task))
        except GivenUp as reason:
            if self._attempt.path.is_dir():
                ending = {"status": DISTURBED, "reason": "worker", "message": str(reason)}
                await asyncio.to_thread(self._end, ending)

    async def _unless(self, given_up: Callable[[], str], work: Awaitable[None]) -> None:
        """Do the work. Raises :class:`GivenUp` as soon as there is a reason to."""
        working = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(self._left.wait())
        try:
            while not working.done():
                if reason := given_up():
                    raise GivenUp(reason)
                waited_for = (working,) if leaving.done() else (working, leaving)
                await asyncio.wait(waited_for, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            working.result()
        finally:
            for each in (working, leaving):
                each.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)

    def _lost(self) -> str:
        """Why the worker must be given up, if it must."""
        if self._left.is_set():
            return f"Its worker on {self._worker.host} has gone."
        silent = time.time() - (self._port.down_since or time.time())
        if silent > self._patience_seconds:
            return f"Nothing was heard of its worker on {self._worker.host} for {silent:.0f} s."
        return ""

    def _unwanted(self) -> str:
        """Why the attempt must not begin, if it must not."""
        if not self._folder.path.is_dir() or self._folder.asked("cancel") or self._folder.final():
            return "Nobody wants the run any more."
        return self._lost()

    async def _bring_back_earlier(self) -> None:
        """What attempts left on that host that were given up when its worker went: their last steps and checkpoints."""
        run, grace = self._folder.run, self._plan.grace_seconds
        numbers = await self._port.insist(
            "end_before", grace + _SAVE_SECONDS, run=run, attempt=self._plan.number, grace_seconds=grace
        )
        for number in numbers:
            earlier = self._folder.attempt(number)
            if earlier.path.is_dir():
                await Mirror(self._folder, earlier, self._port, is_over=True).follow()
        await self._port.insist("forget", _FORGET_SECONDS, run=run)

    async def _follow(self, task: asyncio.Future[Any] | None) -> None:
        """Copy the attempt to its end. ``task`` is what watches it there; without one its record must tell."""
        mirror = Mirror(self._folder, self._attempt, self._port)
        copying = asyncio.ensure_future(mirror.follow())
        try:
            if task is not None:
                await asyncio.wait((task, copying), return_when=asyncio.FIRST_COMPLETED)
            if task is None or _is_cut_off(task):
                mirror.lose_sight()
            elif task.done():
                task.result()
                mirror.finish()
            await copying
        finally:
            for each in (copying, task):
                if each is not None:
                    each.cancel()
        ended = mirror.state.get("ended")
        if ended is None:
            ended = {"status": DISTURBED, "reason": "supervisor", "message": "It ended without a word."}
        ending = {key: value for key, value in ended.items() if key not in ("time", "checkpoint")}
        await asyncio.to_thread(self._conclude, ending, from_there=mirror.state.get("ended") is not None)
        self._is_home = True

    def _conclude(self, ending: dict[str, Any], from_there: bool) -> None:
        """Say here how the attempt ended; its events say so already where they came ``from_there``."""
        if ending["status"] == "succeeded" and self._attempt.host == 0:
            ending = self._deliver() or ending
        if from_there and ending["status"] != DISTURBED:
            self._attempt.end(**ending)
        else:
            self._end(ending)

    def _deliver(self) -> dict[str, Any] | None:
        """Put the model where the user wants it; the ending if that cannot be done."""
        recipe = self._folder.recipe()
        name = "compiled" if recipe.kind == "compile" else "model"
        model = self._attempt.path / name
        if not recipe.output_dir or not model.is_dir():
            return None
        command = [sys.executable, "-m", "lepton_lab.work.outputs", str(model), recipe.output_dir]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return None
        message = f"The model is in {model}, but not in {recipe.output_dir}: {done.stderr.strip()[-_MOST_LETTERS:]}"
        return {"status": "failed", "reason": "request", "message": message}

    def _end(self, ending: dict[str, Any]) -> None:
        if not self._attempt.path.is_dir():
            return
        # A writer of its own: the other names are those of files that are copied.
        events = self._attempt.writer("agent")
        try:
            end_run(self._folder, self._attempt, events, ending, self._plan.limit)
        finally:
            events.close()


def _is_cut_off(task: asyncio.Future[Any]) -> bool:
    """Whether it was Dask that lost the task: the attempt goes on, and its record will tell."""
    from distributed.client import FutureCancelledError

    if not task.done():
        return False
    error = None if task.cancelled() else task.exception()
    return task.cancelled() or isinstance(error, (FutureCancelledError, OSError))
