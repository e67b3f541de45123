"""The record: events, folding, leases, finding runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lepton_lab.errors import Fenced, RunNotFound
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder, RunTail, find_run, folded_events, list_runs, newest_run, read_events, view_of
from tests.attempts import next_attempt


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path))
    yield tmp_path


def new_run(**options: object) -> RunFolder:
    base = {"task": "text-classification", "model": "m", "dataset": "d"}
    return RunFolder.create(build_recipe("train", {**base, **options}))


def test_a_torn_last_line_is_skipped_and_the_next_writer_goes_on() -> None:
    folder = new_run()
    attempt = folder.take_lease(1)
    writer = attempt.writer("trainer")
    writer.metric(1, {"loss": 2.0})
    writer.metric(2, {"loss": 1.0})
    writer.close()
    path = attempt.path / "events-trainer.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    again = attempt.writer("trainer")
    again.metric(3, {"loss": 0.5})
    assert [(event.sequence, event.body["step"]) for event in read_events(path)] == [(0, 1), (1, 3)]


def test_non_finite_numbers_become_null() -> None:
    folder = new_run()
    writer = folder.take_lease(1).writer("trainer")
    event = writer.metric(1, {"loss": float("nan"), "lr": 1.0})
    assert event.body["values"] == {"loss": None, "lr": 1.0}
    assert "loss" not in view_of(folder).series


def test_each_step_once_after_a_resume_that_went_back() -> None:
    folder = new_run()
    first = folder.take_lease(1).writer("trainer")
    for step in (10, 20, 30):
        first.metric(step, {"loss": step / 10})
    first.metric(30, {"eval_loss": 9.0})
    second = next_attempt(folder).writer("trainer")
    for step in (20, 30, 40):
        second.metric(step, {"loss": step / 100})
    steps = [event.body["step"] for event in folded_events(folder.events()) if event.kind == "metric"]
    assert steps == [10, 20, 30, 40]
    view = view_of(folder)
    assert view.series["loss"].steps == [10, 20, 30, 40]
    assert view.series["loss"].values == [1.0, 0.2, 0.3, 0.4]


def test_numbers_of_one_step_are_joined() -> None:
    folder = new_run()
    writer = folder.take_lease(1).writer("trainer")
    writer.metric(5, {"loss": 1.0})
    writer.metric(5, {"eval_loss": 2.0})
    (event,) = folded_events(folder.events())
    assert event.body["values"] == {"loss": 1.0, "eval_loss": 2.0}


def test_a_tail_reads_each_event_once_and_waits_for_the_rest_of_a_line() -> None:
    folder = new_run()
    attempt = folder.take_lease(1)
    writer = attempt.writer("trainer")
    tail = RunTail(folder)
    writer.metric(1, {"loss": 1.0})
    assert len(tail.read()) == 1
    line = json.dumps({**writer.metric(2, {"loss": 1.0}).to_dict(), "sequence": 2, "step": 3}) + "\n"
    with (attempt.path / "events-trainer.jsonl").open("a") as file:
        file.write(line[:20])
        file.flush()
        assert [event.body["step"] for event in tail.read()] == [2]
        file.write(line[20:])
    assert [event.body["step"] for event in tail.read()] == [3]
    assert tail.read() == []


TAKE = """
import sys; from pathlib import Path
from lepton_lab.errors import Fenced
from lepton_lab.record import RunFolder
try:
    RunFolder(Path(sys.argv[1])).take_lease(1)
except Fenced:
    sys.exit(3)
"""


def test_only_one_of_many_processes_takes_the_lease() -> None:
    folder = new_run()
    processes = [subprocess.Popen([sys.executable, "-c", TAKE, str(folder.path)]) for _ in range(4)]
    assert sorted(process.wait(60) for process in processes) == [0, 3, 3, 3]


def test_a_run_that_ended_takes_no_lease() -> None:
    folder = new_run()
    folder.finish("cancelled")
    folder.finish("failed")
    assert view_of(folder).status == "cancelled"
    with pytest.raises(Fenced):
        folder.take_lease(1)


def test_an_end_that_is_written_again_behind_a_resumption_does_not_count() -> None:
    folder = new_run()
    folder.take_lease(1).end("cancelled")
    folder.finish("cancelled", attempt=1)
    assert folder.reopen() is not None
    folder.finish("cancelled", attempt=1)  # by the agent, which saw the end at the same moment
    assert folder.final() is None
    folder.take_lease(2)
    folder.finish("succeeded", attempt=2)
    assert view_of(folder).status == "succeeded"


def test_a_silent_supervisor_is_shown_as_lost_until_it_speaks() -> None:
    folder = new_run()
    attempt = folder.take_lease(1)
    attempt.writer("supervisor").status(status="running")
    attempt.beat()
    tail = RunTail(folder)
    tail.read()
    assert tail.view.status == "running"
    beat = json.loads((attempt.path / "heartbeat.json").read_text())
    (attempt.path / "heartbeat.json").write_text(json.dumps({**beat, "time": beat["time"] - 100}))
    tail.read()
    assert tail.view.status == "lost"
    attempt.beat()
    tail.read()
    assert tail.view.status == "running"


def test_a_run_is_over_when_its_end_is_written_not_when_it_is_told() -> None:
    folder = new_run()
    attempt = folder.take_lease(1)
    attempt.beat()
    supervisor = attempt.writer("supervisor")
    supervisor.status(status="running")
    supervisor.status(status="succeeded")  # what it left may still be on its way
    tail = RunTail(folder)
    tail.read()
    assert (tail.view.status, tail.view.ended) == ("running", None)
    folder.finish("succeeded", attempt=1)
    tail.read()
    assert tail.view.status == view_of(folder).status == "succeeded"


def test_a_request_to_stop_shows_at_once() -> None:
    folder = new_run()
    folder.take_lease(1).writer("supervisor").status(status="running")
    folder.ask("cancel")
    assert view_of(folder).status == "cancelling"


def test_runs_are_found_by_id_prefix_and_name_newest_first() -> None:
    folders = [new_run(name="one"), new_run(name="two"), new_run(name="two")]
    assert find_run(folders[0].run).run == folders[0].run
    assert find_run(folders[0].run[:6]).run == folders[0].run
    assert find_run("two").run == folders[2].run
    assert [row["run"] for row in list_runs()] == [folder.run for folder in reversed(folders)]
    newest = newest_run("train")
    assert newest is not None
    assert newest.run == folders[2].run
    for word in ("nothing", "", "../x", "."):
        with pytest.raises(RunNotFound, match="there is no such run"):
            find_run(word)


def test_an_ambiguous_prefix_is_refused(home: Path) -> None:
    for name in ("abcd2345", "abcd2346"):
        new_run().path.rename(home / "runs" / name)
    with pytest.raises(RunNotFound, match="abcd2345, abcd2346"):
        find_run("abcd")


def test_creating_a_run_that_fails_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("lepton_lab.record.folder.write_json", refuse)
    with pytest.raises(OSError, match="disk full"):
        new_run()
    assert list((home / "runs").iterdir()) == []
