"""Copies an attempt that runs on a worker without our disk into our run folder, as it grows.

Viewers read our folder and notice nothing. Event files are copied byte by byte from where our
copy ends, so nothing is missed and nothing comes twice, whatever broke in between; heartbeats
are told in our own time; checkpoints and artifacts come in chunks, whole or not at all.
Requests to stop and to save go the other way.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
from typing import Any

from ...record import (
    HEARTBEAT_SECONDS,
    AttemptFolder,
    RunFolder,
    checkpoint_step,
    checkpoints_in,
    drop_superseded,
    is_complete,
    read_events,
    read_json,
    remove_checkpoint,
    write_json,
)
from .carrier import INCOMING, Carrier
from .dock import EVENT_BYTES, SMALL_FILES
from .port import ANSWER_SECONDS, LinkDown, WorkerPort

_STREAM = re.compile(r"events-[a-z0-9_-]+\.jsonl|worker\.log")
_SAID_LATER = "ended"  # by who copies, when all the rest is here
_PATIENCE_SECONDS = 2.0  # of a question when all is quiet
_GATHER_SECONDS = 0.1  # events that come within it come together
_LOOK_SECONDS = 0.1
_PAUSE_SECONDS = 0.5
_DISK_SECONDS = 5.0
_LEAST_BYTES = 1 << 14
_BEGIN_SECONDS = 30.0  # for an attempt whose task nobody sees to be found there
_SETTLE_SECONDS = 1.0  # after the end of an attempt whose task nobody sees: its last event may be on its way


class Mirror:
    """One attempt, copied. Nobody else writes these copies; there is one mirror an attempt."""

    def __init__(self, folder: RunFolder, attempt: AttemptFolder, port: WorkerPort, is_over: bool = False) -> None:
        """``is_over``: the attempt was given up, and has ended there since; only what it left is fetched.

        However it ended there, the next attempt needs its checkpoints.
        """
        self._folder = folder
        self._attempt = attempt
        self._port = port
        self._carrier = Carrier(port, folder, self._attempt)
        self._offsets = {
            path.name: path.stat().st_size for path in self._attempt.path.iterdir() if _STREAM.fullmatch(path.name)
        }
        self._most_bytes = EVENT_BYTES
        self._beat: float | None = self._attempt.heartbeat_time()
        self._wanted: list[str] = []
        self._is_fetching = asyncio.Event()
        self._is_last = self._is_given_up = is_over
        self._quiet_since: float | None = None
        self._alone_since: float | None = None
        # Who gave it up has written how it ended.
        self._skipped = {"events-dispatch.jsonl"} if is_over else set()
        self.state: dict[str, Any] = {}
        """The small files and the names of whole checkpoints, as the worker's host had them last."""

    def finish(self) -> None:
        """The attempt is over: copy what is left and return from :meth:`follow`."""
        self._is_last = True

    def lose_sight(self) -> None:
        """Nobody sees the attempt's task: its record must tell when it is over, or that it never began."""
        self._alone_since = time.monotonic()

    async def follow(self) -> None:
        """Copy until the attempt has ended (or :meth:`finish` was called) and everything is here.

        Outlives any break of the link: cancel it to give up. Raises :class:`ClusterError` for
        what does not arrive as it left.
        """
        for name in self._offsets:
            self._want_artifacts(name)
        carrying = asyncio.create_task(self._carry())
        helpers = [carrying, *(asyncio.create_task(each) for each in (self._pass_requests(), self._tell_link()))]
        try:
            while not await self._copy_once() and not carrying.done():
                pass
            while self._wanted and not carrying.done():
                await asyncio.sleep(_LOOK_SECONDS)
            if carrying.done():
                carrying.result()
        finally:
            for each in helpers:
                each.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        shutil.rmtree(self._attempt.path / INCOMING, ignore_errors=True)

    async def _copy_once(self) -> bool:
        """One question and what it brings; whether that was all there will ever be."""
        is_last = self._is_last
        patience = 0.0 if is_last else _LOOK_SECONDS if self.state.get("ended") else _PATIENCE_SECONDS
        try:
            found = await self._port.call(
                "observe",
                ANSWER_SECONDS + patience,
                run=self._folder.run,
                attempt=self._attempt.number,
                host=self._attempt.host,
                offsets=self._offsets,
                known=self.state,
                patience=patience,
                most=self._most_bytes,
            )
        except LinkDown:
            self._most_bytes = max(_LEAST_BYTES, self._most_bytes // 4)
            await asyncio.sleep(_PAUSE_SECONDS)
            return False
        self._most_bytes = min(EVENT_BYTES, self._most_bytes * 2)
        if found is None:  # not begun yet, or deleted there
            await asyncio.sleep(_LOOK_SECONDS)
            never_began = self._alone_since is not None and time.monotonic() - self._alone_since > _BEGIN_SECONDS
            return is_last or never_began
        try:
            for name, data in found["streams"].items():
                self._append(name, data)
            self._take_state(found["state"])
            self._take_beat(found["beat_age"])
        except OSError:  # our disk: what is there stays there until it can be taken
            await asyncio.sleep(_DISK_SECONDS)
            return False
        if found["streams"] and not found["more"] and not is_last:
            await asyncio.sleep(_GATHER_SECONDS)
        if found["streams"] or found["alive"] or not self.state["ended"]:
            self._quiet_since = None
            return is_last and not found["streams"]
        self._quiet_since = self._quiet_since or time.monotonic()
        return is_last or time.monotonic() - self._quiet_since > _SETTLE_SECONDS

    def _append(self, name: str, data: bytes) -> None:
        if not _STREAM.fullmatch(name):
            raise ValueError(f"the worker names a file that is none of ours: {name[:80]!r}")
        if name in self._skipped:
            self._offsets[name] = self._offsets.get(name, 0) + len(data)
            return
        with (self._attempt.path / name).open("ab") as file:
            if file.tell() != self._offsets.get(name, 0):  # a write that failed half way
                file.truncate(self._offsets.get(name, 0))
            file.write(data)
        self._offsets[name] = self._offsets.get(name, 0) + len(data)
        if b'"artifact"' in data:
            self._want_artifacts(name)

    def _want_artifacts(self, name: str) -> None:
        """Files and folders that events speak of and that are not here yet."""
        for event in read_events(self._attempt.path / name) if name.endswith(".jsonl") else []:
            if event.kind == "artifact" and "path" in event.body:
                self._want(str(event.body["path"]))

    def _want(self, path: str, first: bool = False) -> None:
        if path not in self._wanted and not (self._folder.path / path).exists():
            self._wanted.insert(0 if first else len(self._wanted), path)
            self._is_fetching.set()

    def _take_state(self, state: dict[str, Any]) -> None:
        if state == self.state:
            return
        for name in SMALL_FILES:
            if name != _SAID_LATER and state[name] and state[name] != self.state.get(name):
                write_json(self._attempt.path / f"{name}.json", state[name])
        self.state = state
        folder = f"attempts/{self._attempt.path.name}/checkpoints"
        names = sorted(state["checkpoints"], key=lambda name: int(name.rpartition("-")[2]))
        self._wanted = [path for path in self._wanted if not path.startswith(folder) or path.split("/")[-1] in names]
        if (state["ended"] or {}).get(
            "status"
        ) == "succeeded" and not self._is_given_up:  # the model is what counts now
            self._wanted = [path for path in self._wanted if not path.startswith(folder)]
            return
        for name in names:
            self._want(f"{folder}/{name}", first=True)  # the newest before all else
        self._drop_checkpoints(set(names))

    def _drop_checkpoints(self, kept: set[str]) -> None:
        """Checkpoints that the training has let go go here too, once a newer one is here."""
        here = checkpoints_in(self._attempt.path / "checkpoints")
        newest = max((checkpoint_step(path) for path in here if is_complete(path)), default=-1)
        for path in here:
            if path.name not in kept and checkpoint_step(path) < newest:
                remove_checkpoint(path)
        drop_superseded(self._folder, self._attempt)

    def _take_beat(self, age: float | None) -> None:
        if age is not None:
            # When the supervisor has left, who brings what the attempt left is alive in its place.
            self._beat = time.time() - (0.0 if self.state.get("ended") else age)
            write_json(self._attempt.path / "heartbeat.json", {"time": self._beat})

    async def _carry(self) -> None:
        """Fetch what is wanted, one thing after the other."""
        while True:
            await self._is_fetching.wait()
            self._is_fetching.clear()
            while self._wanted:
                path = self._wanted[0]
                try:
                    await self._carrier.fetch(path)
                except OSError:  # our disk; ClusterErrors are no OSErrors
                    await asyncio.sleep(_DISK_SECONDS)
                    continue
                if path in self._wanted:
                    self._wanted.remove(path)
                self._drop_checkpoints(set(self.state.get("checkpoints", ())))

    async def _pass_requests(self) -> None:
        """Hand requests to stop and to save on, at once and until they have arrived."""
        passed: dict[str, Any] = {}
        folder = self._folder.path / "control"
        while True:
            for path in sorted(folder.glob("[a-z]*.json")):
                body = read_json(path)
                if body is None or passed.get(path.stem) == body:
                    continue
                if await self._port.insist("ask", run=self._folder.run, word=path.stem, body=body):
                    passed[path.stem] = body
            await asyncio.sleep(_LOOK_SECONDS)

    async def _tell_link(self) -> None:
        """While nothing can be heard, say so: viewers must not take silence for health, nor for death at once.

        While the rest of an attempt that has ended is fetched, which can last, it is no silence.
        """
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if self._beat is None:
                continue
            with contextlib.suppress(OSError):  # our disk
                if self._port.down_since is not None:
                    beat = {"time": self._beat, "link_down_since": self._port.down_since, "worker": self._port.address}
                    write_json(self._attempt.path / "heartbeat.json", beat)
                elif self.state.get("ended"):
                    self._take_beat(0.0)
