"""RunView: what a run looks like now. A pure fold of its events, used by every front end."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .event import Event
from .folder import LOST_AFTER_SECONDS, RunFolder
from .series import Series

STATUSES = ("queued", "running", "cancelling", "succeeded", "failed", "cancelled", "lost")
ENDED = frozenset({"succeeded", "failed", "cancelled", "lost"})
LOG_LINES_KEPT = 500


@dataclass
class RunView:
    """A run as of ``as_of``. Times are seconds since 1970.

    ``series`` has every metric by name (``loss``, ``eval_loss``, ``learning_rate``,
    ``samples_per_second``, ``tokens_per_second``, ``memory_mb``, ``latency_ms.…``);
    ``reports`` has ``preflight``, ``metrics``, ``compile``, ``benchmark`` where there are any.
    """

    run: str
    kind: str = "train"
    task: str | None = None
    model: str | None = None
    name: str | None = None
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    parent: str | None = None
    created: float = 0.0
    status: str = "queued"
    stage: str = ""
    reason: str = ""
    message: str = ""
    problems: list[dict[str, str]] = field(default_factory=list)
    attempt: int = 0
    started: float | None = None
    ended: float | None = None
    as_of: float = 0.0
    step: int = 0
    max_steps: int = 0
    epoch: float | None = None
    epochs: float | None = None
    series: dict[str, Series] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    reports: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    samples: dict[str, list[Any]] = field(default_factory=dict)
    logs: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LOG_LINES_KEPT))
    first_step_time: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to this run by itself."""
        return self.status in ENDED

    @property
    def progress(self) -> float | None:
        """Steps done of all, 0 to 1; None before the number of steps is known."""
        if self.status == "succeeded":
            return 1.0
        return min(1.0, self.step / self.max_steps) if self.max_steps else None

    @property
    def seconds(self) -> float | None:
        """Seconds from start to end, or to now."""
        if self.started is None:
            return None
        return (self.ended if self.ended is not None else self.as_of) - self.started

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time left, from the pace of the steps of this attempt."""
        steps = self.series.get("loss") or self.series.get("progress")
        if self.is_over or not self.max_steps or steps is None or len(steps.steps) < 2:
            return None
        first = max(0, len(steps.steps) - 50)
        done = steps.steps[-1] - steps.steps[first]
        spent = steps.times[-1] - steps.times[first]
        return spent / done * (self.max_steps - self.step) if done > 0 else None


class RunFold:
    """Folds events into a :class:`RunView`, one at a time, in any number of goes."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        known = ("run", "kind", "task", "model", "name", "tags", "notes", "parent", "created")
        self.view = RunView(**{key: header[key] for key in known if header.get(key) is not None})
        self._applied: dict[tuple[int, str], int] = {}  # the last sequence of each writer, which counts up
        self._began: dict[int, int] = {}  # attempt → its first step
        self._told: tuple[str, str, str] = (self.view.status, "", "")

    def apply(self, event: Event) -> None:
        """Take one event in; one that was taken in before changes nothing."""
        stream = (event.attempt, event.writer)
        if event.sequence <= self._applied.get(stream, -1):
            return
        self._applied[stream] = event.sequence
        view, body = self.view, event.body
        is_late = event.attempt < view.attempt  # of an attempt that another has followed
        view.attempt = max(view.attempt, event.attempt)
        if event.kind == "status":
            if not is_late:
                self._apply_status(event)
        elif event.kind == "metric":
            self._apply_metric(event)
        elif event.kind == "log":
            view.logs.append({"time": event.time, "level": body["level"], "message": body["message"]})
        elif event.kind == "artifact":
            if "content" in body:
                view.reports[body["name"]] = body["content"]
                if body["name"] == "metrics":
                    view.metrics = dict(body["content"])
            else:
                view.artifacts[body["name"]] = dict(body)
        elif event.kind == "sample":
            view.samples[body["name"]] = list(body["rows"])

    def _apply_metric(self, event: Event) -> None:
        view, body = self.view, event.body
        step, values = int(body["step"]), body["values"]
        is_late = event.attempt < view.attempt
        if is_late and any(number > event.attempt and first <= step for number, first in self._began.items()):
            return  # computed again since
        if not is_late and event.attempt not in self._began:
            self._began[event.attempt] = step
            for each in view.series.values():
                each.cut(step)  # what the attempt before it did after its last checkpoint
        for name, value in values.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                series = view.series.get(name)
                if series is None:
                    series = view.series[name] = Series()
                if is_late:
                    series.insert(step, value, event.time)
                else:
                    series.put(step, value, event.time)
        if is_late:
            return
        view.step = max(view.step, step) if "loss" not in values else step
        view.epoch = body.get("epoch", view.epoch)
        if view.first_step_time is None:
            view.first_step_time = event.time

    def _apply_status(self, event: Event) -> None:
        view, body = self.view, event.body
        view.status, view.reason, view.message = self._told
        for name in ("stage", "reason", "message", "problems", "max_steps", "epochs"):
            if name in body:
                setattr(view, name, body[name])
        status = body.get("status")
        view.status = status or view.status
        self._told = (view.status, view.reason, view.message)
        if status == "running":
            view.started = view.started if view.started is not None else event.time
            view.ended = None
        if status in ENDED:
            view.ended = event.time

    def settle(self, folder: RunFolder, final: Mapping[str, Any] | None, now: float | None = None) -> RunView:
        """Bring in what events cannot say: whether it is over, a request to stop, a supervisor that fell silent.

        ``final`` is what :meth:`RunFolder.final` gave *before* the events were read: it is written
        behind the last event, so a view that is over has them all.
        """
        view = self.view
        view.as_of = time.time() if now is None else now
        view.status, view.reason, view.message = self._told  # a silence may have ended
        if final is not None:
            view.status, view.ended = final["status"], final["ended"]
            view.reason = final.get("reason", view.reason)
            view.message = final.get("message", view.message)
            view.problems = final.get("problems", view.problems)
            view.metrics = view.metrics or dict(final.get("metrics") or {})
            return view
        if view.status in ENDED:  # told, not written: what the run leaves may still be on its way here
            view.status, view.ended = "running", None
        if view.status == "running" and folder.asked("cancel"):
            view.status = "cancelling"
        if view.status in ("running", "cancelling") and view.attempt:
            attempt = folder.attempt(view.attempt)
            beat, link_down_since = attempt.heartbeat_time(), attempt.link_down_since()
            if link_down_since is not None:
                view.message = f"no connection to its worker for {view.as_of - link_down_since:.0f} s"
            if beat is not None and view.as_of - beat > LOST_AFTER_SECONDS:
                view.status, view.reason = "lost", "heartbeat" if link_down_since is None else "link"
                if link_down_since is None:
                    view.message = f"its supervisor has been silent for {view.as_of - beat:.0f} s"
        elif view.status == "queued":
            view.message = folder.waiting() or view.message
            view.status = "cancelling" if folder.asked("cancel") else "queued"
        return view


