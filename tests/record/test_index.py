"""The index of runs: always what the folders say, whoever changed them, and quick."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lepton_lab import places
from lepton_lab.recipe import build_recipe
from lepton_lab.record import (
    RunFolder,
    children_of,
    find_run,
    list_runs,
    new_run_id,
    newest_run,
    unfinished_runs,
    view_of,
)
from tests.attempts import next_attempt


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))
    yield tmp_path / "home"


def new_run(**options: object) -> RunFolder:
    kind = "compile" if "parent" in options else "train"
    base = {} if kind == "compile" else {"task": "text-classification", "model": "m", "dataset": "d"}
    return RunFolder.create(build_recipe(kind, {**base, **options}))


def many_runs(root: Path, count: int) -> None:
    """Ended runs, written as other hosts would have: without us."""
    header = new_run().header()
    for number in range(count):
        run = new_run_id()
        (root / "runs" / run).mkdir()
        about = {**header, "run": run, "created": header["created"] - number - 1, "name": f"number {number}"}
        final = {"status": "succeeded", "ended": about["created"], "metrics": {"test_accuracy": 0.5}}
        (root / "runs" / run / "run.json").write_text(json.dumps(about))
        (root / "runs" / run / "final.json").write_text(json.dumps(final))


def index_file() -> Path:
    return places.state_dir() / "runs-1.sqlite"


def ids() -> list[str]:
    return [row["run"] for row in list_runs()]


def test_runs_that_appear_end_vanish_and_come_back(home: Path) -> None:
    folder = new_run(name="one")
    assert list_runs()[0]["status"] == "queued"
    folder.finish("succeeded", metrics={"test_loss": 0.5})
    (row,) = list_runs()
    assert (row["run"], row["status"], row["metrics"]) == (folder.run, "succeeded", {"test_loss": 0.5})
    assert unfinished_runs() == []
    away = home / "away"
    shutil.copytree(folder.path, away)
    shutil.rmtree(folder.path)
    assert list_runs() == []
    header = json.loads((away / "run.json").read_text())
    (away / "run.json").write_text(json.dumps({**header, "name": "restored"}))
    away.rename(folder.path)
    assert list_runs()[0]["name"] == "restored"
    assert find_run("restored") == folder


def test_a_run_that_ended_is_not_opened_again(home: Path) -> None:
    many_runs(home, 3)
    before = list_runs()
    for path in (home / "runs").glob("*/final.json"):
        path.write_text("never read")
    assert list_runs() == before


def test_a_living_run_shows_what_its_events_say() -> None:
    folder = new_run()
    attempt = folder.take_lease(1)
    attempt.writer("supervisor").status(status="running", stage="start")
    trainer = attempt.writer("trainer")
    trainer.status(stage="train", max_steps=40)
    for step in range(1, 11):
        trainer.metric(step, {"loss": 1.0})
        trainer.log('a text with "kind": "status", "name": "metrics" and "loss": 7')
    (row,) = list_runs()
    assert (row["status"], row["progress"]) == ("running", 0.25)
    trainer.metric(20, {"loss": 1.0})
    trainer.metric(20, {"eval_loss": 1.0})
    assert list_runs()[0]["progress"] == 0.5
    trainer.report("metrics", {"test_accuracy": 0.75})
    assert list_runs()[0]["metrics"] == {"test_accuracy": 0.75}
    again = next_attempt(folder).writer("trainer")
    again.metric(4, {"loss": 1.0})
    assert list_runs()[0]["progress"] == view_of(folder).progress == 0.1
    folder.ask("cancel")
    assert list_runs()[0]["status"] == "cancelling"


def test_a_line_that_is_being_written_is_taken_when_it_is_whole() -> None:
    folder = new_run()
    attempt = folder.take_lease(1)
    line = json.dumps(attempt.writer("other").status(status="running").to_dict()) + "\n"
    (attempt.path / "events-other.jsonl").unlink()
    path = attempt.path / "events-trainer.jsonl"
    path.write_text(line[:30])
    assert list_runs()[0]["status"] == "queued"
    path.write_text(line)
    assert list_runs()[0]["status"] == "running"


@pytest.mark.parametrize("harm", ["damaged", "empty", "locked", "no folder"])
def test_an_index_that_cannot_be_used_changes_nothing(home: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    many_runs(home, 5)
    before = list_runs()
    locker: Any = None
    if harm == "damaged":
        index_file().write_bytes(b"no data base " * 1000)
    elif harm == "empty":
        index_file().write_bytes(b"")
    elif harm == "locked":
        monkeypatch.setattr("lepton_lab.record.index._LOCK_SECONDS", 0.1)
        hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE'); print(1); input()"
        locker = subprocess.Popen(
            [sys.executable, "-uc", hold, str(index_file())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        locker.stdout.readline()
    else:
        (home / "file").write_text("")
        monkeypatch.setenv("LEPTON_STATE_DIR", str(home / "file" / "state"))
    added = new_run()
    assert ids() == [added.run, *(row["run"] for row in before)]
    assert ids() == [added.run, *(row["run"] for row in before)]
    if locker is not None:
        locker.communicate("\n")


def test_children_and_the_newest_by_kind() -> None:
    trained = new_run()
    compiled = new_run(parent=trained.run)
    measured = new_run(parent=trained.run, name="two")
    assert children_of(trained.run) == [compiled, measured]
    assert children_of(trained.run, ["benchmark"]) == []
    assert children_of(compiled.run) == []
    assert newest_run("train") == trained
    assert newest_run(None) == measured
    assert newest_run("benchmark") is None


WRITE = """
import sys
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder, list_runs
for _ in range(20):
    folder = RunFolder.create(build_recipe("train", {"task": "text-classification", "model": "m", "dataset": "d"}))
    folder.take_lease(1).writer("supervisor").status(status="running")
    assert folder.run in [row["run"] for row in list_runs()]
    folder.finish("succeeded")
    assert {row["run"]: row["status"] for row in list_runs()}[folder.run] == "succeeded"
"""


def test_several_processes_write_and_list_at_once() -> None:
    processes = [subprocess.Popen([sys.executable, "-c", WRITE]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert [row["status"] for row in list_runs()] == ["succeeded"] * 60


def test_ten_thousand_runs_and_a_long_living_one_are_listed_quickly(home: Path) -> None:
    """Processor time of this thread alone, without a collection of what other tests left: the benchmark has the wall's."""
    many_runs(home, 10_000)
    living = new_run()
    attempt = living.take_lease(1)
    attempt.writer("supervisor").status(status="running")
    writer = attempt.writer("trainer")
    writer.status(max_steps=400_000)
    line = json.dumps({**writer.metric(1, {"loss": 1.0}).to_dict(), "sequence": 7, "step": 200_000}) + "\n"
    with (attempt.path / "events-trainer.jsonl").open("a") as file:
        file.write(line * 200_000)
    assert len(list_runs()) == 10_002
    for question in (list_runs, lambda: find_run("number 77"), newest_run, lambda: children_of(living.run)):
        gc.disable()
        before = time.thread_time()
        question()
        seconds = time.thread_time() - before
        gc.enable()
        assert seconds < 0.5
    assert list_runs(1)[0]["progress"] == 0.5
    assert os.path.getsize(index_file()) < 20_000_000
