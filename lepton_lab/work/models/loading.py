"""From a model's word to its folder, tokenizer and weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ModelError, Problem, raise_problems
from ...recipe import Recipe
from ...record import EventWriter
from ..tasks.task import ModelSpec, Task
from ..training.precision import Precision
from .fast_tokenizer import load_tokenizer
from .source import check_length, check_model_dir, count_positions, hub_name, local_model_dir

_DEFAULT_MAX_LENGTH = 512
# What tokenizers say that know no limit.
_NO_LIMIT = 1_000_000

__all__ = ["LoadedModel", "fetch_model", "load_model", "load_tokenizer", "resolve_max_length"]


@dataclass
class LoadedModel:
    """A model in memory. ``fresh`` names the weights that no checkpoint had: the head to be learnt."""

    model: Any
    fresh: list[str]


def fetch_model(recipe: Recipe, task: Task, events: EventWriter) -> Path:
    """The folder of the recipe's model on this machine, checked for the task. Raises :class:`ModelError`."""
    word, train = str(recipe.model), recipe.train
    folder = local_model_dir(word)
    if folder is None:
        from .hub import fetch_hub_model

        folder = fetch_hub_model(hub_name(word), task, events, train.allow_pickle, train.trust_remote_code)
    raise_problems(ModelError, check_model_dir(folder, task, train.allow_pickle, train.trust_remote_code))
    return folder


def resolve_max_length(wanted: int | None, tokenizer: Any, config: dict[str, Any]) -> int:
    """Most tokens a row: as asked, or the model's limit, at most 512.

    Raises :class:`ModelError` when more is asked than the model has positions.
    """
    limits = [int(tokenizer.model_max_length)] if tokenizer.model_max_length < _NO_LIMIT else []
    positions = count_positions(config)
    if positions:
        limits.append(positions)
    raise_problems(ModelError, check_length(wanted, config))
    return wanted or min([*limits, _DEFAULT_MAX_LENGTH])


def load_model(folder: Path, task: Task, spec: ModelSpec, recipe: Recipe, precision: Precision) -> LoadedModel:
    """The weights under the task's Auto class, in fp32.

    Only the frozen body of a LoRA is held in the training format, where the checkpoint is stored in
    it or the task generates: language models are large, and casting their weights at each step
    costs more than the step's precision is worth.
    """
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    kwargs = task.model_kwargs(spec)
    dtype = torch.float32
    if recipe.peft.method != "none" and (task.generates or _stored_dtype(folder) == precision.dtype):
        dtype = getattr(torch, precision.dtype)
    auto_class = getattr(transformers, task.auto_class)
    try:
        model, found = auto_class.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=None if recipe.train.allow_pickle else True,
            trust_remote_code=recipe.train.trust_remote_code,
            ignore_mismatched_sizes=bool(kwargs),
            output_loading_info=True,
            **kwargs,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(Problem("the model cannot be loaded", first, f"Look into {folder}.", "model")) from error
    # Keys come as names, or as (name, shape in the file, shape in the model).
    mismatched = [each if isinstance(each, str) else each[0] for each in found["mismatched_keys"]]
    return LoadedModel(model, sorted({*found["missing_keys"], *mismatched}))


def _stored_dtype(folder: Path) -> str:
    """The number format that a model's configuration says its weights are stored in."""
    from .source import read_config

    config = read_config(folder)
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")
