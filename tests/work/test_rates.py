"""A run that goes on from another run's checkpoint with another learning rate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lepton_lab.record import view_of
from lepton_lab.work.context import WorkContext
from lepton_lab.work.jobs import train

from .test_resume import Killed, again, kill_at_metric, weights_of  # noqa: F401 - a fixture

Make = Callable[..., WorkContext]


@pytest.mark.parametrize("schedule", ["linear", "warmup_stable_decay"])
def test_its_own_rate_follows_the_schedule_from_where_the_checkpoint_is(
    context: Make, again: Callable[..., WorkContext], tiny_bert: Path, reviews: str, schedule: str,  # noqa: F811
) -> None:  # fmt: skip
    options = {
        "task": "text-classification", "model": str(tiny_bert), "dataset": reviews, "label_column": "label",
        "precision": "fp32", "batch_size": 16, "max_steps": 12, "logging_steps": 1, "eval_strategy": "no",
        "save_strategy": "steps", "save_steps": 3, "lr": 1e-3, "lr_scheduler_type": schedule, "save_total_limit": 4,
    }  # fmt: skip
    straight = context(**options)
    train.run(straight)
    start = {"resume_from_checkpoint": str(straight.attempt.path / "checkpoints" / "checkpoint-6")}
    same = context(**options, **start)
    train.run(same)
    assert weights_of(same) == weights_of(straight)

    higher = context(**{**options, **start, "lr": 3e-3})
    train.run(higher)
    before, after = (view_of(each.folder).series["learning_rate"] for each in (straight, higher))
    assert after.steps == [7, 8, 9, 10, 11, 12]
    assert after.values == pytest.approx([3 * value for value in before.values[6:]])

    disturbed = context(**{**options, **start, "lr": 3e-3})
    kill_at_metric(disturbed, "loss", 10)
    with pytest.raises(Killed):
        train.run(disturbed)
    disturbed = again(disturbed.folder)
    train.run(disturbed)  # from its own checkpoint, which has this rate already
    assert view_of(disturbed.folder).series["learning_rate"].values == after.values
    assert weights_of(disturbed) == weights_of(higher)
