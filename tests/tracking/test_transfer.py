"""One run in MLflow: whole, once, without secrets, with our aliases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lepton_lab import promotion
from lepton_lab.record import Event, RunFolder, write_json
from lepton_lab.tracking import Cursor, Target, done_runs, follow_moved_alias, open_runs
from lepton_lab.tracking.transfer import Transfer

from ..commands.making import begin, finish, finished_run, new_run, train_steps
from .served import client, runs_there, steps_there

# MLflow's own imports warn.
pytestmark = pytest.mark.filterwarnings("ignore")


def send(folder: RunFolder, again: bool = False) -> None:
    """Everything that there is of the run, by a process that knows only the cursor."""
    cursor = None if again else Cursor.read(Target.here(), folder.run)
    transfer = Transfer(Target.here(), cursor or Cursor(folder.run, "lepton-lab"))
    transfer.advance()
    transfer.advance()  # a run is over once nothing new was found behind its end


def compiled(parent: RunFolder, verdict: str) -> RunFolder:
    folder = new_run("compile", parent=parent.run)
    attempt = begin(folder)
    (attempt.path / "compiled").mkdir()
    (attempt.path / "compiled" / "model.onnx").write_bytes(b"m")
    trainer = attempt.writer("trainer")
    trainer.report("metrics", {"backend": "onnxruntime", "test_verdict": verdict})
    trainer.artifact("compiled", "model", "attempts/1/compiled", "sha256:1", 1)
    attempt.writer("supervisor").status(status="succeeded")
    folder.finish("succeeded", metrics={"backend": "onnxruntime", "test_verdict": verdict})
    return folder


def test_a_run_is_there_whole() -> None:
    folder = finished_run(name="second", tags=["nightly"], notes="why", lr="1e-4")
    send(folder)
    (run,) = runs_there()
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "second"
    assert run.data.params["train.learning_rate"] == "0.0001"
    assert run.data.params["task"] == "text-classification"
    assert run.data.tags["lepton.run"] == folder.run
    assert run.data.tags["lepton.status"] == "succeeded"
    assert run.data.tags["lepton.tag.nightly"] == "true"
    assert run.data.tags["mlflow.note.content"] == "why"
    assert steps_there(run, "loss") == list(range(1, 9))
    assert steps_there(run, "eval_accuracy") == [4, 8]
    assert run.data.metrics["test_accuracy"] == 0.81
    there = client()
    assert {each.path for each in there.list_artifacts(run.info.run_id)} == {"model", "reports"}
    report = json.loads(Path(there.download_artifacts(run.info.run_id, "reports/metrics.json")).read_text())
    assert report["test_accuracy"] == 0.81
    (version,) = there.search_model_versions(f"run_id = '{run.info.run_id}'")
    assert (version.name, version.tags["lepton.run"]) == ("lepton-text-classification", folder.run)
    assert done_runs(Target.here()) == [folder.run]
    assert open_runs(Target.here()) == []


def test_sent_again_it_is_there_once() -> None:
    folder = finished_run()
    send(folder)
    for cursor_is_lost in (False, True):
        send(folder, again=cursor_is_lost)
        (run,) = runs_there()
        assert steps_there(run, "loss") == list(range(1, 9))
        assert len(client().get_metric_history(run.info.run_id, "test_accuracy")) == 1
        assert len(client().search_model_versions(f"run_id = '{run.info.run_id}'")) == 1


@pytest.mark.parametrize("restarts", [False, True])
def test_a_step_that_was_computed_again_is_not_logged_twice(restarts: bool) -> None:
    folder = new_run()
    train_steps(begin(folder), 1, 6)
    transfer = Transfer(Target.here(), Cursor(folder.run, "lepton-lab"))
    transfer.advance()
    train_steps(begin(folder, 2), 3, 8)
    finish(folder)
    if restarts:
        send(folder)
    else:
        transfer.advance()
    (run,) = runs_there()
    assert steps_there(run, "loss") == list(range(1, 9))
    assert steps_there(run, "eval_loss") == [4, 8]


def test_a_batch_of_which_nobody_knows_whether_it_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run()
    attempt = begin(folder)
    train_steps(attempt, 1, 6)
    transfer = Transfer(Target.here(), Cursor(folder.run, "lepton-lab"))
    from mlflow import MlflowClient

    whole = MlflowClient.log_batch

    def answer_is_lost(self: Any, run: str, metrics: Any = (), **others: Any) -> None:
        whole(self, run, metrics=metrics, **others)
        if metrics:
            raise ConnectionError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", answer_is_lost)
        with pytest.raises(ConnectionError):
            transfer.advance()
    train_steps(begin(folder, 2), 5, 8)  # at another time: the server cannot see that these are the same points
    transfer.advance()
    (run,) = runs_there()
    assert steps_there(run, "loss") == list(range(1, 9))


def test_more_points_than_a_batch_takes() -> None:
    folder = new_run()
    trainer = begin(folder).writer("trainer")
    for step in range(1, 2501):
        trainer.metric(step, {"loss": 1.0, "learning_rate": 0.1})
    Transfer(Target.here(), Cursor(folder.run, "lepton-lab")).advance()
    (run,) = runs_there()
    assert run.info.status == "RUNNING"
    assert steps_there(run, "loss") == steps_there(run, "learning_rate") == list(range(1, 2501))


def test_aliases_move_there_as_they_move_here() -> None:
    first, second = finished_run(), finished_run()
    promotion.promote(first, "champion")
    send(first)
    send(second)
    there, name = client(), "lepton-text-classification"
    runs = {run.data.tags["lepton.run"]: run.info.run_id for run in runs_there()}
    assert there.get_model_version_by_alias(name, "champion").run_id == runs[first.run]
    follow_and_send(promotion.promote(second, "champion"), second, first)
    assert there.get_model_version_by_alias(name, "champion").run_id == runs[second.run]
    # A model with a name of its own; what somebody set by hand stays.
    there.set_registered_model_alias(name, "by-hand", there.get_model_version_by_alias(name, "champion").version)
    follow_and_send(promotion.promote(second, "champion", "reviews"), second)
    assert there.get_model_version_by_alias("reviews", "champion").run_id == runs[second.run]
    follow_and_send(promotion.remove_alias("champion"), second)
    assert set(there.get_registered_model(name).aliases) == {"by-hand"}
    assert set(there.get_registered_model("reviews").aliases) == {"champion"}


def follow_and_send(move: Any, *folders: RunFolder) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lepton_lab.tracking.following.wake", lambda target: None)
        follow_moved_alias(move)
    assert set(open_runs(Target.here())) == {folder.run for folder in folders}
    for folder in folders:
        send(folder)


def test_a_compilation_stands_below_its_training_and_one_that_failed_parity_is_no_version() -> None:
    parent = finished_run()
    send(parent)
    failed, passed = compiled(parent, "fail"), compiled(parent, "pass")
    send(failed)
    send(passed)
    runs = {run.data.tags["lepton.run"]: run for run in runs_there()}
    assert runs[failed.run].data.tags["mlflow.parentRunId"] == runs[parent.run].info.run_id
    assert client().search_model_versions(f"run_id = '{runs[failed.run].info.run_id}'") == []
    assert len(client().search_model_versions(f"run_id = '{runs[passed.run].info.run_id}'")) == 1


def test_a_run_that_is_resumed_after_its_end_goes_on_there() -> None:
    folder = new_run()
    train_steps(begin(folder), 1, 6)
    finish(folder, "failed")
    send(folder)
    (folder.path / "final.json").unlink()
    train_steps(begin(folder, 2), 5, 8)
    assert Cursor.reopen(Target.here(), folder.run)
    transfer = Transfer(Target.here(), Cursor.read(Target.here(), folder.run) or Cursor(folder.run, "x"))
    transfer.advance()
    assert [run.info.status for run in runs_there()] == ["RUNNING"]
    finish(folder)
    transfer.advance()
    transfer.advance()
    (run,) = runs_there()
    assert (run.info.status, run.data.metrics["test_accuracy"]) == ("FINISHED", 0.81)
    assert steps_there(run, "loss") == list(range(1, 9))


@pytest.mark.parametrize(("status", "there"), [("failed", "FAILED"), ("cancelled", "KILLED")])
def test_how_it_ended(status: str, there: str) -> None:
    send(finished_run(status))
    (run,) = runs_there()
    assert run.info.status == there


def test_a_run_that_was_deleted_is_no_longer_waited_for() -> None:
    Cursor("abcdefgh", "lepton-lab").write(Target.here())
    Transfer(Target.here(), Cursor("abcdefgh", "lepton-lab")).advance()
    assert open_runs(Target.here()) == []


def test_planted_secrets_do_not_arrive(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token, password, key = "hf_PlantedPlantedPlantedPlanted", "planted-password", "planted/access/key/value"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key)
    folder = new_run()
    attempt = begin(folder)
    finish(folder, "failed", reason="error", message=f"could not open s3://x with {key} and {token}")
    # As an older version may have written it, which let secrets through.
    write_json(folder.path / "run.json", {**folder.header(), "name": f"n {token}", "notes": f"uses {token}"})
    report = {"source": f"https://me:{password}@example.org/reviews.csv", "key": key}
    body = {"name": "preflight", "type": "report", "content": report}
    event = Event(folder.run, 1, "other", 0, 1.0, "artifact", body)
    (attempt.path / "events-other.jsonl").write_text(json.dumps(event.to_dict()) + "\n")
    send(folder)
    (run,) = runs_there()
    there = client().download_artifacts(run.info.run_id, "reports/preflight.json")
    assert "example.org" in Path(there).read_text()
    assert run.data.tags["lepton.message"].startswith("could not open")
    written = [path.read_bytes() for path in (home / "tracking").rglob("*") if path.is_file()]
    assert len(written) > 2
    for secret in (token, password, key):
        assert not [content for content in written if secret.encode() in content], secret
