"""What the agent tells others of a cluster that somebody pays for: that it is in use, and how much of it was."""

from __future__ import annotations

import time
from typing import Any

_SIGNS = 8  # of life, in the time after which a scheduler takes itself for idle
_LONGEST_PAUSE_SECONDS = 60.0


class Wakefulness:
    """Lets a scheduler that ends when idle see that runs go on.

    It counts tasks only. To it, a run that a new agent adopted, data on its way there, and a model on its way back
    are idleness.
    """

    def __init__(self, idle_seconds: float) -> None:
        self._pause = min(_LONGEST_PAUSE_SECONDS, idle_seconds / _SIGNS)
        self._next = 0.0
        self._sign: Any = None

    def show(self, client: Any) -> None:
        """Give it a tiny task, unless the last one still waits. To be called all the time while there are runs."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._pause
        if self._sign is None or self._sign.client is not client or self._sign.done():
            self._sign = client.submit(abs, 0, pure=False)


class WorkerHours:
    """For how long how many workers were asked for, since this agent started."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._before = time.monotonic()

    def count(self, workers: int) -> None:
        """So many are asked for, since the last call."""
        now = time.monotonic()
        self._seconds[workers] = self._seconds.get(workers, 0.0) + now - self._before
        self._before = now

    def to_list(self) -> list[tuple[int, float]]:
        """(workers, hours) pairs."""
        return [(workers, seconds / 3600) for workers, seconds in self._seconds.items()]
