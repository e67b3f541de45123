"""The live protocol: a growing run as messages, the same over every transport.

::

    viewer → us   {"type": "watch", "run": ID}      also to start over after a gap
                  {"type": "unwatch", "run": ID}
    us → viewer   {"type": "snapshot", "run": ID, "sequence": 0, "view": SUMMARY, "series": {…}, "logs": […]}
                  {"type": "delta",    "run": ID, "sequence": n, "view": changed keys, "append": {…}, "logs": […]}
                  {"type": "final",    "run": ID, "sequence": n, "view": SUMMARY, "html": card, "text": card}
                  {"type": "error",    "run": ID, "message": …}

A series is ``{"steps": […], "values": […]}``. A viewer appends, and watches again when a
sequence number is missing. A snapshot may come at any time and replaces everything: when a
resumed run went back, and when a viewer would hold more than :data:`POINTS_KEPT` points a
series. Standard library only. One thread at a time may read a :class:`LiveRun`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from .folder import RunFolder
from .series import Series
from .tail import RunTail
from .view import RunView

Message = dict[str, Any]
Card = Callable[[RunView], tuple[str, str]]

POINTS_KEPT = 2000
"""The most points of one series that a viewer ever holds."""

_POINTS_AT_FIRST = 1500  # of a series that still grows, so that there is room to append
_APPENDED_AT_LEAST = 4  # points of one delta that are kept whatever the density
_LOG_CHARACTERS = 2000
_CLOCK_SECONDS = 2.0
_CLOCK_KEYS = frozenset({"as_of", "seconds", "seconds_left"})
_HISTOGRAM_BINS = 40
_LATENCY = "latency_ms."

_SUMMARY_KEYS = (
    *("run", "kind", "task", "model", "name", "tags", "parent", "status", "stage", "reason", "message", "problems"),
    *("attempt", "created", "started", "ended", "as_of", "step", "max_steps", "epoch", "epochs", "progress"),
    *("seconds", "seconds_left", "metrics", "reports", "artifacts"),
)


def summary(view: RunView, known: dict[str, tuple[float, Message]] | None = None) -> Message:
    """Everything of a view but its curves, samples and logs, as a JSON object.

    ``latency`` has one :func:`histogram` for each ``latency_ms.*`` series, by the rest of its name;
    ``known`` keeps those of the last call, by name, with the time of their newest value.
    """
    known = {} if known is None else known
    found: Message = {key: getattr(view, key) for key in _SUMMARY_KEYS}
    for key in ("metrics", "reports", "artifacts"):
        found[key] = dict(found[key])  # the view goes on changing its own
    found["latency"] = {}
    for name, series in view.series.items():
        if name.startswith(_LATENCY) and series.values:
            if name not in known or known[name][0] != series.times[-1]:
                known[name] = (series.times[-1], histogram(series.values))
            found["latency"][name.removeprefix(_LATENCY)] = known[name][1]
    return found


def histogram(values: Sequence[float]) -> Message:
    """``edges`` (n + 1), ``counts`` (n), ``p50``, ``p95``, ``p99`` and ``count`` of at least one value.

    The last bin also holds what is beyond the 99.5th percentile, so that one slow request
    does not squeeze all others into one bar.
    """
    ordered = sorted(values)
    low, high = ordered[0], quantile(ordered, 0.995)
    bins = min(_HISTOGRAM_BINS, max(1, len(ordered) // 2)) if high > low else 1
    width = (high - low) / bins or abs(low) * 0.02 or 1.0
    counts = [0] * bins
    for value in ordered:
        counts[min(bins - 1, int((value - low) / width))] += 1
    points = {f"p{part}": _short(quantile(ordered, part / 100)) for part in (50, 95, 99)}
    edges = [_short(low + width * number) for number in range(bins + 1)]
    return {"edges": edges, "counts": counts, **points, "count": len(ordered)}


def quantile(ordered: Sequence[float], part: float) -> float:
    """The quantile ``part`` (0 to 1) of sorted values, interpolated linearly."""
    place = (len(ordered) - 1) * part
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def decimate(steps: Sequence[int], values: Sequence[float], limit: int = POINTS_KEPT) -> tuple[list[int], list[float]]:
    """At most ``limit`` (≥ 4) points of a curve: first, last, and lowest and highest of equal stretches.

    No peak is lost, which is what a thinned loss curve must not do.
    """
    count = len(steps)
    if count <= limit:
        return list(steps), list(values)
    stretches = (limit - 2) // 2
    kept = [0]
    for number in range(stretches):
        start = 1 + (count - 2) * number // stretches
        stop = 1 + (count - 2) * (number + 1) // stretches
        part = values[start:stop]
        lowest, highest = part.index(min(part)), part.index(max(part))
        kept += [start + each for each in sorted({lowest, highest})]
    kept.append(count - 1)
    return [steps[each] for each in kept], [values[each] for each in kept]


class LiveRun:
    """One run's files, read once for all of its viewers."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.log_count = 0
        self._tail = RunTail(folder)
        self._complete = False
        self._histograms: dict[str, tuple[float, Message]] = {}

    @property
    def view(self) -> RunView:
        """The view as of the last :meth:`read`."""
        return self._tail.view

    def summary(self) -> Message:
        """The :func:`summary` of the view as last read."""
        return summary(self.view, self._histograms)

    @property
    def is_complete(self) -> bool:
        """Whether everything was read and nothing comes any more, unless somebody resumes the run."""
        return self._complete

    def read(self) -> RunView:
        """Take in what is new. Raises FileNotFoundError when the run was deleted."""
        if self._complete and self.folder.final() is not None:
            return self.view
        has_final = self.folder.final() is not None
        # Read after looking: final.json is written behind the last event.
        self.log_count += sum(event.kind == "log" for event in self._tail.read())
        self._complete = has_final
        return self.view


