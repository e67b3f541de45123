"""Saving on the way, and going on after the end."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from lepton_lab import lab as facade
from lepton_lab.dispatch import cluster_status
from lepton_lab.errors import RequestError
from lepton_lab.record import RunFolder, list_runs, view_of
from lepton_lab.record.live import LiveFeed, LiveRun


def steps_of(folder: RunFolder) -> list[int]:
    return [int(event.body["step"]) for event in folder.events() if event.kind == "metric"]


@pytest.fixture
def without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small worker needs neither the model nor the data that its recipe names."""
    from lepton_lab import dispatch

    monkeypatch.setattr(dispatch, "check_readiness", lambda *_: None, raising=False)


def test_cancelled_run_is_resumed_as_the_same_run(lab: Any, wait_until: Any, without_checks: None) -> None:
    folder = lab.start("saves 60")
    run = facade.attach(folder.run)
    wait_until(lambda: len(steps_of(folder)) > 7)
    with pytest.raises(RequestError, match=r"only a run that failed, was cancelled or lost can be resumed.*attach"):
        run.resume()
    run.cancel()
    run.wait(timeout=20)
    wait_until(folder.final)  # it follows the last event
    live = LiveRun(folder)
    feed = LiveFeed(live, lambda view: ("", ""))
    live.read()
    assert [message["type"] for message in feed.messages()] == ["snapshot", "final"]
    assert next(row for row in list_runs() if row["run"] == folder.run)["status"] == "cancelled"
    run.resume()
    live.read()
    assert feed.messages()[0]["type"] == "snapshot"  # who saw the end sees that it goes on
    assert next(row for row in list_runs() if row["run"] == folder.run)["status"] in ("queued", "running")
    run.wait(timeout=20)
    assert next(row for row in list_runs() if row["run"] == folder.run)["status"] == "succeeded"
    view = view_of(folder)
    assert (view.status, view.attempt) == ("succeeded", 2)
    assert view.series["loss"].steps == list(range(1, 61)) == steps_of(folder)
    with pytest.raises(RequestError, match="lepton clone"):
        run.resume()


def test_checkpoint_is_saved_while_the_run_goes_on(lab: Any, wait_until: Any) -> None:
    folder = lab.start("10000")
    run = facade.attach(folder.run)
    wait_until(lambda: steps_of(folder))
    run.checkpoint()
    wait_until(lambda: list(folder.attempt(1).path.glob("checkpoints/checkpoint-*/complete.json")))
    before = len(steps_of(folder))
    wait_until(lambda: len(steps_of(folder)) > before)
    run.cancel().wait(timeout=20)
    with pytest.raises(RequestError, match="only a running run can save a checkpoint"):
        run.checkpoint()


def test_clone_changes_what_is_asked_and_nothing_else(lab: Any, wait_until: Any) -> None:
    folder = lab.start("saves 12")
    run = facade.attach(folder.run).wait(timeout=20)
    recipe = facade.clone_recipe(run, {"lr": 1e-3})
    assert recipe.train.learning_rate == 1e-3
    assert recipe.model_copy(update={"train": run.recipe.train}) == run.recipe
    again = facade.clone_recipe(run, {}, from_checkpoint=True)
    assert again.train.resume_from_checkpoint == str(folder.attempt(1).path / "checkpoints" / "checkpoint-10")
    other = facade.attach(lab.start("3").run).wait(timeout=20)
    with pytest.raises(RequestError, match="a clone goes on from a complete checkpoint"):
        facade.clone_recipe(other, {}, from_checkpoint=True)


def test_who_waits_sees_the_run_through_the_death_of_its_agent(fresh_lab: Any, wait_until: Any) -> None:
    folder, following = fresh_lab.start("saves 100"), fresh_lab.start("3")
    wait_until(lambda: len(steps_of(folder)) > 7)
    os.kill(cluster_status()["pid"], signal.SIGKILL)
    wait_until(lambda: cluster_status()["cluster"] == "not running")
    assert facade.attach(following.run).wait(timeout=30).status == "succeeded"
    assert view_of(folder).status == "succeeded"
