"""Checkpoints are whole or not there, and are found again wherever they lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lepton_lab.dispatch.endings import end_attempt
from lepton_lab.recipe import build_recipe
from lepton_lab.record import (
    RunFolder,
    best_of,
    checkpoints_to_resume,
    drop_superseded,
    is_complete,
    is_intact,
    last_complete,
    mark_complete,
)
from lepton_lab.work.training.checkpoints import adopt, put_in_place, written_aside
from tests.attempts import next_attempt


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path))
    return RunFolder.create(build_recipe("train", {"task": "text-classification", "model": "m", "dataset": "d"}))


def write(root: Path, step: int, best: int | None = None, word: str = "x", keep: int = 2) -> Path:
    with written_aside(root) as aside:
        path = aside / f"checkpoint-{step}"
        (path / "inner").mkdir(parents=True)
        (path / "inner" / "weights").write_text(word)
        state = {"best_global_step": best, "best_model_checkpoint": str(root / f"checkpoint-{best}") if best else None}
        (path / "trainer_state.json").write_text(json.dumps(state))
        mark_complete(path, batch={"effective": 4}, keep=keep)
        return put_in_place(path, root)


def test_what_was_changed_since_is_not_intact(tmp_path: Path) -> None:
    path = write(tmp_path, 4, word="good")
    assert is_intact(path)
    assert json.loads((path / "complete.json").read_text())["batch"] == {"effective": 4}
    (path / "inner" / "weights").write_text("evil")
    assert is_complete(path)  # of the same size
    assert not is_intact(path)
    (path / "inner" / "weights").unlink()
    assert not is_complete(path)


def test_a_second_checkpoint_of_a_step_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write(tmp_path, 4, word="old")
    path = write(tmp_path, 4, word="new")
    assert (path / "inner" / "weights").read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint-4"]


def test_a_write_that_was_broken_off_leaves_the_older_one(tmp_path: Path) -> None:
    write(tmp_path, 4, word="old")

    def fill(root: Path) -> None:
        with written_aside(root) as aside:
            (aside / "checkpoint-4").mkdir()
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fill(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint-4"]
    assert is_intact(tmp_path / "checkpoint-4")


def test_the_highest_step_of_any_attempt_and_its_best_go_on(folder: RunFolder) -> None:
    assert checkpoints_to_resume(folder) == []
    one = folder.take_lease(1).path / "checkpoints"
    best = write(one, 2)
    last = write(one, 6, best=2)
    assert checkpoints_to_resume(folder) == [last, best]
    two = next_attempt(folder).path / "checkpoints"
    adopted = adopt(best, two)
    assert adopted == two / "checkpoint-2"
    assert is_intact(adopted)
    assert adopt(best, two) == adopt(adopted, two) == adopted
    assert last_complete(folder) == last  # not the newest attempt's, which is older
    newer = write(two, 6, best=2)
    assert last_complete(folder) == newer
    assert best_of(newer) == adopted
    assert best_of(last) == best


def test_the_best_is_found_in_a_run_folder_that_moved(folder: RunFolder, tmp_path: Path) -> None:
    one, two = (next_attempt(folder).path / "checkpoints" for _ in range(2))
    write(one, 2)
    state = {"best_global_step": 2, "best_model_checkpoint": "/elsewhere/attempts/1/checkpoints/checkpoint-2"}
    last = write(two, 6)
    (last / "trainer_state.json").write_text(json.dumps(state))
    assert best_of(last) == one / "checkpoint-2"


def there(folder: RunFolder) -> list[str]:
    """Every checkpoint of every attempt, whole or half."""
    found = (path for path in (folder.path / "attempts").glob("*/checkpoints/*") if path.is_dir())
    return sorted(f"{path.parent.parent.name}/{path.name}" for path in found)


def test_a_newer_checkpoint_lets_those_of_older_attempts_go(folder: RunFolder) -> None:
    one = folder.take_lease(1).path / "checkpoints"
    for step in (10, 20, 30):
        write(one, step, best=10)
    drop_superseded(folder, folder.attempt(1))
    assert there(folder) == [
        "1/checkpoint-10",
        "1/checkpoint-20",
        "1/checkpoint-30",
    ]  # an attempt's own are its business
    (one / ".writing" / "checkpoint-40").mkdir(parents=True)
    attempt = next_attempt(folder)
    two = attempt.path / "checkpoints"
    drop_superseded(folder, attempt)
    assert "1/.writing" in there(folder)  # nothing newer yet
    write(two, 40, best=10)
    drop_superseded(folder, attempt)
    assert there(folder) == ["1/checkpoint-10", "1/checkpoint-30", "2/checkpoint-40"]
    adopt(one / "checkpoint-10", two)
    write(two, 50, best=10)
    drop_superseded(folder, attempt)
    assert there(folder) == ["2/checkpoint-10", "2/checkpoint-40", "2/checkpoint-50"]
    assert [path.name for path in checkpoints_to_resume(folder)] == ["checkpoint-50", "checkpoint-10"]


def test_what_was_left_half_when_somebody_died_goes_the_next_time(folder: RunFolder) -> None:
    one = folder.take_lease(1).path / "checkpoints"
    (write(one, 10) / "complete.json").unlink()
    write(one, 20)
    attempt = next_attempt(folder)
    write(attempt.path / "checkpoints", 30)
    drop_superseded(folder, attempt)
    assert there(folder) == ["1/checkpoint-20", "2/checkpoint-30"]


def test_an_attempt_that_has_ended_takes_nothing_from_the_next(folder: RunFolder) -> None:
    write(folder.take_lease(1).path / "checkpoints", 10, keep=1)
    stale = next_attempt(folder)
    next_attempt(folder)  # it reads checkpoint-10 now
    write(stale.path / "checkpoints", 20, keep=1)
    drop_superseded(folder, stale)
    assert "1/checkpoint-10" in there(folder)


def test_the_end_of_a_run_lets_them_go(folder: RunFolder) -> None:
    write(folder.take_lease(1).path / "checkpoints", 10, keep=1)
    attempt = next_attempt(folder)
    write(attempt.path / "checkpoints", 20, keep=1)
    assert end_attempt(folder, attempt, {"status": "failed", "reason": "error"}) == "failed"
    assert there(folder) == ["2/checkpoint-20"]
