"""Events: the only record of what a run did. Written first, then told.

Each writer of each attempt owns one file of JSON lines. An event's identity is
(attempt, writer, sequence). A torn last line is expected after a crash and is skipped.
"""

from __future__ import annotations

import heapq
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..redaction import redactor

EventKind = Literal["status", "metric", "log", "artifact", "sample"]
_OWN_KEYS = ("run", "attempt", "writer", "sequence", "time", "kind")
_LINES_AT_ONCE = 1000
_BLOCK_BYTES = 2**20
_TAIL_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the record. ``time`` is seconds since 1970.

    ``body`` by kind:

    ``status``    any of ``status``, ``stage``, ``reason``, ``message``, ``problems``, ``max_steps``, ``epochs``
    ``metric``    ``step`` and ``values`` (name → finite number), maybe ``epoch``
    ``log``       ``level`` (info, warning, error) and ``message``
    ``artifact``  ``name``, ``type``, and ``path`` (in the run folder) with ``digest`` and ``bytes``,
                  or ``content`` (a small JSON report)
    ``sample``    ``name`` and ``rows``
    """

    run: str
    attempt: int
    writer: str
    sequence: int
    time: float
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[int, str, int]:
        """What makes this event the same event wherever it is read."""
        return (self.attempt, self.writer, self.sequence)

    def to_dict(self) -> dict[str, Any]:
        """One flat JSON object."""
        own = {key: getattr(self, key) for key in _OWN_KEYS}
        return {**own, **self.body}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Event:
        """The event that :meth:`to_dict` gave."""
        return cls._taking(dict(values))

    @classmethod
    def _taking(cls, body: dict[str, Any]) -> Event:
        """The event of a parsed line; what is left of the line becomes its body."""
        take = body.pop
        own = take("run"), take("attempt"), take("writer"), take("sequence"), take("time"), take("kind")
        return cls(*own, body)


class EventWriter:
    """Appends the events of one writer of one attempt. Safe to use from several threads."""

    def __init__(self, path: Path, run: str, attempt: int, writer: str) -> None:
        self._run, self._attempt, self._writer = run, attempt, writer
        self._lock = threading.Lock()
        self._is_torn = False
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._sequence = self._next_sequence()

    def _next_sequence(self) -> int:
        """The number after the last event; a line that a crash tore is ended, so that the next one is whole."""
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")
        length = _TAIL_BYTES
        while True:
            tail = os.pread(self._descriptor, min(length, size), max(0, size - length))
            known = events_in(tail)  # its first line may be cut, and is then no event
            if known or length >= size:
                return known[-1].sequence + 1 if known else 0
            length *= 16

    def write(self, kind: EventKind, **body: Any) -> Event:
        """Append one event with one system call and return it. See :func:`clean`."""
        with self._lock:
            event = Event(self._run, self._attempt, self._writer, self._sequence, time.time(), kind, clean(body))
            line = json.dumps(event.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
            # A full disk may have torn the last line: what comes now begins a new one.
            data = (b"\n" if self._is_torn else b"") + line.encode("utf-8", "replace")
            self._is_torn = True
            while data:
                data = data[os.write(self._descriptor, data) :]
            self._is_torn = False
            self._sequence += 1
        return event

    def status(self, **body: Any) -> Event:
        """A status event: ``status``, ``stage``, ``reason``, ``message``, ``problems`` …"""
        return self.write("status", **body)

    def metric(self, step: int, values: Mapping[str, float], **body: Any) -> Event:
        """The numbers of one step."""
        return self.write("metric", step=step, values=dict(values), **body)

    def log(self, message: str, level: str = "info") -> Event:
        """A line for people."""
        return self.write("log", level=level, message=message)

    def report(self, name: str, content: Any) -> Event:
        """A small JSON report (``preflight``, ``metrics``, ``compile``, ``benchmark``)."""
        return self.write("artifact", name=name, type="report", content=content)

    def artifact(self, name: str, type: str, path: str, digest: str, bytes: int, **body: Any) -> Event:
        """A file or folder that now exists; ``path`` is relative to the run folder."""
        return self.write("artifact", name=name, type=type, path=path, digest=digest, bytes=bytes, **body)

    def sync(self) -> None:
        """Wait until everything written is on the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; writing afterwards is an error."""
        os.close(self._descriptor)


def read_events(path: Path) -> list[Event]:
    """The whole lines of one event file; lines that are not events (torn by a crash) are skipped."""
    return [event for block in read_blocks(path) for event in block]


def read_blocks(path: Path) -> Iterator[list[Event]]:
    """:func:`read_events` a block at a time: any number of events in little memory."""
    offset = 0
    while True:
        events, after = read_events_from(path, offset, _BLOCK_BYTES)
        if after == offset:
            return
        yield events
        offset = after


def read_events_from(path: Path, offset: int, limit: int = -1) -> tuple[list[Event], int]:
    """(events after ``offset``, offset after the last whole line).

    Reads at most about ``limit`` bytes, and everything if that is negative.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(limit)
        if limit >= 0:
            data += file.readline()
    end = data.rfind(b"\n") + 1
    return events_in(data[:end]), offset + end


def events_in(data: bytes) -> list[Event]:
    """The events of these lines; a line torn by a crash, behind which the writer began a new one, is skipped."""
    lines = [line for line in data.split(b"\n") if line]
    found: list[Event] = []
    for start in range(0, len(lines), _LINES_AT_ONCE):
        found += _parsed(lines[start : start + _LINES_AT_ONCE])
    return found


def _parsed(lines: list[bytes]) -> list[Event]:
    # One array is parsed in a third of the time of its lines.
    try:
        objects = json.loads(b"[" + b",".join(lines) + b"]")
        if len(objects) == len(lines):
            return [Event._taking(each) for each in objects]
    except (ValueError, KeyError, TypeError, AttributeError):
        if len(lines) == 1:
            return []
    # Halves, until the torn line is alone.
    middle = len(lines) // 2
    return _parsed(lines[:middle]) + _parsed(lines[middle:]) if middle else []


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events of several writers by attempt and time; one writer's own order always holds."""
    latest: dict[tuple[int, str], float] = {}
    found, keys = list(events), []
    is_ordered, before = True, (-1, 0.0, "", -1)
    for event in found:
        stream = (event.attempt, event.writer)
        # A clock that was set back must not reorder a writer's own events.
        when = latest.get(stream, 0.0)
        if event.time > when:
            latest[stream] = when = event.time
        key = (event.attempt, when, event.writer, event.sequence)
        is_ordered = is_ordered and before <= key
        keys.append(key)
        before = key
    if is_ordered:
        return found
    return [found[number] for number in sorted(range(len(found)), key=keys.__getitem__)]


def merged(streams: Iterable[Iterator[list[Event]]]) -> Iterator[Event]:
    """:func:`in_order` for streams of one attempt, each of one writer in blocks, without holding them all."""
    return (row[-1] for row in heapq.merge(*map(_keyed, streams)))


def _keyed(blocks: Iterator[list[Event]]) -> Iterator[tuple[float, str, int, Event]]:
    when = 0.0
    for block in blocks:
        for event in block:
            when = max(when, event.time)
            yield when, event.writer, event.sequence, event


def clean(value: Any) -> Any:
    """``value`` as the record may hold it: numbers that are none become null, secrets are hidden."""
    return _clean(value, redactor())


def _clean(value: Any, hide: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _clean(each, hide) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(each, hide) for each in value]
    return value
