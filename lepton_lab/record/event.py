"""Events: the only record of what a run did. Written first, then told.

Each writer of each attempt owns one file of JSON lines. An event's identity is
(attempt, writer, sequence). A torn last line is expected after a crash and is skipped.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

EventKind = Literal["status", "metric", "log", "artifact", "sample"]
_OWN_KEYS = ("run", "attempt", "writer", "sequence", "time", "kind")


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
        body = {key: value for key, value in values.items() if key not in _OWN_KEYS}
        return cls(**{key: values[key] for key in _OWN_KEYS}, body=body)


class EventWriter:
    """Appends the events of one writer of one attempt. Safe to use from several threads."""

    def __init__(self, path: Path, run: str, attempt: int, writer: str) -> None:
        self._run, self._attempt, self._writer = run, attempt, writer
        self._lock = threading.Lock()
        known = read_events(path) if path.exists() else []
        self._sequence = known[-1].sequence + 1 if known else 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            os.write(self._descriptor, b"\n")

    def write(self, kind: EventKind, **body: Any) -> Event:
        """Append one event with one system call and return it. Non-finite numbers become null."""
        with self._lock:
            event = Event(self._run, self._attempt, self._writer, self._sequence, time.time(), kind, _finite(body))
            line = json.dumps(event.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
            data = line.encode("utf-8", "replace")
            while data:
                data = data[os.write(self._descriptor, data) :]
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
    events, _ = read_events_from(path, 0)
    return events


def read_events_from(path: Path, offset: int) -> tuple[list[Event], int]:
    """(events after ``offset``, offset after the last whole line)."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    end = data.rfind(b"\n") + 1
    events = []
    for line in data[:end].splitlines():
        try:
            events.append(Event.from_dict(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            continue  # a line torn by a crash; the writer began a new one behind it
    return events, offset + end


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events of several writers by attempt and time; one writer's own order always holds."""
    latest: dict[tuple[int, str], float] = {}
    keyed = []
    for event in events:
        stream = (event.attempt, event.writer)
        # A clock that was set back must not reorder a writer's own events.
        when = max(event.time, latest.get(stream, 0.0))
        latest[stream] = when
        keyed.append(((event.attempt, when, event.writer, event.sequence), event))
    return [event for _, event in sorted(keyed, key=lambda pair: pair[0])]


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value
