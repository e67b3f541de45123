"""Whether what a recipe wants of the training can be had. Torch free: asked at submit."""

from __future__ import annotations

import importlib.util

from ...errors import Problem
from ...recipe import Recipe, nearest
from ...recipe.peft import PeftConfig
from ..tasks.task import Task

_TRACKERS = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",)}


def check_trackers(recipe: Recipe) -> list[Problem]:
    """One problem for each tracker of ``report_to`` that the trainer needs and that is not installed here.

    It needs no MLflow: that is mirrored from the record.
    """
    wanted = [name for name in recipe.train.report_to if name in _TRACKERS]
    missing = [name for name in wanted if not any(map(importlib.util.find_spec, _TRACKERS[name]))]
    return [
        Problem(
            f"--report-to {name} needs the package {name}",
            "none installed",
            f"Run: pip install {name}",
            "train.report_to",
        )
        for name in missing
    ]


def check_wishes(recipe: Recipe, task: Task, problem_type: str | None) -> list[Problem]:
    """The metric that picks the best checkpoint must be one of the task's; None stands for every problem type."""
    train = recipe.train
    problems = []
    known = task.metric_names(problem_type)
    metric = (train.metric_for_best_model or "").removeprefix("eval_")
    if metric and known and metric not in known:
        guess = nearest(metric, known)
        do = f"Did you mean {guess}? " if guess else ""
        what = f"{task.name} has no metric of that name"
        kind = f" of {problem_type.replace('_', ' ')} data" if problem_type else ""
        do += f"Set --metric-for-best-model to one of: {', '.join(known)}."
        problems.append(Problem(f"{what}{kind}", repr(train.metric_for_best_model), do, "train.metric_for_best_model"))
    if train.early_stopping_patience and "no" in (train.eval_strategy, train.save_strategy):
        flag = "eval" if train.eval_strategy == "no" else "save"
        do = f"Set --{flag}-strategy to epoch or steps, or leave --early-stopping-patience out."
        got = f"--{flag}-strategy no"
        problems.append(
            Problem(
                "early stopping compares checkpoints by their evaluations", got, do, "train.early_stopping_patience"
            )
        )
    return problems


def without_effect(recipe: Recipe, task: Task) -> list[str]:
    """What was set but changes nothing beside the other settings, for people."""
    train, peft, usual = recipe.train, recipe.peft, PeftConfig()
    lora = [
        name for name in type(peft).model_fields if name != "method" and getattr(peft, name) != getattr(usual, name)
    ]
    said = [f"{name} has no effect without --peft lora" for name in lora if peft.method == "none"]
    if train.eval_steps and train.eval_strategy != "steps":
        said.append("eval_steps has no effect without --eval-strategy steps")
    if train.save_steps and train.save_strategy != "steps":
        said.append("save_steps has no effect without --save-strategy steps")
    if train.packing and not task.generates:
        said.append(f"packing has no effect on {task.name}")
    return said
