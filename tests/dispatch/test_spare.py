from __future__ import annotations

import os
import signal
from typing import Any

import psutil
import pytest

from lepton_lab.dispatch import cluster_status, spare
from lepton_lab.dispatch.spare import SpareKeeper
from lepton_lab.record import RunFolder, read_json


def waiting_worker() -> int:
    """The worker of the spare that waits now."""
    for child in psutil.Process(cluster_status()["pid"]).children():
        if "--spare" in child.cmdline() and child.children():
            return child.children()[0].pid
    raise AssertionError("no spare waits")


def worker_of(folder: RunFolder) -> int:
    return int(read_json(folder.attempt(1).path / "supervisor.json")["worker"]["pid"])


def test_spare_takes_the_next_run_and_is_refilled_when_all_is_quiet(
    spare_lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = spare_lab.start("1")
    assert wait_until(first.final)["status"] == "succeeded"
    wait_until(lambda: cluster_status()["spare"] == "ready")
    worker = waiting_worker()
    assert worker != worker_of(first)
    second = spare_lab.start("40")
    queued = spare_lab.start("1")
    assert cluster_status()["spare"] == "none"
    assert wait_until(second.final)["status"] == "succeeded"
    assert worker_of(second) == worker
    assert "the worker has begun" in (second.attempt(1).path / "worker.log").read_text()
    wait_until(queued.final)

    # A run with another import-time environment starts cold, and the next spare is for its like.
    wait_until(lambda: cluster_status()["spare"] == "ready")
    worker = waiting_worker()
    monkeypatch.setenv("HF_HOME", str(spare_lab.folder))
    third = spare_lab.start("1")
    assert wait_until(third.final)["status"] == "succeeded"
    assert worker_of(third) != worker
    wait_until(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)
    wait_until(lambda: cluster_status()["spare"] == "ready")
    assert psutil.Process(waiting_worker()).environ()["HF_HOME"] == str(spare_lab.folder)

    # It goes with the cluster, however that goes.
    worker = waiting_worker()
    os.kill(cluster_status()["pid"], signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)
    wait_until(lambda: list((spare_lab.state / "spares").iterdir()) == [])


def test_spare_leaves_after_a_while(spare_lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_SPARE_IDLE_SECONDS", "0.5")
    wait_until(spare_lab.start("1").final)
    wait_until(lambda: cluster_status()["spare"] == "ready")
    worker = waiting_worker()
    wait_until(lambda: cluster_status()["spare"] == "none")
    wait_until(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)


def test_no_spare_when_memory_is_short(fresh_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "LEAST_MEMORY_BYTES", 2**60)
    keeper = SpareKeeper()
    keeper.refill({}, "lepton_fake_worker")
    assert keeper.state() == "none"
