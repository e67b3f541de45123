"""A real training that is cancelled: told at once, saved whole, and the next one starts."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from lepton_lab.lab import Run
from lepton_lab.record import checkpoint_step, is_intact, last_complete
from tests.dispatch.conftest import until
from tests.faults.training import SmallTraining, assert_no_orphans, steps_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("home")]


def told_at(run: Run, status: str) -> float:
    """When the run said so (seconds since 1970)."""
    return next(event.time for event in run.folder.events() if event.body.get("status") == status)


def test_cancelled_training_leaves_a_checkpoint_and_its_place_in_under_a_second(training: SmallTraining) -> None:
    runs = [training.start(max_steps=100_000, save_steps=50_000) for _ in range(3)]
    delays = []
    for run, following in pairwise(runs):
        until(lambda run=run: len(steps_of(run.folder)) > 10, 200)
        asked = time.time()
        run.cancel()
        assert run.status in ("cancelling", "cancelled")
        until(run.folder.final, 60)
        assert [event.body["status"] for event in run.folder.events() if "status" in event.body] == [
            *("running", "cancelling", "cancelled")
        ]
        saved = last_complete(run.folder)
        assert saved is not None
        assert is_intact(saved)
        assert checkpoint_step(saved) == steps_of(run.folder)[-1]
        until(lambda following=following: following.status == "running")
        mark = (saved / "complete.json").stat().st_mtime
        delays.append((told_at(run, "cancelling") - asked, told_at(following, "running") - mark))
    runs[-1].cancel().wait(timeout=60)
    assert_no_orphans(runs[-1].folder)
    told, started = map(min, zip(*delays, strict=True))  # the machine may do something else for a while
    assert told < 1
    assert started < 1
