"""A real training: mirrored once, promoted, asked by its alias."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lepton_lab.tracking import Target
from tests.conftest import lepton

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_lab")]

TRAIN = "train --task text-classification --model sample:minilm --dataset sample:movie-sentiment --peft lora --max-length 48"

# In a process of its own: MLflow's imports warn.
_THERE = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1], sys.argv[1])
runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
print(json.dumps([{
    "run": run.data.tags.get("lepton.run"),
    "status": run.info.status,
    "metrics": run.data.metrics,
    "params": run.data.params,
    "steps": [point.step for point in client.get_metric_history(run.info.run_id, "loss")],
    "files": [each.path for each in client.list_artifacts(run.info.run_id, "model")],
    "champion": client.get_model_version_by_alias("lepton-text-classification", "champion").run_id == run.info.run_id,
} for run in runs]))
"""


def test_a_training_is_mirrored_once_and_answers_by_its_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    words = [*TRAIN.split(), *["--max-steps", "6", "--logging-steps", "1", "--report-to", "mlflow", "--wait", "--json"]]
    ending = json.loads(lepton(*words).stdout.splitlines()[-1])
    lepton("promote", ending["run"], "--alias", "champion")
    lepton("mlflow", "sync")
    asked = [sys.executable, "-W", "ignore", "-c", _THERE, Target.here().uri]
    (run,) = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert (run["run"], run["status"]) == (ending["run"], "FINISHED")
    assert run["steps"] == [1, 2, 3, 4, 5, 6]
    assert run["metrics"]["test_accuracy"] == ending["metrics"]["test_accuracy"]
    assert run["params"]["peft.method"] == "lora"
    assert "model/model.safetensors" in run["files"]
    assert run["champion"]
    (answer,) = json.loads(lepton("predict", "champion", "A fine film.", "--json").stdout)
    assert answer["label"] in ("negative", "positive", "0", "1", 0, 1) or answer["score"]
    (model,) = [row for row in json.loads(lepton("models", "--json").stdout) if row["aliases"]]
    assert (model["run"], model["value"]) == (ending["run"], ending["metrics"]["test_accuracy"])