class LiveFeed:
    """What one viewer of a run is told, and what it knows already."""

    def __init__(self, live: LiveRun, card: Card) -> None:
        """``card`` gives (HTML, text) of a view for the final message."""
        self.live = live
        self._card = card
        self._sequence = 0
        self._summary: Message | None = None
        self._cursors: dict[str, _Cursor] = {}
        self._logs = 0
        self._told_end: str | None = None

    def restart(self) -> None:
        """Forget what the viewer knows: the next message is a snapshot."""
        self._summary, self._told_end = None, None

    def messages(self) -> list[Message]:
        """What to tell the viewer of the view as last read; empty when there is nothing new."""
        view = self.live.view
        came_back = self._told_end is not None and self._told_end != view.status
        if self._summary is None or came_back or any(self._must_restart(name, view) for name in self._cursors):
            found = [self._snapshot(view)]
        else:
            found = self._delta(view)
        if _has_ended(self.live) and self._told_end is None:
            self._told_end = view.status
            html, text = self._card(view)
            found.append({**self._next("final"), "view": self.live.summary(), "html": html, "text": text})
        return found

    def _snapshot(self, view: RunView) -> Message:
        self._summary, self._told_end, self._sequence = self.live.summary(), None, 0
        limit = POINTS_KEPT if _has_ended(self.live) else _POINTS_AT_FIRST
        self._cursors, series = {}, {}
        for name, each in view.series.items():
            self._cursors[name] = cursor = _Cursor()
            series[name] = cursor.take(each, limit)
        logs = self._fresh_logs(view, len(view.logs))
        return {
            "type": "snapshot",
            "run": view.run,
            "sequence": 0,
            "view": self._summary,
            "series": series,
            "logs": logs,
        }

    def _delta(self, view: RunView) -> list[Message]:
        before, now = self._summary or {}, self.live.summary()
        changed = {key: value for key, value in now.items() if before.get(key) != value}
        append = {}
        for name, each in view.series.items():
            cursor = self._cursors.setdefault(name, _Cursor())
            if len(each.steps) > cursor.taken:
                append[name] = cursor.take(each, _POINTS_AT_FIRST)
        logs = self._fresh_logs(view, self.live.log_count - self._logs)
        is_news = append or logs or changed.keys() - _CLOCK_KEYS
        is_over = self._told_end is not None
        if not is_news and (is_over or view.as_of - before["as_of"] < _CLOCK_SECONDS):
            return []
        self._summary = now
        return [{**self._next("delta"), "view": changed, "append": append, "logs": logs}]

    def _next(self, type: str) -> Message:
        self._sequence += 1
        return {"type": type, "run": self.live.view.run, "sequence": self._sequence}

    def _must_restart(self, name: str, view: RunView) -> bool:
        cursor, series = self._cursors[name], view.series.get(name)
        return series is None or cursor.went_back(series) or cursor.held > POINTS_KEPT - _APPENDED_AT_LEAST

    def _fresh_logs(self, view: RunView, count: int) -> list[Message]:
        self._logs = self.live.log_count
        fresh = islice(view.logs, max(0, len(view.logs) - count), None)
        return [{**line, "message": str(line["message"])[:_LOG_CHARACTERS]} for line in fresh]


class _Cursor:
    """How much of one series a viewer has, and how densely."""

    def __init__(self) -> None:
        self.taken = 0  # points of the series that were looked at
        self.held = 0  # points that the viewer has of them
        self._last: tuple[int, float] = (0, 0.0)

    def went_back(self, series: Series) -> bool:
        """Whether points that the viewer has were taken back by a resumed attempt."""
        if not self.taken:
            return False
        if len(series.steps) < self.taken:
            return True
        return (series.steps[self.taken - 1], series.times[self.taken - 1]) != self._last

    def take(self, series: Series, limit: int) -> Message:
        """The points since the last call, thinned to the density of those before."""
        fresh = len(series.steps) - self.taken
        if self.taken:
            density = self.held / self.taken
            limit = min(POINTS_KEPT - self.held, max(_APPENDED_AT_LEAST, round(fresh * density)))
        steps, values = decimate(series.steps[self.taken :], series.values[self.taken :], limit)
        self.taken, self.held = len(series.steps), self.held + len(steps)
        if self.taken:
            self._last = (series.steps[-1], series.times[-1])
        return {"steps": steps, "values": [_short(value) for value in values]}


def error_message(run: str, error: BaseException) -> Message:
    """What a viewer is told when a run cannot be shown."""
    text = f"run {run} was deleted" if isinstance(error, FileNotFoundError) else str(error)
    return {"type": "error", "run": run, "message": text}


def _has_ended(live: LiveRun) -> bool:
    return live.is_complete or live.view.status == "lost"


def _short(value: float) -> float:
    """Seven digits: what a chart can show, in half the bytes."""
    return float(f"{value:.7g}")
