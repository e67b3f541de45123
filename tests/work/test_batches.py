"""What fits into memory, and on how many devices, changes nothing about an update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.record import BatchPlan, plan_of, view_of
from lepton_lab.work.context import WorkContext
from lepton_lab.work.jobs import train
from lepton_lab.work.training import trainer as training
from lepton_lab.work.training.order import UpdateBatches

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")

Make = Callable[..., WorkContext]


@pytest.mark.parametrize("rows", [1, 7, 64, 101])
@pytest.mark.parametrize("grouped", [False, True])
def test_every_update_has_the_same_rows(rows: int, grouped: bool) -> None:
    lengths = [(number * 7) % 13 + 1 for number in range(rows)] if grouped else None
    plans = [
        BatchPlan(10, 10, 1),
        BatchPlan(10, 3, 1),
        BatchPlan(10, 1, 1),
        BatchPlan(10, 2, 1, 2),
        BatchPlan(10, 1, 1, 3),
    ]
    found: list[list[set[int]]] = []
    for plan in plans:
        updates: list[set[int]] = []
        every = []
        for rank in range(plan.ranks):
            batches = UpdateBatches(rows, lengths, plan, 42, rank)
            batches.set_epoch(3)
            every.append(list(batches))
            assert len(every[-1]) == len(batches)
            assert all(len(batch) <= plan.train for batch in every[-1])
        assert len({len(each) for each in every}) == 1
        for start in range(0, len(every[0]), plan.accumulation):
            updates.append(
                {row for each in every for batch in each[start : start + plan.accumulation] for row in batch}
            )
        found.append(updates)
        assert sorted(row for each in every for batch in each for row in batch) == list(range(rows))
    assert all(each == found[0] for each in found)
    other = UpdateBatches(rows, lengths, plans[0], 42)
    assert [set(batch) for batch in other] != found[0] or rows < 8


def test_the_longest_rows_come_second_and_lengths_do_not_fall_through_the_epoch() -> None:
    lengths = [number % 50 + 1 for number in range(400)]
    updates = list(UpdateBatches(400, lengths, BatchPlan(8, 8, 1), 42))
    longest = [max(lengths[row] for row in update) for update in updates]
    assert longest[1] == 50
    assert longest != sorted(longest, reverse=True)
    spreads = [longest[number] - min(lengths[row] for row in update) for number, update in enumerate(updates)]
    assert sum(spreads) / len(spreads) < 8  # similar lengths still go together


def still(folder: Path, tmp_path: Path) -> str:
    """The model without dropout, which would differ with the shape of the batches."""
    import shutil

    from transformers import AutoConfig

    shutil.copytree(folder, tmp_path / "still")
    config = AutoConfig.from_pretrained(folder)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    config.save_pretrained(tmp_path / "still")
    return str(tmp_path / "still")


@pytest.mark.parametrize("kind", ["label", "marks", "score", "tags", "answers"])
def test_smaller_batches_teach_the_same(
    context: Make, tiny_bert: Path, tiny_llama: Path, reviews: str, addresses: str, questions: str, tmp_path: Path,
    kind: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    base: dict[str, Any] = {"precision": "fp32", "max_steps": 12, "logging_steps": 1, "eval_strategy": "no", "lr": 1e-3}
    if kind == "tags":
        base |= {"task": "token-classification", "model": still(tiny_bert, tmp_path), "dataset": addresses}
    elif kind == "answers":
        base |= {"task": "text-generation", "model": still(tiny_llama, tmp_path), "dataset": questions}
    else:
        base |= {"task": "text-classification", "model": still(tiny_bert, tmp_path), "dataset": reviews}
        base |= {"label_column": kind, "text_column": "text"}
        base |= {"problem_type": {"marks": "multi_label", "score": "regression"}.get(kind)}
    curves = []
    # 11 leaves an update of fewer rows at the end of an epoch, and does not divide.
    for rows in (11, 4, 1):
        work = context(**base, batch_size=11)
        plan = BatchPlan(11, rows, 4)
        monkeypatch.setattr(train, "next_plan", lambda folder, first, number, plan=plan: plan)
        train.run(work)
        curves.append(view_of(work.folder).series["loss"].values)
    assert curves[1] == pytest.approx(curves[0], rel=2e-4)
    assert curves[2] == pytest.approx(curves[0], rel=2e-4)


def test_an_evaluation_without_memory_takes_smaller_batches_and_goes_on(
    context: Make, tiny_bert: Path, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = training.UpdateTrainer.prediction_step

    def fail(self: Any, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        if len(inputs["input_ids"]) > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 12 bytes")
        return step(self, model, inputs, *arguments, **named)

    monkeypatch.setattr(training.UpdateTrainer, "prediction_step", fail)
    work = context(
        task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", max_steps=4,
        batch_size=16, eval_batch_size=16,
    )  # fmt: skip
    train.run(work)
    plan = plan_of(work.attempt)
    assert plan is not None
    assert replace(plan, phase="train") == BatchPlan(16, 16, 4)
    said = [event.body["message"] for event in work.folder.events() if event.kind == "log"]
    assert "memory ran out in an evaluation: batches of 4 rows there from now on" not in said
    assert "memory ran out in an evaluation: batches of 4 there from now on" in said
