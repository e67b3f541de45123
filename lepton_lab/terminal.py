"""How a run looks in a terminal: progress on stderr while it goes on, a summary at its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from .commands.findings import findings_text
from .commands.preflight import preflight_text
from .commands.results import number_text, pairs_text, seconds_text
from .commands.trials import ENDED, standing_text, trial_text, trials_text
from .lab import Run
from .record import RunView

# How often a log without a terminal gets a line.
_LINE_SECONDS = 10.0
# Of a terminal's height: the bar, the heading of a table, and something to read above it.
_LINES_ASIDE = 8


class Interrupted(Exception):
    """Ctrl-C ended the watching; the run was left as it is."""


def watch(run: Run, cancels: bool) -> None:
    """Wait for the end of ``run`` and show its progress on stderr.

    Ctrl-C cancels the run if ``cancels`` (a second one leaves it to save by itself), else it
    only ends the watching. Raises :class:`Interrupted` when the watching ended first.
    """
    console = _Console(file=sys.stderr, highlight=False, soft_wrap=True)
    asked = False
    with _Bar(console) if console.is_terminal else _Lines(console) as face:
        while True:
            try:
                run.wait(on_view=face.see)
                return
            except KeyboardInterrupt:
                if asked or not cancels:
                    raise Interrupted from None
                asked = True
                face.say(f"Cancelling run {run.id}: it saves at its next step. Ctrl-C again leaves it to that.")
                run.cancel()


class _Console(Console):
    """A console whose reader may leave: the run is waited for all the same."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class _Face:
    """Shows what is new in a view: stage, preflight, evaluations, warnings."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._stage = ""
        self._announced = False
        self._reports: set[str] = set()
        self._logs = 0.0
        self._evaluated = -1

    def __enter__(self) -> _Face:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, text: str, style: str = "") -> None:
        """A line that stays."""
        self.console.print(Text(text, style=style))

    def see(self, view: RunView) -> None:
        """Show what this view has that the last one had not."""
        if not self._announced:
            self._announced = True
            what = " ".join(str(each) for each in (view.kind, view.task, view.model) if each)
            self.say(f"Run {view.run}: {what}", "bold")
        if "preflight" in view.reports and "preflight" not in self._reports:
            self._reports.add("preflight")
            self.say(preflight_text(view.reports["preflight"]))
        for line in view.logs:
            if line["time"] > self._logs:
                self._logs = line["time"]
                if line["level"] == "info":  # what was decided, and why: precision, learning rate, licence
                    self.say(f"  {line['message']}", "dim")
                else:
                    self.say(f"{line['level'].title()}: {line['message']}", "yellow")
        evaluated = max(
            (series.steps[-1] for name, series in view.series.items() if name.startswith("eval_")), default=-1
        )
        if evaluated > self._evaluated:
            self._evaluated = evaluated
            self.say(f"  step {evaluated}: {_evaluation(view, evaluated)}")
        self.progress(view)

    def progress(self, view: RunView) -> None:
        """Show how far the run is."""


class _Lines(_Face):
    """For a log file: a line a stage, and one every few seconds."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._last = 0.0
        self._trials: set[int] = set()

    def progress(self, view: RunView) -> None:
        report = view.reports.get("sweep", {"trials": []})
        for row in report["trials"]:
            if row["state"] in ENDED and row["trial"] not in self._trials:
                self._trials.add(row["trial"])
                self.say(f"  {trial_text(row, report)}")
        stage = _stage(view)
        if stage != self._stage or time.monotonic() - self._last > _LINE_SECONDS:
            self._stage, self._last = stage, time.monotonic()
            self.say(f"  {stage} {_step(view)} {_numbers(view)}".rstrip())


class _Area(Progress):
    """The bar, and above it what else is not to stay."""

    above = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """What rich draws."""
        if self.above:
            yield Text(self.above)
        yield from super().get_renderables()


