"""What a training will roughly take: memory and time, from the model's configuration and the rows. Torch free.

Coarse on purpose: it is to tell a minute from an hour and one gigabyte from ten before a run is launched.

Memory is the sum of weights, gradients and moments of the optimiser at four bytes a number, and what one batch keeps
for the backward pass: 34·s·b·h + 5·a·s²·b bytes a layer at two bytes a number (Korthikanti et al. 2022, "Reducing
Activation Recomputation in Large Transformer Models", equation 2), twice as much at four; for generation the scores of
the vocabulary. Time is six operations a weight and token for learning (four where most weights are frozen), two for
scoring (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", table 1), over the speed that was measured.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..recipe import Recipe
from ..recipe.defaults import resolve_defaults
from .models.layers import count_weights, layer_shapes
from .models.source import count_positions, read_config

_BYTES = 4
# What Python, torch and transformers take before a model is there (measured on Linux, CPU).
_LIBRARIES_BYTES = 550e6
_MOMENTS = {"adamw_torch": 2, "adamw_torch_fused": 2, "adafactor": 0, "sgd": 0}
_DEFAULT_LENGTH = 512
# Part of the speed of a plain matrix product that a whole training step reaches.
_EFFICIENCY = 0.5
_UNCERTAINTY = 3.0


@dataclass(frozen=True)
class Rows:
    """What the data says: rows to learn from and to score, and the tokens of a usual and of a long row."""

    train: float
    scored: float
    usual_tokens: float
    long_tokens: float


@dataclass(frozen=True)
class Estimate:
    """``memory`` in bytes by what needs it; the training in ``seconds``, from least to most, where it can be said."""

    memory: Mapping[str, float]
    seconds: tuple[float, float] | None

    @property
    def memory_bytes(self) -> float:
        """All of it."""
        return sum(self.memory.values())


def estimate(
    recipe: Recipe, model: Path, rows: Rows, rows_per_second: float | None = None, flops: float | None = None
) -> Estimate:
    """The memory and time of ``recipe`` with the model in a folder.

    ``rows_per_second``: as measured in an earlier run of the same kind; else ``flops``, operations a second.
    """
    recipe = resolve_defaults(recipe.model_copy(update={"kind": "train"}))
    config = _text_config(read_config(model))
    limit = recipe.data.max_length or min(count_positions(config) or _DEFAULT_LENGTH, _DEFAULT_LENGTH)
    rows = Rows(rows.train, rows.scored, min(rows.usual_tokens, limit), min(rows.long_tokens, limit))
    memory = _memory(recipe, model, config, rows)
    learnt = _rows_learnt(recipe, rows)
    if rows_per_second:
        seconds = learnt / rows_per_second * (1 + _scored_share(recipe, rows))
        return Estimate(memory, (seconds * 0.8, seconds * 1.3))
    if not flops:
        return Estimate(memory, None)
    work = _operations(recipe, model, config, rows, learnt)
    middle = work / (flops * _EFFICIENCY)
    return Estimate(memory, (middle / _UNCERTAINTY, middle * _UNCERTAINTY))


def measure_flops(seconds: float = 0.05) -> float:
    """Operations a second of a matrix product in numpy on this machine, now; takes about as long as said."""
    import numpy as np

    side = 384
    left = np.ones((side, side), dtype=np.float32)
    left @ left  # the first one starts threads
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        left @ left
        count += 1
    return count * 2 * side**3 / (time.perf_counter() - began)


def _memory(recipe: Recipe, model: Path, config: Mapping[str, Any], rows: Rows) -> dict[str, float]:
    weights = count_weights(model)
    learnt = weights if recipe.peft.method == "none" else _lora_weights(model, config, recipe.peft.lora_r)
    batch = recipe.train.per_device_train_batch_size or 1
    tokens = batch * rows.long_tokens
    hidden, layers, heads = _sizes(config)
    width = 2 if recipe.train.precision in ("bf16", "fp16") else _BYTES
    if recipe.train.gradient_checkpointing:
        kept = layers * tokens * hidden * width
    else:
        kept = layers * tokens * (17 * hidden + 2.5 * heads * rows.long_tokens) * width
    scores = 3 * tokens * int(config.get("vocab_size") or 0) * _BYTES if recipe.task == "text-generation" else 0
    return {
        "weights": weights * _BYTES + (learnt * _BYTES if learnt != weights else 0),
        "gradients": learnt * _BYTES,
        "optimiser": learnt * _BYTES * _MOMENTS[recipe.train.optim],
        "one batch": kept + scores,
        "Python and libraries": _LIBRARIES_BYTES,
    }


def _operations(recipe: Recipe, model: Path, config: Mapping[str, Any], rows: Rows, learnt: float) -> float:
    hidden, layers, _ = _sizes(config)
    vocabulary = int(config.get("vocab_size") or 0) * hidden
    body = max(count_weights(model) - vocabulary, 1)
    if recipe.task == "text-generation":
        body += vocabulary
    weights = body + 2 * layers * hidden * rows.usual_tokens  # attention multiplies tokens with each other
    learning = 6 if recipe.peft.method == "none" else 4
    return weights * rows.usual_tokens * learnt * (learning + 2 * _scored_share(recipe, rows))


def _rows_learnt(recipe: Recipe, rows: Rows) -> float:
    train = recipe.train
    processes = recipe.resources.processes * recipe.resources.workers
    if train.max_steps > 0:
        return (
            train.max_steps * (train.per_device_train_batch_size or 1) * train.gradient_accumulation_steps * processes
        )
    limit = recipe.data.max_rows or rows.train
    return min(rows.train, limit) * train.num_train_epochs


def _scored_share(recipe: Recipe, rows: Rows) -> float:
    """Rows that are scored for each that is learnt."""
    return rows.scored / max(rows.train, 1) if recipe.train.eval_strategy == "epoch" else 0.1


def _lora_weights(model: Path, config: Mapping[str, Any], rank: int) -> int:
    vocabulary = int(config.get("vocab_size") or 0)
    return sum(rank * (shape[0] + shape[1]) for shape in layer_shapes(model) if vocabulary not in shape)


def _sizes(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """(hidden size, layers, heads), by the names that families of models have for them."""
    names = (
        ("hidden_size", "dim", "n_embd", "d_model"),
        ("num_hidden_layers", "n_layers", "n_layer", "num_layers"),
        ("num_attention_heads", "n_heads", "n_head", "num_heads"),
    )
    found = [next((int(config[name]) for name in each if config.get(name)), 0) for each in names]
    return found[0], found[1], found[2]


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config
