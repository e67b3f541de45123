"""The rows of an update stay; those in memory at once become fewer."""

from __future__ import annotations

from pathlib import Path

import pytest

from lepton_lab.recipe import build_recipe
from lepton_lab.record import BatchPlan, RunFolder, can_shrink, memory_problem, next_plan, plan_of
from tests.attempts import next_attempt


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path))
    return RunFolder.create(build_recipe("train", {"task": "text-classification", "model": "m", "dataset": "d"}))


@pytest.mark.parametrize(("effective", "ranks"), [(32, 1), (5, 1), (24, 2), (7, 3)])
def test_fewer_rows_at_once_never_change_the_rows_of_an_update(effective: int, ranks: int) -> None:
    plan: BatchPlan | None = BatchPlan(effective, -(-effective // ranks), 8, ranks)
    seen = []
    while plan is not None:
        assert plan.effective == effective
        assert plan.train * plan.accumulation * ranks >= effective
        assert BatchPlan.from_dict(plan.to_dict()) == plan
        seen.append(plan.train)
        plan = plan.shrunk()
    assert seen[-1] == 1
    assert seen == sorted(seen, reverse=True)


def test_the_next_attempt_needs_less_of_what_was_too_much(folder: RunFolder) -> None:
    first = BatchPlan(16, 16, 32)
    assert next_plan(folder, first, 1) == first
    one = folder.take_lease(1)
    assert not can_shrink(one)  # it never came to train
    first.write(one)
    assert plan_of(one) == first
    assert next_plan(folder, first, 2) == first  # it ended for another reason
    one.write_outcome("failed", reason="memory")
    second = next_plan(folder, first, 2)
    assert (second.train, second.accumulation, second.evaluate) == (8, 2, 32)
    two = next_attempt(folder)
    BatchPlan(16, 8, 32, phase="evaluate").write(two)
    assert two.end("disturbed", reason="memory", message="the system killed it")
    third = next_plan(folder, first, 3)
    assert (third.train, third.accumulation, third.evaluate) == (8, 2, 16)
    three = next_attempt(folder)
    third.write(three)
    three.write_outcome("failed", reason="orphaned")
    assert next_plan(folder, first, 4) == third
    assert can_shrink(three)


def test_who_cannot_shrink_says_what_to_do() -> None:
    assert BatchPlan(4, 1, 1).shrunk() is None
    assert "--gradient-checkpointing" in str(memory_problem(BatchPlan(4, 1, 1)))
    assert BatchPlan(4, 4, 1, phase="evaluate").shrunk() is None
    assert "evaluation" in str(memory_problem(BatchPlan(4, 4, 1, phase="evaluate")))
