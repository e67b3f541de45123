"""From a recipe to ``transformers.TrainingArguments``."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from ...recipe import Recipe
from ...record import BatchPlan
from ..tasks.task import LESS_IS_BETTER
from .precision import Precision

_CURVE_POINTS = 200
# Part of the steps in which a held rate falls to nothing. Hägele et al. 2024, arXiv:2405.18392: 10 to 20 % is enough.
_DECAY = 0.1


def first_plan(recipe: Recipe, ranks: int = 1) -> BatchPlan:
    """The rows at once and the rows of an update that a recipe (with its defaults) asks for on ``ranks`` devices."""
    train = recipe.train
    rows = int(train.per_device_train_batch_size or 1)
    effective = rows * train.gradient_accumulation_steps * ranks
    return BatchPlan(effective, rows, int(train.per_device_eval_batch_size or 1), ranks)


def steps_an_epoch(rows: int, effective: int) -> int:
    """Updates that ``rows`` training rows make, ``effective`` each."""
    return max(1, math.ceil(rows / effective))


def count_steps(recipe: Recipe, rows: int, effective: int) -> int:
    """Updates that a run over ``rows`` training rows makes."""
    train = recipe.train
    if train.max_steps > 0:
        return train.max_steps
    return math.ceil(train.num_train_epochs * steps_an_epoch(rows, effective))


def training_arguments(
    recipe: Recipe,
    folder: Path,
    precision: Precision,
    plan: BatchPlan,
    steps: int,
    metric: tuple[str, bool],
    has_validation: bool,
) -> Any:
    """The Trainer's arguments; ``metric`` is the task's main one and whether more of it is better.

    Checkpoints go to ``folder``; their number is kept down by the progress callback, once a new one is whole.
    """
    from transformers import TrainingArguments

    train = recipe.train
    name, more_is_better = metric
    if train.metric_for_best_model and train.metric_for_best_model.removeprefix("eval_") != name:
        name = train.metric_for_best_model.removeprefix("eval_")
        more_is_better = name not in LESS_IS_BETTER
    evaluates = has_validation and train.eval_strategy != "no"
    picks_best = evaluates and train.load_best_model_at_end and can_pick_best(recipe)
    checkpointing = {}
    if train.gradient_checkpointing:
        fields = {field.name for field in dataclasses.fields(TrainingArguments)}
        # Renamed in transformers 5; the old name warns.
        checkpointing = {
            "activation_checkpointing" if "activation_checkpointing" in fields else "gradient_checkpointing": True
        }
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=train.num_train_epochs,
        max_steps=train.max_steps,
        per_device_train_batch_size=plan.train,
        per_device_eval_batch_size=plan.evaluate,
        gradient_accumulation_steps=plan.accumulation,
        learning_rate=float(train.learning_rate or 0),
        lr_scheduler_type=train.lr_scheduler_type,
        lr_scheduler_kwargs=_schedule_shape(train.lr_scheduler_type, steps),
        warmup_steps=train.warmup_steps or math.ceil(train.warmup_ratio * steps),
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        optim=train.optim,
        bf16=precision.name == "bf16",
        fp16=precision.name == "fp16",
        use_cpu=precision.device == "cpu",
        train_sampling_strategy="group_by_length" if train.group_by_length else "random",
        length_column_name="length",
        eval_strategy=train.eval_strategy if evaluates else "no",
        eval_steps=train.eval_steps,
        logging_strategy="steps",
        logging_first_step=True,
        logging_steps=train.logging_steps or max(1, steps // _CURVE_POINTS),
        save_strategy=train.save_strategy,
        save_steps=train.save_steps or train.eval_steps or 500,
        save_total_limit=None,
        load_best_model_at_end=picks_best,
        metric_for_best_model=f"eval_{name}" if evaluates else None,
        greater_is_better=more_is_better if evaluates else None,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to=[each for each in train.report_to if each != "mlflow"],  # mirrored from the record
        run_name=recipe.name or None,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=precision.device == "cuda",
        **checkpointing,
    )


def _schedule_shape(name: str, steps: int) -> dict[str, Any]:
    """What a schedule wants to know beside the number of steps."""
    if name != "warmup_stable_decay":
        return {}
    return {"num_decay_steps": math.ceil(_DECAY * steps), "decay_type": "linear"}


def can_pick_best(recipe: Recipe) -> bool:
    """Whether checkpoints are written where evaluations happen, so that the best one is there to load."""
    train = recipe.train
    if train.save_strategy != train.eval_strategy or train.save_strategy == "no":
        return False
    if train.save_strategy == "steps" and train.save_steps and train.eval_steps:
        return train.save_steps % train.eval_steps == 0
    return True
