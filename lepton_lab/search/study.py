"""What was tried and what came of it, kept by Optuna in the sweep's own folder.

The file is Optuna's journal, which its other tools read too::

    JournalStorage(JournalFileBackend("runs/SWEEP/study.journal"))

Every value is drawn with a seed of its own, made of the recipe's seed and the trial's number: a
sweep that was interrupted, even in the middle of a draw, draws what it would have drawn.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from ..recipe import Dimension, Recipe

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

_NAME = "sweep"
_SEEDS = 2**32


class _LeaseIsLock(JournalFileOpenLock):
    """One attempt at a time holds the run. A lock file of a killed one would be in the way."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


class Study:
    """The trials of a sweep, by number from 1 on."""

    def __init__(self, path: Path, recipe: Recipe, dimensions: Sequence[Dimension]) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._recipe = recipe
        self._dimensions = dimensions
        _cut_torn_line(path)
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path), lock_obj=_LeaseIsLock(str(path)))),
            study_name=_NAME,
            direction="minimize" if recipe.sweep.direction == "minimize" else "maximize",
            sampler=self._sampler(0),
            pruner=_pruner(recipe.sweep.pruner),
            load_if_exists=True,
        )
        if recipe.sweep.sampler == "grid":
            self._enqueue_grid()
        self._open: dict[int, optuna.Trial] = {}

    def trials(self) -> list[FrozenTrial]:
        """Those that have begun, in order."""
        return [trial for trial in self._study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING]

    def ask(self) -> int:
        """Begin another trial; its number."""
        trial = self._study.ask()
        self._open[trial.number + 1] = trial
        return trial.number + 1

    def values(self, number: int) -> dict[str, Any]:
        """The values of a trial by path of the recipe: drawn at the first call, known at others."""
        trial, found = self._trial(number), {}
        for place, each in enumerate(self._dimensions):
            self._study.sampler = self._sampler(number * len(self._dimensions) + place)
            found[each.path] = _suggest(trial, each)
        return found

    def note(self, number: int, **facts: Any) -> None:
        """Keep facts of a trial: its run, how that ended."""
        trial = self._trial(number)
        for name, value in facts.items():
            trial.set_user_attr(name, value)

    def report(self, number: int, results: Sequence[float]) -> bool:
        """Take in the evaluations of a trial so far; whether the pruner would stop it now."""
        trial = self._trial(number)
        known = len(self._frozen(number).intermediate_values)
        for step in range(known, len(results)):
            trial.report(results[step], step + 1)
        return len(results) > known and trial.should_prune()

    def tell(self, number: int, state: TrialState, value: float | None = None) -> None:
        """End a trial."""
        self._study.tell(number - 1, value, state=state)
        self._open.pop(number, None)

    def best(self) -> FrozenTrial | None:
        """The best trial that is complete."""
        complete = [each for each in self.trials() if each.state == TrialState.COMPLETE and each.value is not None]
        sign = 1 if self._recipe.sweep.direction == "maximize" else -1
        # Of equals the earlier one.
        return max(complete, key=lambda each: (sign * float(each.value or 0), -each.number), default=None)

    def importances(self) -> dict[str, float]:
        """Share of each dimension in how results differ; empty before there are enough of them."""
        complete = [each for each in self.trials() if each.state == TrialState.COMPLETE]
        if len(complete) < 4 * len(self._dimensions) or len({each.value for each in complete}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {name: round(value, 4) for name, value in found.items() if math.isfinite(value)}

    def _trial(self, number: int) -> optuna.Trial:
        if number not in self._open:
            # Optuna has no other way to take up a trial that a process before this one began.
            self._open[number] = optuna.Trial(self._study, self._frozen(number)._trial_id)
        return self._open[number]

    def _frozen(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number - 1]

    def _sampler(self, draw: int) -> optuna.samplers.BaseSampler:
        seed = (self._recipe.seed + draw) % _SEEDS
        if self._recipe.sweep.sampler == "tpe":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that constant_liar is young
                return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        return optuna.samplers.RandomSampler(seed=seed)

    def _enqueue_grid(self) -> None:
        """Put every combination into the journal, in order, after those that are there."""
        names = [each.name for each in self._dimensions]
        combinations = itertools.product(*(each.values() for each in self._dimensions))
        for values in itertools.islice(combinations, len(self._study.trials), self._recipe.sweep.trials):
            self._study.enqueue_trial(dict(zip(names, values, strict=True)))


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    name, low, high = dimension.name, dimension.low, dimension.high
    if dimension.choices:
        return trial.suggest_categorical(name, dimension.choices)
    if dimension.is_whole:
        return trial.suggest_int(name, int(low), int(high), log=dimension.log)
    return trial.suggest_float(name, low, high, log=dimension.log)


def _pruner(name: str) -> optuna.pruners.BasePruner:
    if name == "median":
        return optuna.pruners.MedianPruner()
    return optuna.pruners.HyperbandPruner() if name == "hyperband" else optuna.pruners.NopPruner()


def _cut_torn_line(path: Path) -> None:
    """Take back the half of a line that a killed process left: the next line would be lost in it."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
