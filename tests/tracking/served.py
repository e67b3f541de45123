"""A tracking server, and what one has, asked with MLflow's own client."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from lepton_lab.tracking import Target


def client(uri: str | None = None) -> Any:
    from mlflow import MlflowClient

    uri = uri or Target.here().uri
    return MlflowClient(uri, uri)


def runs_there(uri: str | None = None) -> list[Any]:
    """Every run of every experiment."""
    there = client(uri)
    experiments = [each.experiment_id for each in there.search_experiments()]
    return list(there.search_runs(experiments)) if experiments else []


def steps_there(run: Any, name: str, uri: str | None = None) -> list[int]:
    """The steps of a curve, as logged."""
    return [point.step for point in client(uri).get_metric_history(run.info.run_id, name)]


def server_command() -> list[str]:
    """What starts a tracking server: of the whole MLflow where there is one, else of what this Python has of it."""
    whole = os.environ.get("LEPTON_MLFLOW") or str(Path(sys.executable).with_name("mlflow"))
    return [whole] if Path(whole).is_file() else [sys.executable, "-W", "ignore", "-m", "mlflow"]


class TrackingServer:
    """A real tracking server on loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers; again with what it knew."""
        store = ["--backend-store-uri", f"sqlite:///{self._folder}/server.db"]
        store += ["--artifacts-destination", f"{self._folder}/artifacts"]
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*server_command(), "server", *store, *place],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 180
        while not self._answers():
            if time.monotonic() > deadline:
                raise AssertionError((self._folder / "server.log").read_text())
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """With -9, and its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
