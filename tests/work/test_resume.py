"""A run that was interrupted ends bit for bit as if it had not been."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.errors import ModelError
from lepton_lab.record import DISTURBED, RunFolder, last_complete, view_of
from lepton_lab.work.context import Stopped, WorkContext
from lepton_lab.work.jobs import train
from lepton_lab.work.training import trainer as training

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")

Make = Callable[..., WorkContext]


class Killed(BaseException):
    """Nothing catches it, so that nothing more is done: as after kill -9."""


@pytest.fixture
def again() -> Iterator[Callable[[RunFolder], WorkContext]]:
    """Makes the context of a run's next attempt."""
    made: list[WorkContext] = []

    def make(folder: RunFolder) -> WorkContext:
        before = folder.attempts()[-1]
        before.end(DISTURBED, reason="killed")
        attempt = folder.take_lease(before.number + 1)
        made.append(WorkContext(folder, attempt, folder.recipe(), attempt.writer("trainer"), 1))
        return made[-1]

    yield make
    for each in made:
        each.events.close()


def weights_of(work: WorkContext) -> bytes:
    return (work.attempt.path / "model" / "model.safetensors").read_bytes()


def same_end(work: WorkContext, metrics: dict[str, Any], straight: WorkContext, expected: dict[str, Any]) -> None:
    assert weights_of(work) == weights_of(straight)
    timing = ("seconds",)
    assert {k: v for k, v in metrics.items() if k not in timing} == {
        k: v for k, v in expected.items() if k not in timing
    }
    view, wanted = view_of(work.folder), view_of(straight.folder)
    for name, series in wanted.series.items():
        if name.endswith("_per_second") or name == "memory_mb":
            continue
        assert view.series[name].steps == series.steps, name
        assert view.series[name].values == series.values, name


def kill_at_metric(work: WorkContext, name: str, step: int) -> None:
    """Die as soon as ``name`` of ``step`` is to be written."""
    metric = work.events.metric

    def write(at: int, values: Any, **body: Any) -> Any:
        if at >= step and name in values:
            raise Killed
        return metric(at, values, **body)

    work.events.metric = write  # type: ignore[method-assign]


def kill_at_checkpoint(work: WorkContext, step: int, patch: pytest.MonkeyPatch) -> None:
    """Die in the middle of writing a checkpoint: all files there, no mark."""
    mark = training.mark_complete

    def break_off(path: Path, **about: Any) -> None:
        if path.name == f"checkpoint-{step}":
            raise Killed
        mark(path, **about)

    patch.setattr(training, "mark_complete", break_off)


def kill_in_evaluation(work: WorkContext, number: int, patch: pytest.MonkeyPatch) -> None:
    """Die at the ``number``-th batch of the attempt's evaluations."""
    step = training.UpdateTrainer.prediction_step
    seen = []

    def count(self: Any, *arguments: Any, **named: Any) -> Any:
        seen.append(1)
        if len(seen) == number:
            raise Killed
        return step(self, *arguments, **named)

    patch.setattr(training.UpdateTrainer, "prediction_step", count)


def test_full_training_in_the_middle_of_an_epoch_in_an_evaluation_and_in_a_checkpoint(
    context: Make, again: Callable[..., WorkContext], tiny_bert: Path, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "task": "text-classification", "model": str(tiny_bert), "dataset": reviews, "label_column": "label",
        "precision": "fp32", "batch_size": 8, "gradient_accumulation_steps": 2, "epochs": 2, "lr": 3e-3,
        "warmup_ratio": 0.2, "logging_steps": 4, "save_strategy": "steps", "save_steps": 3, "eval_strategy": "steps",
        "eval_steps": 3, "eval_batch_size": 8,
    }  # fmt: skip
    straight = context(**options)
    expected = train.run(straight)
    assert expected["steps"] == 20
    work = context(**options)
    folder = work.folder
    kill_at_metric(work, "loss", 8)
    with pytest.raises(Killed):
        train.run(work)
    assert last_complete(folder) == work.attempt.path / "checkpoints" / "checkpoint-6"
    work = again(folder)
    with monkeypatch.context() as patch:
        kill_at_checkpoint(work, 12, patch)
        with pytest.raises(Killed):
            train.run(work)
    assert last_complete(folder) == work.attempt.path / "checkpoints" / "checkpoint-9"
    work = again(folder)
    with monkeypatch.context() as patch:
        kill_in_evaluation(work, 5, patch)  # the second batch of the evaluation at step 15
        with pytest.raises(Killed):
            train.run(work)
    assert last_complete(folder) == work.attempt.path / "checkpoints" / "checkpoint-12"
    work = again(folder)
    kill_at_metric(work, "loss", 20)
    with pytest.raises(Killed):
        train.run(work)
    work = again(folder)
    same_end(work, train.run(work), straight, expected)
    # All of it again, when only the last measuring was left to do.
    work = again(folder)
    same_end(work, train.run(work), straight, expected)


def test_lora_with_early_stopping_and_the_best_in_an_attempt_before(
    context: Make, again: Callable[..., WorkContext], tiny_bert: Path, addresses: str
) -> None:
    options = {
        "task": "token-classification", "model": str(tiny_bert), "dataset": addresses, "precision": "fp32",
        "batch_size": 8, "epochs": 9, "lr": 2e-2, "lr_scheduler_type": "constant", "peft": "lora",
        "metric_for_best_model": "loss", "early_stopping_patience": 2, "save_total_limit": 1, "logging_steps": 2,
    }  # fmt: skip
    straight = context(**options)
    expected = train.run(straight)
    losses = view_of(straight.folder).series["eval_loss"]
    best, last = losses.steps[losses.values.index(min(losses.values))], losses.steps[-1]
    if best == last:
        pytest.fail("the best is the last: the test needs other numbers")
    work = context(**options)
    folder = work.folder
    # Killed after each epoch's checkpoint: the best must be handed on from attempt to attempt.
    for step in losses.steps[1:]:
        kill_at_metric(work, "loss", step - 2)
        with pytest.raises(Killed):
            train.run(work)
        work = again(folder)
    same_end(work, train.run(work), straight, expected)
    assert (work.attempt.path / "checkpoints" / f"checkpoint-{best}").is_dir()
    # Early stopping is remembered, not begun anew.
    work = again(folder)
    same_end(work, train.run(work), straight, expected)


