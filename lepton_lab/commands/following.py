"""Events of a run as they come, each step once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..record import Event, RunTail, folded_events

if TYPE_CHECKING:
    from ..lab import Run

_POLL_SECONDS = 0.1
# A step's numbers come in several events (loss, then evaluation); they are told together.
_SETTLE_SECONDS = 2.0


def follow(run: Run, raw: bool = False) -> Iterator[Event]:
    """Events until the run is over. Unless ``raw``, a step that was told is not told again."""
    tail = RunTail(run.folder)
    teller = _Teller()
    while True:
        fresh = tail.read()
        yield from fresh if raw else teller.take(fresh)
        if tail.view.is_over:
            # Nothing is written after the last status, but it may have come between two files.
            yield from tail.read() if raw else teller.take(tail.read())
            yield from teller.rest()
            return
        yield from teller.settled()
        time.sleep(_POLL_SECONDS)


class _Teller:
    """Holds the newest step back until its numbers are together."""

    def __init__(self) -> None:
        self._last_step = -1
        self._held: list[Event] = []
        self._held_since = 0.0

    def take(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if event.kind != "metric":
                yield event
                continue
            step = int(event.body["step"])
            if step <= self._last_step:
                continue  # computed again after a crash, or too late to join its step
            if self._held and step != int(self._held[0].body["step"]):
                yield from self.rest()
                if step <= self._last_step:
                    continue
            if not self._held:
                self._held_since = time.monotonic()
            self._held.append(event)

    def settled(self) -> Iterator[Event]:
        if self._held and time.monotonic() - self._held_since > _SETTLE_SECONDS:
            yield from self.rest()

    def rest(self) -> Iterator[Event]:
        if self._held:
            self._last_step = int(self._held[0].body["step"])
            yield from folded_events(self._held)
            self._held = []
