"""Five hundred runs at once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lepton_lab.dispatch import cluster_status, request_cancel

RUNS = 500


@pytest.mark.slow
def test_five_hundred_runs_are_taken_and_each_ends_truly(fresh_lab: Any, wait_until: Any) -> None:
    first = fresh_lab.start("100000")
    wait_until(lambda: first.attempt(1).heartbeat_time())
    began = time.monotonic()
    folders = [fresh_lab.start("p0 1") for _ in range(RUNS)]
    assert time.monotonic() - began < 30
    assert len(cluster_status()["queued"]) == RUNS
    cancelled, kept = folders[: RUNS - 10], folders[RUNS - 10 :]
    for folder in cancelled:
        request_cancel(folder)
    assert {folder.final()["status"] for folder in cancelled} == {"cancelled"}
    request_cancel(first)
    assert wait_until(first.final)["status"] == "cancelled"
    for folder in kept:
        assert wait_until(folder.final, 60)["status"] == "succeeded"
    wait_until(lambda: cluster_status()["queued"] == cluster_status()["running"] == [])
