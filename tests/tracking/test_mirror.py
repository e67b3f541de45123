"""The process that mirrors: started by itself, killed and started again, in front of servers that come and go."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import lepton_lab
from lepton_lab import places
from lepton_lab.commands import Seat, run_words
from lepton_lab.dispatch.processes import ProcessMark
from lepton_lab.errors import ClusterError, MissingExtra, RequestError
from lepton_lab.record import AttemptFolder, RunFolder
from lepton_lab.tracking import Cursor, Target, done_runs, follow, open_runs, stop_mirrors, wake

from ..commands.making import begin, finish, finished_run, new_run, train_steps
from .bad_line import bad_line
from .served import TrackingServer, client, runs_there, server_command, steps_there

pytestmark = pytest.mark.filterwarnings("ignore")


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            log = Target.here().log
            raise AssertionError(f"waited in vain\n{log.read_text() if log.exists() else 'no log'}")
        time.sleep(0.05)
    return found


def mirror() -> ProcessMark | None:
    """The living process that mirrors to the target of this environment."""
    process = Target.here().process()
    return process if process is not None and process.is_alive() else None


def write_steps(attempt: AttemptFolder, first: int, last: int, pause: float = 0.0) -> None:
    trainer = attempt.writer("trainer")
    for step in range(first, last + 1):
        trainer.metric(step, {"loss": 1.0 / step, "learning_rate": 0.1})
        time.sleep(pause)
    trainer.close()


def test_a_tracking_uri_shows_no_password_and_a_new_password_is_no_new_target() -> None:
    first, second = (Target(f"https://me:{word}@mlflow.example.org/x") for word in ("planted-one", "planted-two"))
    assert first.key == second.key != Target("https://mlflow.example.org/y").key
    for text in (first.shown, repr(first), str(first)):
        assert "planted" not in text
        assert "mlflow.example.org" in text


def test_a_run_is_mirrored_when_asked_for_by_recipe_environment_or_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    from lepton_lab.recipe import build_recipe
    from lepton_lab.tracking import is_wanted

    plan = {"task": "text-classification", "model": "m", "dataset": "d"}
    assert not is_wanted(build_recipe("train", plan))
    assert is_wanted(build_recipe("train", {**plan, "report_to": ["mlflow"]}))
    child = build_recipe("compile", {"parent": "abcdefgh"})
    assert not is_wanted(child)
    Cursor("abcdefgh", "lepton-lab").write(Target.here())
    assert is_wanted(child)
    monkeypatch.setenv("LEPTON_REPORT_TO", "tensorboard,mlflow")
    assert is_wanted(build_recipe("train", plan))


def test_without_mlflow_a_run_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lepton_lab.tracking.following.find_spec", lambda name: None if name == "alembic" else True)
    with pytest.raises(MissingExtra, match=r"alembic.*lepton-lab\[mlflow\]"):
        run_words(["mlflow", "sync"], Seat())
    with pytest.raises(RequestError, match=r"lepton-lab\[mlflow\]"):
        lepton_lab.train(task="text-classification", model="nowhere", dataset="nothing.csv", report_to=["mlflow"])


@pytest.mark.slow
def test_old_runs_are_caught_up_with_by_hand_and_the_process_is_ended(home: Path) -> None:
    folders = [finished_run() for _ in range(2)]
    result = run_words(["mlflow", "sync", "--all"], Seat())
    assert sorted(result["mirrored"]) == sorted(folder.run for folder in folders)
    status = run_words(["mlflow", "status"], Seat())
    assert (status["waiting"], status["mirrored"], status["error"]) == ([], 2, "")
    assert sorted(run.data.tags["lepton.run"] for run in runs_there()) == sorted(folder.run for folder in folders)
    process = mirror()
    assert process is not None
    stop_mirrors()
    assert not process.is_alive()


def test_a_server_that_is_not_there_fails_nothing_and_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:planted-password@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "planted-token-value")
    folder = new_run()
    began = time.monotonic()
    follow(folder.run)
    assert time.monotonic() - began < 10
    train_steps(begin(folder), 1, 8)
    finish(folder)
    with pytest.raises(ClusterError, match="stay marked") as caught:
        run_words(["mlflow", "sync"], Seat())
    assert "planted" not in str(caught.value)
    assert open_runs(Target.here()) == [folder.run]
    files = [*places.tracking_dir().rglob("*"), *places.state_root().rglob("*")]
    written = [path.read_bytes() for path in files if path.is_file()]
    assert written
    assert not [content for content in written if b"planted" in content]


def _sent_steps() -> list[int]:
    return [step for run in runs_there() for step in steps_there(run, "loss")]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_mirror_that_is_killed_in_the_middle_goes_on_with_each_point_once() -> None:
    folder = new_run()
    attempt = begin(folder)
    chance = random.Random(7)
    sent = 0
    for start in range(1, 2001, 400):
        follow(folder.run)
        write_steps(attempt, start, start + 199)
        process = until(mirror, 120)
        sent = until(lambda sent=sent: max((0, *_sent_steps())) > sent and max(_sent_steps()), 120)
        write_steps(attempt, start + 200, start + 399, pause=chance.uniform(0.0, 0.01))  # about its next round
        process.send(signal.SIGKILL)
        assert process.wait(10)
    write_steps(begin(folder, 2), 1500, 2100)  # an attempt that went back
    finish(folder)
    wake(Target.here())
    until(lambda: done_runs(Target.here()) == [folder.run], 120)
    (run,) = runs_there()
    assert run.info.status == "FINISHED"
    for name in ("loss", "learning_rate"):
        assert steps_there(run, name) == list(range(1, 2101))
    assert len(client().search_model_versions(f"run_id = '{run.info.run_id}'")) == 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackingServer]:
    if find_spec("flask") is None and len(server_command()) > 1:
        pytest.skip("NO TRACKING SERVER HERE: install mlflow, or name its command in LEPTON_MLFLOW")
    found = TrackingServer(tmp_path)
    found.start()
    yield found
    found.kill()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_tracking_server_that_dies_is_caught_up_with(server: TrackingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    folder = new_run()
    attempt = begin(folder)
    follow(folder.run)
    write_steps(attempt, 1, 300, pause=0.01)
    until(lambda: runs_there(server.uri))
    server.kill()
    write_steps(attempt, 301, 600, pause=0.01)
    (Target.here().folder / "state.json").unlink(missing_ok=True)
    until(lambda: Target.here().state().get("error"))
    write_steps(attempt, 601, 700)
    finish(folder)  # the run ended in truth while nobody was there to hear it
    assert lepton_lab.attach(folder.run).status == "succeeded"
    server.start()
    run_words(["mlflow", "sync"], Seat())
    (run,) = runs_there(server.uri)
    assert run.info.status == "FINISHED"
    for name in ("loss", "learning_rate"):
        assert steps_there(run, name, server.uri) == list(range(1, 701))
    files = {each.path for each in client(server.uri).list_artifacts(run.info.run_id, "model")}
    assert files == {"model/model.safetensors"}
    lepton_lab.promote(folder.run, alias="champion")
    there = client(server.uri)
    until(lambda: "champion" in there.get_registered_model("lepton-text-classification").aliases)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_line_that_is_slow_and_loses_answers_slows_no_run_and_doubles_nothing(
    server: TrackingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train() -> float:
        """Seconds of a run that writes as fast as it can, with what its submitter does for the mirror."""
        began = time.monotonic()
        folder = new_run()
        attempt = begin(folder)
        if "MLFLOW_TRACKING_URI" in os.environ:
            follow(folder.run)
            followed.append(folder)
        write_steps(attempt, 1, 1500, pause=0.001)
        finish(folder)
        return time.monotonic() - began

    followed: list[RunFolder] = []
    alone = train()
    with bad_line(server.port, delay_seconds=0.5, loses_every=4) as line:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", line.uri)
        watched = train()
        assert watched < alone + 6.0, "the submitter waits for one process to start, and for no server"
        (folder,) = followed
        lepton_lab.promote(folder.run, alias="champion")
        until(lambda: done_runs(Target.here()) == [folder.run], 240)
        assert line.lost > 2
    (run,) = runs_there(server.uri)
    assert (run.info.status, run.data.tags["lepton.run"]) == ("FINISHED", folder.run)
    for name in ("loss", "learning_rate"):
        assert steps_there(run, name, server.uri) == list(range(1, 1501))
    there = client(server.uri)
    assert {each.path for each in there.list_artifacts(run.info.run_id)} >= {"model"}
    (version,) = there.search_model_versions(f"run_id = '{run.info.run_id}'")
    assert there.get_model_version_by_alias(version.name, "champion").run_id == run.info.run_id
