"""What judges the trials of a sweep. Torch free: asked at submit."""

from __future__ import annotations

from ...errors import Problem
from ...recipe import Recipe, nearest
from ..tasks.task import LESS_IS_BETTER, ModelSpec, Task


def resolve_objective(recipe: Recipe, task: Task, problem_type: str | None) -> tuple[Recipe, list[Problem]]:
    """The recipe of a sweep with its metric and direction named, and why they cannot be had."""
    main, more_is_better = task.metric_of(ModelSpec(task=task.name, problem_type=problem_type))
    metric = (recipe.sweep.metric or main).removeprefix("eval_")
    problems = []
    known = task.metric_names(problem_type)
    if metric != main and known and metric not in known:
        guess = nearest(metric, known)
        do = (f"Did you mean {guess}? " if guess else "") + f"Set --metric to one of: {', '.join(known)}."
        what = f"{task.name} has no metric of that name"
        problems.append(Problem(what, repr(recipe.sweep.metric), do, "sweep.metric"))
    if recipe.train.eval_strategy == "no":
        do = "Set --eval-strategy to epoch or steps."
        got = "--eval-strategy no"
        problems.append(Problem("a sweep compares trials by their evaluations", got, do, "train.eval_strategy"))
    direction = recipe.sweep.direction
    if direction == "auto":
        grows = more_is_better if metric == main else metric not in LESS_IS_BETTER
        direction = "maximize" if grows else "minimize"
    sweep = recipe.sweep.model_copy(update={"metric": metric, "direction": direction})
    return recipe.model_copy(update={"sweep": sweep}), problems