class _Bar(_Face):
    """For a terminal: one bar that moves; above it, the trials of a sweep."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[step]} {task.fields[numbers]}"),
        )
        self._progress = _Area(*columns, console=console, refresh_per_second=5, transient=True)
        self._task = self._progress.add_task("queued", total=None, step="", numbers="")

    def __enter__(self) -> _Face:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def progress(self, view: RunView) -> None:
        stage = _stage(view)
        if "sweep" in view.reports:
            room = max(3, self.console.height - _LINES_ASIDE)
            self._progress.above = trials_text(view.reports["sweep"], room)
        self._progress.update(
            self._task,
            description=stage,
            total=view.max_steps or None,
            completed=view.step,
            step=_step(view),
            numbers=_numbers(view),
        )


def run_text(view: RunView) -> str:
    """A run at its end, or as it stands, for a terminal."""
    lines = [f"Run {view.run} {view.status} after {seconds_text(view.seconds)}"]
    numbers = {name: number_text(value) for name, value in view.metrics.items() if isinstance(value, (int, float))}
    if numbers:
        lines.append("\n".join(f"  {line}" for line in pairs_text(numbers.items()).splitlines()))
    lines += [f"  {line}" for line in findings_text(view.reports).splitlines()]
    if view.kind == "sweep" and "sweep" in view.reports:
        lines += [f"  {line}" for line in trials_text(view.reports["sweep"]).splitlines()]
    if view.kind in ("train", "sweep") and view.status == "succeeded":
        lines.append(f'Next: lepton compile {view.run} · lepton predict {view.run} "…" · lepton show {view.run}')
    elif not view.is_over:
        lines.append(f"  {_step(view)} {_numbers(view)}".rstrip())
    return "\n".join(lines)


def event_line(event: dict[str, Any]) -> str:
    """One event as one line."""
    moment = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    kind = event["kind"]
    if kind == "metric":
        values = " ".join(f"{name}={number_text(value)}" for name, value in event["values"].items())
        return f"{moment} step {event['step']}: {values}"
    if kind == "log":
        return f"{moment} {event['level']}: {event['message']}"
    if kind == "artifact":
        return f"{moment} {event.get('type', 'artifact')} {event['name']} {event.get('path', '')}".rstrip()
    shown = {
        key: value
        for key, value in event.items()
        if key not in ("run", "attempt", "writer", "sequence", "time", "kind")
    }
    return f"{moment} {kind} " + " ".join(
        f"{key}={value}" for key, value in shown.items() if not isinstance(value, (list, dict))
    )


def _stage(view: RunView) -> str:
    return view.stage if view.status == "running" and view.stage else view.status


def _step(view: RunView) -> str:
    if not view.step and not view.max_steps:
        return ""
    return f"{view.step}/{view.max_steps}" if view.max_steps else f"{view.step}"


def _numbers(view: RunView) -> str:
    parts = []
    if view.kind == "sweep":
        return " · ".join(filter(None, ("trials done", standing_text(view.reports.get("sweep", {"trials": []})))))
    if view.stage != "train" and view.kind == "train" and not view.is_over:
        return ""  # numbers of a stage that has passed
    if "loss" in view.series:
        parts.append(f"loss {number_text(view.series['loss'].values[-1])}")
    for name in ("tokens_per_second", "samples_per_second"):
        if name in view.series and view.status == "running":
            parts.append(f"{number_text(view.series[name].values[-1])} {name.partition('_')[0]}/s")
            break
    if view.seconds_left is not None:
        parts.append(f"{seconds_text(view.seconds_left)} left")
    return " · ".join(parts)


def _evaluation(view: RunView, step: int) -> str:
    """Evaluation metrics of this step, without those that say only how long it took."""
    found = {
        name: series.values[-1]
        for name, series in view.series.items()
        if name.startswith("eval_") and series.steps[-1] == step and not name.endswith(("_runtime", "_per_second"))
    }
    return ", ".join(f"{name} {number_text(value)}" for name, value in found.items())
