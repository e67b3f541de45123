"""The training job: data, preflight, model, train, save, evaluate."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import data
from ...data import Splits
from ...errors import DataError, Problem, RecipeError, RequestError, raise_problems
from ...recipe import Recipe
from ...recipe.defaults import defaults, resolve_defaults
from ...record import BatchPlan, best_of, next_plan
from ...registry import load_task
from ..context import WorkContext
from ..data.cache import cached, digest_of_table, digest_of_tokenizer, key_of
from ..data.preflight import preflight
from ..full_disk import explain_full_disk
from ..models.loading import fetch_model, load_model, load_tokenizer, resolve_max_length
from ..models.source import read_config
from ..outputs import deliver
from ..tasks.task import ModelSpec, Task
from ..training.arguments import can_pick_best, first_plan
from ..training.precision import choose_precision
from ..training.resuming import find_checkpoint
from ..training.scores import wilson
from ..training.versions import check_transformers
from ..training.wishes import check_trackers, without_effect

if TYPE_CHECKING:
    import datasets


def run(context: WorkContext) -> dict[str, Any]:
    """Train the recipe's model; the final metrics.

    Raises :class:`~lepton_lab.errors.RequestError` for what the user must mend and
    :class:`~lepton_lab.work.context.Stopped` when asked to stop.
    """
    started = time.perf_counter()
    context.recipe = recipe = resolve_defaults(context.recipe)
    _check_packages(recipe, context)
    task = load_task(str(recipe.task))
    check_gang(context)
    context.stage("data")
    with context.first_on_host_first():
        splits = data.load_splits(recipe, task.needs)
        base = fetch_model(recipe, task, context.events)
    context.check_stop()

    context.stage("preflight")
    tokenizer = load_tokenizer(base, recipe.train.trust_remote_code)
    spec = _spec(context, task, splits, base, tokenizer)
    with context.first_on_host_first():
        encoded = encode_splits(splits, task, tokenizer, spec, base)
    context.events.report("preflight", preflight(splits, encoded, task, tokenizer, spec))
    context.check_stop()

    context.stage("model")
    precision = choose_precision(recipe.train.precision)
    context.events.log(f"precision {precision.name} on {precision.device}: {precision.reason}")
    _tell_defaults(context)
    model = _model(context, task, spec, base, tokenizer, precision)
    context.check_stop()

    from ..training.loop import Loop

    collator = task.collator(tokenizer, spec)
    collator.multiple = precision.width_multiple
    train_rows = task.train_rows(encoded["train"], model, collator, spec)
    plan = _plan(context)
    loop = Loop(context, task, spec, precision, encoded, collator, train_rows, plan)
    trainer = loop.build(model, tokenizer)
    checkpoint = find_checkpoint(context)
    train_loss = loop.train(trainer, checkpoint, best_of(checkpoint) if checkpoint else None)
    steps, eval_scores = int(trainer.state.global_step), _best_scores(trainer)

    context.stage("save")
    model = _save(context, trainer.model, tokenizer, spec, splits)

    context.stage("evaluate")
    metrics: dict[str, Any] = loop.evaluate(trainer, model, "test", "test")
    metrics |= _judge(metrics, task, splits, encoded, spec)
    if task.generates:
        base_model = load_model(base, task, spec, recipe, precision)
        metrics |= {
            f"base_{name}": value for name, value in loop.evaluate(trainer, base_model.model, "test", "test").items()
        }
    metrics |= eval_scores
    metrics |= {"train_loss": train_loss, "steps": steps, "seconds": round(time.perf_counter() - started, 3)}
    metrics |= {f"rows_{name}": table.num_rows for name, table in splits.items()}
    context.events.report("metrics", metrics)
    if recipe.output_dir and context.rank == 0:
        deliver(context.attempt.path / "model", Path(recipe.output_dir))
        context.events.log(f"the model is in {recipe.output_dir}")
    return metrics


def check_gang(context: WorkContext) -> None:
    """Refuse what the machines of this run cannot be: raises :class:`~lepton_lab.errors.RecipeError`."""
    resources = context.recipe.resources
    if context.rank_count != resources.processes * resources.workers:
        got = f"{context.rank_count // resources.processes} of {resources.workers}"
        do = "Set --machines 1, or send the run to a cluster of as many workers."
        raise RecipeError(Problem("the machines of this run did not come together", got, do, "resources.workers"))
    import torch

    if torch.cuda.is_available() and resources.processes > torch.cuda.device_count():
        do = f"Set --processes to at most {torch.cuda.device_count()}."
        raise RecipeError(
            Problem("each process needs a GPU of its own", str(resources.processes), do, "resources.processes")
        )


def _spec(context: WorkContext, task: Task, splits: Splits, base: Path, tokenizer: Any) -> ModelSpec:
    recipe = context.recipe
    return ModelSpec(
        task=task.name,
        problem_type=splits.problem_type,
        labels=splits.labels,
        max_length=resolve_max_length(recipe.data.max_length, tokenizer, read_config(base)),
        mapping=splits.mapping,
        base_model=str(recipe.model),
        run=context.folder.run,
        options=task.options(recipe, tokenizer),
    )


def encode_splits(
    splits: Splits, task: Task, tokenizer: Any, spec: ModelSpec, base: Path
) -> dict[str, datasets.Dataset]:
    """Every split encoded, from the cache where it was encoded before. Raises :class:`DataError`."""
    tokens = digest_of_tokenizer(base)
    encoded = {}
    for name, table in splits.items():
        key = key_of(
            task=task.name,
            version=task.encoding_version,
            tokenizer=tokens,
            table=digest_of_table(table),
            max_length=spec.max_length,
            labels=spec.labels,
            problem_type=spec.problem_type,
            options=spec.options,
        )
        encoded[name] = cached(key, lambda table=table: task.encode(table, tokenizer, spec))  # type: ignore[misc]
        if len(encoded[name]) == 0 and table.num_rows:
            raise DataError(
                Problem(
                    f"no row of the {name} data leaves anything to learn within {spec.max_length} tokens",
                    f"{table.num_rows} rows",
                    "Raise --max-length, or shorten the prompts.",
                    "data.max_length",
                )
            )
    return encoded


def _model(context: WorkContext, task: Task, spec: ModelSpec, base: Path, tokenizer: Any, precision: Any) -> Any:
    from transformers import set_seed

    recipe = context.recipe
    set_seed(recipe.seed)
    loaded = load_model(base, task, spec, recipe, precision)
    model = loaded.model
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = False  # nothing to keep between steps, and packing needs it off
    if loaded.fresh:
        context.events.log(f"new weights, to be learnt: {', '.join(loaded.fresh)}")
    task.prepare_model(model, tokenizer, spec)
    if recipe.peft.method == "lora":
        from ..training.adapters import add_adapter

        model = add_adapter(model, recipe.peft, task.auto_class, loaded.fresh)
    learnt, every = (
        sum(each.numel() for each in model.parameters() if each.requires_grad or not only) for only in (True, False)
    )
    context.events.log(f"learning {learnt:,} of {every:,} weights ({100 * learnt / every:.1f} %)")
    return model


def _save(context: WorkContext, model: Any, tokenizer: Any, spec: ModelSpec, splits: Splits) -> Any:
    """Write model, adapter and splits; the model as it was written (an adapter merged into it)."""
    attempt = context.attempt.path
    if context.recipe.peft.method == "lora":
        from ..training.adapters import merge_adapter

        if context.rank == 0:
            adapter = attempt / "adapter"
            with explain_full_disk(attempt):
                model.save_pretrained(adapter)
                spec.save(adapter)
            context.publish("adapter", "adapter", adapter)
        model = merge_adapter(model)
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = True
    if context.rank == 0:
        with explain_full_disk(attempt):
            _write(context, model, tokenizer, spec, splits)
    return model


def _write(context: WorkContext, model: Any, tokenizer: Any, spec: ModelSpec, splits: Splits) -> None:
    import pyarrow.parquet as pq

    attempt = context.attempt.path
    model.save_pretrained(attempt / "model")
    tokenizer.save_pretrained(attempt / "model")
    spec.save(attempt / "model")
    context.publish("model", "model", attempt / "model")
    folder = attempt / "splits"
    folder.mkdir(exist_ok=True)
    for name, table in splits.items():
        pq.write_table(table, folder / f"{name}.parquet")
    context.publish("splits", "data", folder)


def _judge(
    metrics: dict[str, Any], task: Task, splits: Splits, encoded: dict[str, datasets.Dataset], spec: ModelSpec
) -> dict[str, Any]:
    """What the test scores mean: their interval, and what guessing would give."""
    found: dict[str, Any] = dict(task.baseline(splits.test, spec))
    if task.main_metric == "accuracy" and "test_accuracy" in metrics:
        low, high = wilson(metrics["test_accuracy"], len(encoded["test"]))
        found |= {"test_accuracy_low": low, "test_accuracy_high": high}
    return found


def _best_scores(trainer: Any) -> dict[str, float]:
    """The validation scores of the checkpoint that was kept."""
    wanted = trainer.state.best_global_step if trainer.args.load_best_model_at_end else None
    found = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    picked = [entry for entry in found if entry["step"] == wanted] or found[-1:]
    skip = ("_runtime", "_per_second", "_preparation_time")
    return {
        name: value
        for entry in picked
        for name, value in entry.items()
        if name.startswith("eval_") and not name.endswith(skip)
    }


def _plan(context: WorkContext) -> BatchPlan:
    """The rows at once of this attempt: fewer than asked for where an earlier one ran out of memory."""
    first = first_plan(context.recipe, context.rank_count)
    plan = next_plan(context.folder, first, context.attempt.number)
    context.events.report("batch", plan.to_dict())
    if plan.train != first.train:
        context.events.log(
            f"memory ran out before: {plan.train} rows at once and {plan.accumulation} batches an update now, "
            f"{plan.effective} rows an update as before",
            "warning",
        )
    if plan.evaluate != first.evaluate:
        context.events.log(f"memory ran out before: {plan.evaluate} rows at once in evaluations now", "warning")
    return plan


def _tell_defaults(context: WorkContext) -> None:
    """Say the step size, and why where it is ours."""
    recipe = context.recipe
    values, reasons = defaults(str(recipe.task), recipe.peft.method)
    own = values["learning_rate"] == recipe.train.learning_rate
    context.events.log(
        f"learning rate {recipe.train.learning_rate:g}" + (f": {reasons['learning_rate']}" if own else "")
    )
    for each in without_effect(recipe, load_task(str(recipe.task))):
        context.events.log(each, "warning")
    if recipe.train.load_best_model_at_end and recipe.train.eval_strategy != "no" and not can_pick_best(recipe):
        context.events.log(
            "the last checkpoint is kept, not the best: save and evaluation happen at different steps. "
            "Set --save-strategy like --eval-strategy.",
            "warning",
        )


def _check_packages(recipe: Recipe, context: WorkContext) -> None:
    raise_problems(RequestError, [*check_trackers(recipe), *check_transformers()])
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(context.attempt.path / "tensorboard"))
