"""Reading a run as it grows: from a cursor, nothing twice, nothing missed."""

from __future__ import annotations

from pathlib import Path

from .event import Event, in_order, read_events_from
from .folder import RunFolder
from .view import RunFold, RunView


class RunTail:
    """A cursor over all event files of one run, and the view folded from them so far."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._offsets: dict[Path, int] = {}
        self._fold = RunFold(folder.header())

    @property
    def view(self) -> RunView:
        """The view as of the last :meth:`read`."""
        return self._fold.view

    def read(self) -> list[Event]:
        """The events since the last call, in order; the view has taken them in."""
        self.folder.refresh()
        final = self.folder.final()
        fresh: list[Event] = []
        for attempt in self.folder.attempts():
            for path in sorted(attempt.path.glob("events-*.jsonl")):
                events, self._offsets[path] = read_events_from(path, self._offsets.get(path, 0))
                fresh += events
        fresh = in_order(fresh)
        for event in fresh:
            self._fold.apply(event)
        self._fold.settle(self.folder, final)
        return fresh
