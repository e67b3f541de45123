"""Values that a recipe leaves open, by task and method, each with its reason.

One table. ``benchmarks/learning_rates.py`` measures the learning rates on the samples; the grid is in
``docs/benchmarks.md``. Where two rates are within the noise the smaller stands here, because
larger models need smaller steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .recipe import Recipe


@dataclass(frozen=True)
class _Default:
    learning_rate: float
    batch_size: int
    reason: str


_FULL = "full fine-tuning moves every weight, so small steps keep what pre-training learnt"
_LORA = "LoRA starts from zero and moves few weights, so it needs larger steps than full fine-tuning"
_MEASURED = "; the best of the measured grid, or within its noise"
_CUSTOM = "; customary, not measured"

_TABLE = {
    ("text-classification", "none"): _Default(1e-4, 32, _FULL + _MEASURED),
    ("text-classification", "lora"): _Default(1e-3, 32, _LORA + _MEASURED),
    ("token-classification", "none"): _Default(2e-4, 16, _FULL + _MEASURED),
    ("token-classification", "lora"): _Default(1e-3, 16, _LORA + _MEASURED),
    ("text-generation", "none"): _Default(5e-5, 4, _FULL + _CUSTOM),
    ("text-generation", "lora"): _Default(1e-3, 4, _LORA + _MEASURED),
}
# Tasks of third parties: cautious values.
_OTHER = {"none": _Default(5e-5, 16, _FULL + _CUSTOM), "lora": _Default(3e-4, 16, _LORA + _CUSTOM)}


def defaults(task: str, method: str) -> tuple[dict[str, Any], dict[str, str]]:
    """(values, reasons) by field of ``train`` for a task and a PEFT method (``none``, ``lora``)."""
    found = _TABLE.get((task, method)) or _OTHER[method]
    values = {
        "learning_rate": found.learning_rate,
        "per_device_train_batch_size": found.batch_size,
        "per_device_eval_batch_size": _eval_batch(task, found.batch_size),
    }
    reasons = {
        "learning_rate": found.reason,
        "per_device_train_batch_size": f"the usual size for {task}",
        "per_device_eval_batch_size": "evaluation keeps no gradients, so twice the training batch fits, "
        "except where it scores a whole vocabulary a token",
    }
    return values, reasons


def resolve_defaults(recipe: Recipe) -> Recipe:
    """``recipe`` with every open value of ``train`` filled in; what was set stays."""
    if recipe.kind != "train":
        return recipe
    values, _ = defaults(str(recipe.task), recipe.peft.method)
    train = recipe.train
    batch = train.per_device_train_batch_size or values["per_device_train_batch_size"]
    values["per_device_eval_batch_size"] = _eval_batch(str(recipe.task), batch)
    update = {name: value for name, value in values.items() if getattr(train, name) is None}
    return recipe.model_copy(update={"train": train.model_copy(update=update)})


def _eval_batch(task: str, batch: int) -> int:
    return batch if task == "text-generation" else 2 * batch