@pytest.mark.parametrize("packing", [False, True])
def test_generation_packed_and_not(
    context: Make, again: Callable[..., WorkContext], tiny_llama: Path, questions: str, packing: bool
) -> None:
    options = {
        "task": "text-generation", "model": str(tiny_llama), "dataset": questions, "precision": "fp32", "batch_size": 2,
        "gradient_accumulation_steps": 3, "epochs": 2, "lr": 5e-3, "max_length": 128, "packing": packing,
        "peft": "none" if packing else "lora", "save_strategy": "steps", "save_steps": 2, "logging_steps": 3,
        "group_by_length": packing, "eval_strategy": "epoch",
    }  # fmt: skip
    straight = context(**options)
    expected = train.run(straight)
    assert expected["steps"] >= 6
    work = context(**options)
    folder = work.folder
    for step in (3, expected["steps"]):
        kill_at_metric(work, "loss", step)
        with pytest.raises(Killed):
            train.run(work)
        work = again(folder)
    same_end(work, train.run(work), straight, expected)


def test_an_evaluation_that_was_due_is_made_up_for(
    context: Make, again: Callable[..., WorkContext], tiny_bert: Path, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "task": "text-classification", "model": str(tiny_bert), "dataset": reviews, "label_column": "label",
        "precision": "fp32", "batch_size": 32, "epochs": 3, "lr": 3e-3, "logging_steps": 1, "eval_batch_size": 4,
    }  # fmt: skip
    straight = context(**options)
    expected = train.run(straight)
    work = context(**options)
    step = training.UpdateTrainer.prediction_step

    def stop(self: Any, *arguments: Any, **named: Any) -> Any:
        work.request_stop()
        return step(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(training.UpdateTrainer, "prediction_step", stop)
        with pytest.raises(Stopped):
            train.run(work)
    found = last_complete(work.folder)
    assert found is not None
    assert found.name == "checkpoint-5"  # the end of the first epoch
    assert "eval_accuracy" not in view_of(work.folder).series
    work = again(work.folder)
    same_end(work, train.run(work), straight, expected)


def test_a_checkpoint_now_is_as_good_as_any(
    context: Make, again: Callable[..., WorkContext], tiny_bert: Path, reviews: str
) -> None:
    options = {
        "task": "text-classification", "model": str(tiny_bert), "dataset": reviews, "label_column": "label",
        "precision": "fp32", "batch_size": 32, "epochs": 2, "lr": 3e-3, "logging_steps": 3, "eval_strategy": "no",
    }  # fmt: skip
    straight = context(**options)
    expected = train.run(straight)
    work = context(**options)
    work.request_save()
    kill_at_metric(work, "loss", 3)
    with pytest.raises(Killed):
        train.run(work)
    found = last_complete(work.folder)
    assert found is not None
    assert found.name == "checkpoint-1"
    work = again(work.folder)
    same_end(work, train.run(work), straight, expected)


def test_a_checkpoint_that_was_changed_is_passed_over_and_a_pickled_one_from_elsewhere_refused(
    context: Make, again: Callable[..., WorkContext], tiny_bert: Path, reviews: str, tmp_path: Path
) -> None:
    import shutil

    options = {
        "task": "text-classification", "model": str(tiny_bert), "dataset": reviews, "label_column": "label",
        "precision": "fp32", "batch_size": 32, "max_steps": 6, "save_strategy": "steps", "save_steps": 2,
        "eval_strategy": "no",
    }  # fmt: skip
    work = context(**options)
    train.run(work)
    last = last_complete(work.folder)
    assert last is not None
    assert not (last / "training_args.bin").exists()
    mark = json.loads((last / "complete.json").read_text())
    assert mark["batch"]["effective"] == 32
    spoilt = bytearray((last / "optimizer.pt").read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    (last / "optimizer.pt").write_bytes(spoilt)
    kept = work.folder.path / "kept" / last.name  # the next attempt writes this step anew, and the old one goes
    shutil.copytree(last, kept)
    second = again(work.folder)
    train.run(second)
    said = [event.body["message"] for event in work.folder.events() if event.kind == "log" and event.attempt == 2]
    assert "checkpoint-6 is not as it was written; an older one is used" in said
    assert any(line.startswith("going on from checkpoint-4") for line in said)

    good = second.attempt.path / "checkpoints" / "checkpoint-6"
    with pytest.raises(ModelError, match="not as it was written"):
        train.run(context(**options, resume_from_checkpoint=str(kept)))
    assert train.run(context(**{**options, "max_steps": 7}, resume_from_checkpoint=str(good)))["steps"] == 7
    foreign = tmp_path / "elsewhere" / "checkpoint-6"
    shutil.copytree(good, foreign)
    with pytest.raises(ModelError, match=r"holds pickled files.*optimizer\.pt.*--allow-pickle"):
        train.run(context(**options, resume_from_checkpoint=str(foreign)))
    allowed = context(**{**options, "max_steps": 7}, resume_from_checkpoint=str(foreign), allow_pickle=True)
    assert train.run(allowed)["steps"] == 7
