"""What a sweep does: it asks the study for values, has runs done with them, and tells it what came of them.

Whatever it knows is in the record: the study in the sweep's folder, and in the header of each
trial's run which trial of which sweep that is. So a controller that was killed is followed by one
that takes up the same runs, and none is done twice.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from .. import dispatch, lab
from ..errors import ClusterError, LeptonError, Problem, RequestError
from ..recipe import Recipe, SweepConfig, dimensions_of, grid_of, with_values
from ..recipe.defaults import resolve_defaults
from ..record import RunFolder, RunTail, RunView, children_of, mark_complete
from ..work.context import WorkContext
from ..work.outputs import deliver
from .report import counts_of, sweep_report, value_of
from .study import ENDED, Study

_LOOK_SECONDS = 0.2
_ROOM_SECONDS = 2.0
_WAKE_SECONDS = 10.0
_RETRY_SECONDS = 5.0
_REPORT_SECONDS = 1.0
_TRIALS = 20


def run(context: WorkContext) -> dict[str, Any]:
    """Search until every trial is done; the final metrics.

    Raises :class:`~lepton_lab.work.context.Stopped`, and :class:`RequestError` when no trial ended well.
    """
    return Controller(context).run()


class Controller:
    """One attempt at one sweep."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        self._folder, self._events = context.folder, context.events
        self._recipe = context.recipe
        self._dimensions = dimensions_of(self._recipe)
        grid = grid_of(self._dimensions) if self._recipe.sweep.sampler == "grid" else None
        self._total = min(self._recipe.sweep.trials or grid or _TRIALS, grid or math.inf)
        self._study = Study(self._folder.path / "study.journal", self._recipe, self._dimensions)
        self._tails: dict[int, RunTail] = {}
        self._statuses: dict[int, str] = {}
        self._told: set[int] = set()
        self._room = (-math.inf, 1)
        self._woken = self._tried = self._reported = -math.inf
        self._is_news = True

    def run(self) -> dict[str, Any]:
        """See :func:`run`."""
        self._events.status(stage="search", max_steps=int(self._total))
        self._take_up()
        while self._running() or self._may_begin():
            self._watch()
            if self._context.should_stop():
                self._leave()
            self._begin()
            self._report()
            time.sleep(_LOOK_SECONDS)
        self._report(at_once=True)
        return self._conclude()

    def _take_up(self) -> None:
        """Go on where an earlier attempt was: adopt its runs, and tell of trials that it had no time to tell of."""
        for folder in children_of(self._folder.run):
            number = (folder.header().get("submitter") or {}).get("trial")
            if number is not None:
                self._tails[int(number)] = RunTail(folder)
        for event in self._folder.each_event():
            if event.kind == "metric":
                self._told.add(int(event.body["trial"]))
        ended = [trial for trial in self._study.trials() if trial.state in ENDED]
        for trial in sorted(ended, key=lambda each: (each.datetime_complete is None, each.datetime_complete)):
            self._tell_of(trial)
        for number, tail in self._running_tails():
            self._study.note(number, run=tail.folder.run)
            lab.ensure_handed_over(tail.folder)
            if (tail.folder.final() or {}).get("reason") == self._recipe.kind:
                self._resume(number, tail)

    def _resume(self, number: int, tail: RunTail) -> None:
        """A trial that was cancelled with the sweep goes on with it."""
        try:
            lab.Run(tail.folder).resume()
        except LeptonError as error:
            self._end(number, TrialState.FAIL, f"run {tail.folder.run} could not be resumed: {error}")

    def _running(self) -> list[int]:
        return [trial.number + 1 for trial in self._study.trials() if trial.state == TrialState.RUNNING]

    def _may_begin(self) -> bool:
        if len(self._study.trials()) >= self._total:
            return False
        minutes = self._recipe.sweep.timeout_minutes
        began = float(self._folder.attempt(1).lease().get("time", time.time()))
        return minutes is None or time.time() - began < 60 * minutes

    def _begin(self) -> None:
        """Start runs for trials that have none, and new trials as far as there is room."""
        for number in self._running():
            if number not in self._tails:
                self._start(number)
        while self._may_begin() and len(self._running()) < self._places():
            self._start(self._study.ask())

    def _start(self, number: int) -> None:
        if time.monotonic() - self._tried < _RETRY_SECONDS:
            return
        recipe = trial_recipe(self._recipe, self._folder.run, number, self._study.values(number))
        try:
            started = lab.start(recipe, parent=self._folder.run, trial=number)
        except ClusterError as error:
            self._tried = time.monotonic()
            self._events.log(f"trial {number} could not be handed over and is tried again: {error}", "warning")
            return
        except RequestError as error:
            self._end(number, TrialState.FAIL, str(error))
            return
        self._tails[number] = RunTail(started.folder)
        self._study.note(number, run=started.id)
        self._is_news = True

    def _places(self) -> int:
        """How many trials may run now."""
        wished = self._recipe.sweep.parallel
        if wished is not None:
            return wished
        looked, room = self._room
        if time.monotonic() - looked > _ROOM_SECONDS:
            active = sum(tail.view.status != "queued" for _, tail in self._running_tails())
            free = dispatch.cluster_status(self._recipe.resources.cluster).get("free_devices", 0)
            room = max(1, free + active)
            self._room = (time.monotonic(), room)
        return room

    def _running_tails(self) -> Iterator[tuple[int, RunTail]]:
        return ((number, self._tails[number]) for number in self._running() if number in self._tails)

    def _watch(self) -> None:
        """Read what the runs of the trials wrote."""
        running = list(self._running_tails())
        if time.monotonic() - self._woken > _WAKE_SECONDS:
            self._woken = time.monotonic()
            dispatch.wake_all([tail.folder for _, tail in running])
        for number, tail in running:
            try:
                tail.read()
            except FileNotFoundError:
                self._end(number, TrialState.FAIL, f"run {tail.folder.run} was deleted")
                continue
            series = tail.view.series.get(f"eval_{self._recipe.sweep.metric}")
            results = list(series.values) if series else []
            self._is_news |= len(results) != len(self._study.trials()[number - 1].intermediate_values)
            is_hopeless = self._study.report(number, results)
            self._is_news |= self._statuses.get(number) != tail.view.status
            self._statuses[number] = tail.view.status
            if tail.folder.final() is not None:
                tail.read()  # what was written between
                self._conclude_trial(number, tail.view)
            elif is_hopeless and not tail.folder.asked("cancel"):
                message = f"pruned after evaluation {len(results)}: {self._recipe.sweep.metric} {results[-1]:.4g}"
                dispatch.request_cancel(tail.folder, reason="pruned", message=message)

    def _conclude_trial(self, number: int, view: RunView) -> None:
        if view.reason == self._recipe.kind:
            return  # cancelled with the sweep: it goes on if that is resumed
        name = f"eval_{self._recipe.sweep.metric}"
        value = view.metrics.get(name)
        self._study.note(number, ended=view.status)
        if view.status == "succeeded" and isinstance(value, (int, float)):
            self._end(number, TrialState.COMPLETE, value=float(value))
        elif view.status == "succeeded":
            self._end(number, TrialState.FAIL, f"run {view.run} has no {name}")
        elif view.reason == "pruned":
            self._study.note(number, message=view.message)
            self._end(number, TrialState.PRUNED)
        else:
            self._end(number, TrialState.FAIL, f"run {view.run} {view.status}: {view.message or view.reason}")

    def _end(self, number: int, state: TrialState, message: str = "", value: float | None = None) -> None:
        if message:
            self._study.note(number, message=message)
            self._events.log(f"trial {number}: {message}", "warning")
        self._study.tell(number, state, value)
        self._tell_of(self._study.trials()[number - 1])

    def _tell_of(self, trial: FrozenTrial) -> None:
        """Write the event of a trial that has ended, unless it was written. Steps count trials as they end."""
        number = trial.number + 1
        if number in self._told:
            return
        self._told.add(number)
        best = self._study.best()
        values = {"value": value_of(trial), "best_value": best.value if best is not None else None}
        known = {name: value for name, value in values.items() if value is not None}
        self._events.metric(len(self._told), known, trial=number, run=trial.user_attrs.get("run"))
        self._mark_progress(len(self._told))
        self._is_news = True

    def _mark_progress(self, step: int) -> None:
        """Say that this attempt came further: only attempts that do not are counted."""
        folder = self._context.attempt.path / "checkpoints"
        fresh = folder / f"checkpoint-{step}"
        fresh.mkdir(parents=True, exist_ok=True)
        mark_complete(fresh)
        for each in folder.iterdir():
            if each != fresh:
                shutil.rmtree(each, ignore_errors=True)

    def _report(self, at_once: bool = False) -> None:
        """Write the table, if there is news; more rarely when it is long."""
        rows = len(self._study.trials())
        if at_once or (self._is_news and time.monotonic() - self._reported > _REPORT_SECONDS * (1 + rows / 50)):
            self._reported, self._is_news = time.monotonic(), False
            self._events.report("sweep", sweep_report(self._recipe, self._study, int(self._total), self._statuses))

    def _leave(self) -> None:
        """Stop as asked. A cancelled sweep takes its runs with it; one that is only moved leaves them alone."""
        if self._folder.asked("cancel"):
            dispatch.cancel_children(self._folder)
            while any(tail.folder.final() is None for _, tail in self._running_tails()):
                time.sleep(_LOOK_SECONDS)  # patience is the supervisor's: it ends this process in time
            self._watch()
        self._report(at_once=True)
        self._context.check_stop()

    def _conclude(self) -> dict[str, Any]:
        best, counts = self._study.best(), counts_of(self._study)
        if best is None:
            messages = [each.user_attrs["message"] for each in self._study.trials() if "message" in each.user_attrs]
            got = ", ".join(f"{count} {state}" for state, count in counts.items())
            raise RequestError(Problem("no trial of the sweep ended well", got, messages[0] if messages else ""))
        winner = RunFolder.named(str(best.user_attrs["run"]))
        found = lab.Run(winner)
        if self._recipe.output_dir and found.model_dir is not None:
            deliver(found.model_dir, Path(self._recipe.output_dir))
        scores = {name: value for name, value in found.metrics.items() if name.startswith(("test_", "eval_"))}
        metrics = {
            **scores,
            "best_value": best.value,
            "best_run": winner.run,
            "best_trial": best.number + 1,
            "best_parameters": dict(best.params),
            "trials": len(self._study.trials()),
            **counts,
        }
        self._events.report("metrics", metrics)
        return metrics


def trial_recipe(sweep: Recipe, run: str, number: int, values: dict[str, Any]) -> Recipe:
    """The recipe of one trial: a training like any other, which runs without the sweep too."""
    recipe = with_values(sweep, values)
    train = recipe.train
    if train.metric_for_best_model is None:
        # What is kept of a trial is what it is judged by.
        train = train.model_copy(update={"metric_for_best_model": sweep.sweep.metric})
    update = {
        "kind": "train",
        "name": f"{sweep.name or run} trial-{number}",
        "sweep": SweepConfig(),
        "output_dir": None,
        "train": train,
    }
    return resolve_defaults(recipe.model_copy(update=update))