def fold(header: Mapping[str, Any], events: Iterable[Event]) -> RunView:
    """The view that these events give."""
    folding = RunFold(header)
    for event in events:
        folding.apply(event)
    return folding.view


def view_of(folder: RunFolder) -> RunView:
    """The run as it is now, from its folder."""
    folder.refresh()
    final = folder.final()
    folding = RunFold(folder.header())
    for event in folder.each_event():
        folding.apply(event)
    return folding.settle(folder, final)


def folded_events(events: Iterable[Event]) -> list[Event]:
    """Events with each step once: a step's numbers are joined, a later attempt's replace an earlier's."""
    metrics: dict[int, Event] = {}
    others = []
    for event in events:
        if event.kind != "metric":
            others.append(event)
            continue
        step = int(event.body["step"])
        known = metrics.get(step)
        if known is not None and known.attempt == event.attempt:
            values = {**known.body["values"], **event.body["values"]}
            body = {**known.body, **event.body, "values": values}
            metrics[step] = replace(known, body=body)
        else:
            if known is not None:  # an attempt that went back takes everything after that step with it
                metrics = {each: kept for each, kept in metrics.items() if each < step or kept.attempt == event.attempt}
            metrics[step] = event
    kept = sorted([*others, *metrics.values()], key=lambda each: (each.time, each.sequence))
    # Steps rise even where a clock was set back.
    in_steps = iter(sorted(metrics.values(), key=lambda each: int(each.body["step"])))
    return [next(in_steps) if each.kind == "metric" else each for each in kept]
