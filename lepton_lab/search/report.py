"""The table of a sweep's trials, and what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from ..recipe import Recipe
from .study import Study

# A trial that has not ended is what its run is: queued, running, cancelled with the sweep …
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def sweep_report(recipe: Recipe, study: Study, total: int, statuses: Mapping[int, str]) -> dict[str, Any]:
    """``metric, direction, total, trials`` (a row each), ``best`` (its row) and ``importance``.

    ``statuses`` are those of the runs of trials that have not ended, by the trial's number.
    """
    best = study.best()
    return {
        "metric": recipe.sweep.metric,
        "direction": recipe.sweep.direction,
        "total": total,
        "trials": [_row(trial, statuses) for trial in study.trials()],
        "best": _row(best, statuses) if best is not None else None,
        "importance": study.importances(),
    }


def counts_of(study: Study) -> dict[str, int]:
    """How many trials are ``complete``, ``pruned`` and ``failed``."""
    found = Counter(_STATES.get(trial.state) for trial in study.trials())
    return {state: found[state] for state in ("complete", "pruned", "failed")}


def value_of(trial: FrozenTrial) -> float | None:
    """What the trial came to, or has come to so far."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    return trial.intermediate_values[trial.last_step] if trial.last_step is not None else None


def _state(trial: FrozenTrial, statuses: Mapping[int, str]) -> str:
    if trial.state == TrialState.RUNNING:
        return statuses.get(trial.number + 1, "queued")
    ended = trial.user_attrs.get("ended")
    # Cancelled by hand, or lost: Optuna knows neither.
    return str(ended) if trial.state == TrialState.FAIL and ended in ("cancelled", "lost") else _STATES[trial.state]


def _row(trial: FrozenTrial, statuses: Mapping[int, str]) -> dict[str, Any]:
    row = {
        "trial": trial.number + 1,
        "run": trial.user_attrs.get("run"),
        "state": _state(trial, statuses),
        "value": value_of(trial),
        "evaluations": len(trial.intermediate_values),
        "parameters": dict(trial.params),
    }
    message = trial.user_attrs.get("message")
    return {**row, "message": message} if message else row
