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
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ...errors import Fenced
from ...record import DISTURBED, LOST_AFTER_SECONDS, AttemptFolder, RunFolder
from ..attempt import AttemptPlan, run_attempt
from ..endings import end_run
from ..workers import WorkerFacts
from .freight import freight_of
from .mirror import Mirror
from .outbox import Outbox
from .port import WorkerPort

Answer = TypeVar("Answer")

SHIPPED_TO = "shipped_to"
"""In a lease: the address of the worker that has a copy of the run."""

_LOOK_SECONDS = 0.1
_FORGET_SECONDS = 60.0
_MOST_LETTERS = 400
_SAVE_SECONDS = 60.0  # beside the grace, for earlier attempts to leave


class _Unwanted(Exception):
    """Somebody cancelled or deleted the run before it was under way."""


class Shipment:
    """An attempt that goes to ``worker``, or is there since another agent sent it."""

    def __init__(self, client: Any, worker: WorkerFacts, plan: AttemptPlan) -> None:
        self._client = client
        self._worker = worker
        self._plan = plan
        self._port = WorkerPort(client, worker.address)
        self._folder = RunFolder(Path(plan.run_dir))
        self._attempt: AttemptFolder = self._folder.attempt(plan.number)
        # Without its cluster an attempt saves and leaves after its own grace.
        self._patience_seconds = max(LOST_AFTER_SECONDS, plan.orphan_grace_seconds)

    async def run(self, left: asyncio.Event) -> None:
        """Send the attempt and copy it until it has ended, or ``left`` is set: its worker has gone."""
        await self._until_lost(left, self._send_and_follow())

    async def adopt(self, left: asyncio.Event) -> None:
        """Copy an attempt that is there already."""
        await self._until_lost(left, self._follow(None))

    async def _until_lost(self, left: asyncio.Event, work: Awaitable[None]) -> None:
        working, losing = asyncio.ensure_future(work), asyncio.ensure_future(self._loss(left))
        try:
            await asyncio.wait((working, losing), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return
            message = losing.result()
        finally:
            for each in (working, losing):
                each.cancel()
            await asyncio.gather(working, losing, return_exceptions=True)
        if self._attempt.path.is_dir():
            await asyncio.to_thread(self._end, {"status": DISTURBED, "reason": "worker", "message": message})

    async def _loss(self, left: asyncio.Event) -> str:
        """Wait until the worker must be given up; why."""
        while not left.is_set():
            silent = time.time() - (self._port.down_since or time.time())
            if silent > self._patience_seconds:
                return f"Nothing was heard of its worker on {self._worker.host} for {silent:.0f} s."
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(left.wait(), _LOOK_SECONDS)
        return f"Its worker on {self._worker.host} has gone."

    async def _send_and_follow(self) -> None:
        try:
            await self._unless_unwanted(self._bring_back_earlier())
            freight = await asyncio.to_thread(freight_of, self._folder, self._worker.home)
            await self._unless_unwanted(Outbox(self._port).send(freight))
        except _Unwanted:
            return
        holder = {SHIPPED_TO: self._worker.address, **self._worker.process.to_dict()}
        try:
            self._folder.take_lease(self._plan.number, holder)
        except (Fenced, FileNotFoundError):
            return
        there = replace(
            self._plan, run_dir=f"{self._worker.home}/runs/{self._folder.run}", stays=False, use_spare=False
        )
        future = self._client.submit(
            run_attempt, there, key=self._plan.key, pure=False, workers=[self._worker.address],
            allow_other_workers=False,
        )  # fmt: skip
        try:
            await self._follow(asyncio.ensure_future(future.result()))
        finally:
            future.release()

    async def _bring_back_earlier(self) -> None:
        """What attempts left on that host that were given up when its worker went: their last steps and checkpoints."""
        run, grace = self._folder.run, self._plan.grace_seconds
        numbers = await self._port.insist(
            "end_before", grace + _SAVE_SECONDS, run=run, attempt=self._plan.number, grace_seconds=grace
        )
        for number in numbers:
            if self._folder.attempt(number).path.is_dir():
                mirror = Mirror(self._folder, number, self._port, is_over=True)
                await mirror.follow()
        await self._port.insist("forget", _FORGET_SECONDS, run=run)

    async def _follow(self, task: asyncio.Future[Any] | None) -> None:
        """Copy the attempt to its end. ``task`` is what watches it there; without one its record must tell."""
        mirror = Mirror(self._folder, self._plan.number, self._port)
        copying = asyncio.ensure_future(mirror.follow())
        try:
            if task is not None:
                await asyncio.wait((task, copying), return_when=asyncio.FIRST_COMPLETED)
                if task.done() and not _is_cut_off(task):
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
        with contextlib.suppress(Exception):  # the copy there is no loss; prune takes it
            await self._port.call("forget", _FORGET_SECONDS, run=self._folder.run)

    async def _unless_unwanted(self, work: Awaitable[Answer]) -> Answer:
        """Raises :class:`_Unwanted` as soon as nobody wants the run any more."""
        working = asyncio.ensure_future(work)
        try:
            while not working.done():
                if not self._folder.path.is_dir() or self._folder.asked("cancel") or self._folder.final():
                    raise _Unwanted
                await asyncio.wait((working,), timeout=_LOOK_SECONDS)
            return working.result()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    def _conclude(self, ending: dict[str, Any], from_there: bool) -> None:
        """Say here how the attempt ended; its events say so already where they came ``from_there``."""
        if ending["status"] == "succeeded":
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

    error = None if task.cancelled() else task.exception()
    return task.cancelled() or isinstance(error, (FutureCancelledError, OSError))


async def run_shipped(client: Any, worker: WorkerFacts, plan: AttemptPlan, left: asyncio.Event) -> None:
    """The worker gets a copy of the run, and what it writes is fetched."""
    await Shipment(client, worker, plan).run(left)


async def follow_shipped(client: Any, worker: WorkerFacts, plan: AttemptPlan, left: asyncio.Event) -> None:
    """The same for an attempt that the worker has already."""
    await Shipment(client, worker, plan).adopt(left)
