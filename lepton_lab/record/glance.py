"""What a list shows of a living run, read from the few events that say it, from where the last look ended.

A run may have millions of metric events; status, progress and final numbers are in a handful
of lines, which are found in the bytes without parsing the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .event import Event, events_in, in_order
from .folder import RunFolder
from .view import RunFold, RunView

_BLOCK_BYTES = 2**24
# As EventWriter writes them. Quotes within a text are escaped, so no text looks like these.
_TELLING = (b'"kind": "status"', b'"name": "metrics"')
_STEPS = (b'"kind": "metric"', b'"loss": ')


class Glance:
    """The telling events of one run so far. ``memory`` is what the last look left: plain JSON."""

    def __init__(self, memory: Mapping[str, Any] | None = None) -> None:
        memory = memory or {}
        self._offsets: dict[str, int] = dict(memory.get("offsets", {}))
        self._told: list[Event] = [Event.from_dict(each) for each in memory.get("told", [])]
        self._steps: dict[str, list[Event]] = {
            name: [Event.from_dict(each) for each in events] for name, events in memory.get("steps", {}).items()
        }

    def memory(self) -> dict[str, Any]:
        """For the next :class:`Glance`."""
        return {
            "offsets": self._offsets,
            "told": [event.to_dict() for event in self._told],
            "steps": {name: [event.to_dict() for event in events] for name, events in self._steps.items()},
        }

    def look(self, folder: RunFolder, header: Mapping[str, Any]) -> RunView:
        """The run now. Its view has no curves, samples or logs."""
        for attempt in folder.attempts():
            for path in sorted(attempt.path.glob("events-*.jsonl")):
                name = f"{attempt.number}/{path.name}"
                for block in self._fresh(name, path):
                    self._told += events_in(b"\n".join(_lines_with(block, _TELLING)))
                    steps = events_in(b"\n".join(_last_lines_with(block, _STEPS)))
                    self._steps[name] = _newest([*self._steps.get(name, []), *steps])
        folding = RunFold(header)
        for event in in_order([*self._told, *(each for events in self._steps.values() for each in events)]):
            folding.apply(event)
        folding.view.series.clear()  # a point or two, which are no curve
        return folding.settle(folder, None)

    def _fresh(self, name: str, path: Path) -> Iterator[bytes]:
        """What was appended since the last look, in blocks of whole lines."""
        with path.open("rb") as file:
            file.seek(self._offsets.get(name, 0))
            while data := file.read(_BLOCK_BYTES) + file.readline():
                end = data.rfind(b"\n") + 1
                self._offsets[name] = self._offsets.get(name, 0) + end
                yield data[:end]
                if end < len(data):
                    return  # a line that is being written


def _newest(steps: list[Event]) -> list[Event]:
    """The last metric event, and before it the last that has a loss: they decide the step."""
    ordered = sorted({event.sequence: event for event in steps if event.kind == "metric"}.items())
    events = [event for _, event in ordered]
    with_loss = [event for event in events if "loss" in event.body["values"]]
    kept = [*with_loss[-1:], *events[-1:]]
    return kept[-1:] if len(kept) == 2 and kept[0] is kept[1] else kept


def _lines_with(data: bytes, words: tuple[bytes, ...]) -> Iterator[bytes]:
    """Each line that has one of these words, once."""
    starts = set()
    for word in words:
        at = data.find(word)
        while at >= 0:
            starts.add(data.rfind(b"\n", 0, at) + 1)
            at = data.find(word, data.find(b"\n", at))
    for start in sorted(starts):
        yield data[start : data.find(b"\n", start)]


def _last_lines_with(data: bytes, words: tuple[bytes, ...]) -> Iterator[bytes]:
    for word in words:
        at = data.rfind(word)
        if at >= 0:
            start = data.rfind(b"\n", 0, at) + 1
            yield data[start : data.find(b"\n", start)]
