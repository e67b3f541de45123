"""The way to one worker that shares no disk with us: questions through the scheduler, asked again after a break."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ...errors import ClusterError
from ..link import Link
from .dock import HANDLER, serve

ANSWER_SECONDS = 10.0
"""After so long without an answer the link counts as down. The question is asked again."""

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_FIRST_BYTES, _LEAST_BYTES, _MOST_BYTES = 1 << 18, 1 << 14, 1 << 23
_AIM_SECONDS = 0.5


class LinkDown(ClusterError):
    """No answer from the worker: the network, the scheduler or the worker is away, for now or for good."""


class Pace:
    """How many bytes go in one message, so that each takes about half a second on this link."""

    def __init__(self) -> None:
        self.size = _FIRST_BYTES

    def took(self, seconds: float, size: int) -> None:
        """A message of ``size`` bytes took so long."""
        if seconds > 2 * _AIM_SECONDS:
            self.size = max(_LEAST_BYTES, self.size // 2)
        elif seconds < _AIM_SECONDS and size >= self.size:
            self.size = min(_MOST_BYTES, self.size * 2)

    def failed(self) -> None:
        """A message did not arrive in time."""
        self.size = max(_LEAST_BYTES, self.size // 4)


class WorkerPort:
    """Asks the dock of the worker at ``address``."""

    def __init__(self, link: Link, address: str, home: str | None = None) -> None:
        self._link = link
        self._home = home
        self._is_open = False
        self.address = address
        self.pace = Pace()
        self.down_since: float | None = None

    async def call(self, name: str, timeout: float = ANSWER_SECONDS, /, **arguments: Any) -> Any:
        """One question, once. Raises :class:`LinkDown` when it was not answered in ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                if not self._is_open:
                    await self._link.client.run(serve, home=self._home, workers=[self.address])
                    self._is_open = True
                found = await self._link.client.scheduler.proxy(
                    worker=self.address, msg={"op": HANDLER, "call": name, "arguments": arguments}
                )
        except (OSError, TimeoutError) as error:  # what Dask raises for a lost connection is an OSError
            self.down_since = self.down_since or time.time()
            raise LinkDown(f"no answer from the worker {self.address}: {error or 'timed out'}") from error
        if found is None:  # another process is at this address, whose dock is closed
            self._is_open = False
            raise LinkDown(f"the worker {self.address} was started anew")
        self.down_since = None
        if "error" in found:
            raise ClusterError(f"the worker {self.address} could not {name}: {found['error']}")
        return found["answer"]

    async def insist(self, name: str, timeout: float = ANSWER_SECONDS, /, **arguments: Any) -> Any:
        """The same question until it is answered, however long that takes; cancel it to give up."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self.call(name, timeout, **arguments)
            except LinkDown:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def transfer(self, name: str, size: int, /, **arguments: Any) -> Any:
        """One message of up to ``size`` bytes, that sets the pace. Raises :class:`LinkDown`."""
        begun = time.monotonic()
        try:
            found = await self.call(name, **arguments)
        except LinkDown:
            self.pace.failed()
            raise
        self.pace.took(time.monotonic() - begun, size)
        return found
