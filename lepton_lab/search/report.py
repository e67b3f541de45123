"""The table of a sweep's trials, and what it comes to."""

from __future__ import annotations

from collections import Counter
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from ..recipe import Recipe
from .study import Study

_STATES = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def sweep_report(recipe: Recipe, study: Study, total: int) -> dict[str, Any]:
    """``metric, direction, total, trials`` (a row each), ``best`` (its row) and ``importance``."""
    best = study.best()
    return {
        "metric": recipe.sweep.metric,
        "direction": recipe.sweep.direction,
        "total": total,
        "trials": [_row(trial) for trial in study.trials()],
        "best": _row(best) if best is not None else None,
        "importance": study.importances(),
    }


def counts_of(study: Study) -> dict[str, int]:
    """How many trials are ``complete``, ``pruned`` and ``failed``."""
    found = Counter(_STATES[trial.state] for trial in study.trials())
    return {state: found[state] for state in ("complete", "pruned", "failed")}


def value_of(trial: FrozenTrial) -> float | None:
    """What the trial came to, or has come to so far."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    return trial.intermediate_values[trial.last_step] if trial.last_step is not None else None


def _row(trial: FrozenTrial) -> dict[str, Any]:
    row = {
        "trial": trial.number + 1,
        "run": trial.user_attrs.get("run"),
        "state": _STATES[trial.state],
        "value": value_of(trial),
        "evaluations": len(trial.intermediate_values),
        "parameters": dict(trial.params),
    }
    message = trial.user_attrs.get("message")
    return {**row, "message": message} if message else row
