"""A tracking server that is killed in the middle of a real training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lepton_lab import tracking
from lepton_lab.commands import Seat, run_words
from tests.dispatch.conftest import until
from tests.faults.training import STEPS, Ending, SmallTraining, assert_unharmed, held_still
from tests.tracking.served import TrackingServer, runs_there, steps_there

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


@pytest.fixture
def server(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackingServer]:
    found = TrackingServer(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found.uri)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    found.start()
    yield found
    tracking.stop_mirrors()
    found.kill()


def test_killed_tracking_server_is_told_everything_later(
    server: TrackingServer, training: SmallTraining, undisturbed: Ending
) -> None:
    run = training.start(report_to=["mlflow"])
    with held_still(run):
        until(lambda: [each for each in runs_there(server.uri) if steps_there(each, "loss", server.uri)], 120)
        server.kill()
    assert run.wait(timeout=300).status == "succeeded"
    assert_unharmed(run, undisturbed, "succeeded")
    server.start()
    run_words(["mlflow", "sync"], Seat())
    (there,) = runs_there(server.uri)
    assert there.info.status == "FINISHED"
    assert steps_there(there, "loss", server.uri) == list(range(1, STEPS + 1))
