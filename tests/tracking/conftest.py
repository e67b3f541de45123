"""A home, a state folder and an MLflow database for each test; the database is made once and copied."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lepton_lab import tracking
from lepton_lab.tracking import Target

_MAKE = "import sys; from mlflow import MlflowClient; MlflowClient(sys.argv[1], sys.argv[1]).search_experiments()"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    subprocess.run([sys.executable, "-W", "ignore", "-c", _MAKE, f"sqlite:///{path}"], check=True, timeout=200)
    return path


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> Iterator[Path]:
    """Under /tmp, away from pytest's folders: a mirror that was left behind ends when its home is gone."""
    with tempfile.TemporaryDirectory(prefix="lepton-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("LEPTON_HOME", f"{folder}/home")
        monkeypatch.setenv("LEPTON_STATE_DIR", f"{folder}/state")
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "LEPTON_REPORT_TO"):
            monkeypatch.delenv(name, raising=False)
        database = Path(Target.here().uri.removeprefix("sqlite:///"))
        database.parent.mkdir(parents=True)
        shutil.copy(empty_database, database)
        yield Path(folder) / "home"
        tracking.stop_mirrors()
