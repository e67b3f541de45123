"""Schedulers that die for good, come back, come back elsewhere, or are not there yet."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from lepton_lab.dispatch import check_readiness, cluster_status, start_cluster, stop_cluster, wake
from lepton_lab.dispatch.readiness import Question
from lepton_lab.errors import ClusterError
from lepton_lab.record import RunFolder, last_complete, view_of
from tests.dispatch.test_attempts import assert_whole, steps_of
from tests.faults.cluster import HandMadeCluster
from tests.faults.test_cluster_deaths import STEPS, assert_ended_well, host_of, start

pytestmark = pytest.mark.slow

SOON = ("--no-nanny", "--death-timeout", "3")


def start_apart(lab: Any, cluster: HandMadeCluster) -> RunFolder:
    """A run on a host without our disk."""
    cluster.homes_are_apart = True
    cluster.start_worker("node-a", *SOON)
    rows = lab.folder / "rows.csv"
    rows.write_text("text,label\nfine,good\ndull,bad\n")
    return start(lab, cluster, model="hub:some/model", dataset=f"file:{rows}")


def begun(folder: RunFolder) -> bool:
    return len(steps_of(folder)) > 7 and last_complete(folder) is not None


def test_shipped_attempt_that_lost_its_scheduler_saves_and_is_placed_again_under_the_next(
    fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any
) -> None:
    folder = start_apart(fresh_lab, cluster)
    wait_until(lambda: begun(folder), 40)
    agent = cluster_status(cluster.address)["pid"]
    cluster.stop_scheduler()
    wait_until(lambda: cluster.processes_of("node-a") == [], 60)  # it saved and left
    before = len(steps_of(folder))
    wait_until(lambda: cluster_status(cluster.address)["problems"].get("scheduler"), 40)
    assert folder.final() is None
    cluster.start_scheduler()
    cluster.start_worker("node-a", *SOON)
    wait_until(folder.final, 90)
    assert cluster_status(cluster.address)["pid"] == agent
    assert len(folder.attempts()) == 2
    assert before < STEPS
    assert steps_of(folder) == list(range(1, STEPS + 1))  # what it did alone came home: nothing is done twice
    assert_ended_well(folder, cluster)


def test_scheduler_that_comes_back_elsewhere_is_found_by_its_file(
    fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any
) -> None:
    path = cluster.folder / "scheduler.json"
    cluster.stop_scheduler()
    cluster.start_scheduler("--scheduler-file", str(path))
    cluster.start_worker("node-a", *SOON)
    wait_until(path.exists, 30)
    word = f"scheduler-file:{path}"
    folder = fresh_lab.start(f"saves p30 {STEPS}", cluster=word, orphan_grace_seconds=1, grace_seconds=10)
    try:
        wait_until(lambda: begun(folder), 40)
        cluster.stop_scheduler()
        wait_until(lambda: cluster.processes_of("node-a") == [], 60)
        cluster.move()
        cluster.start_scheduler("--scheduler-file", str(path))
        cluster.start_worker("node-b", *SOON)
        wait_until(folder.final, 90)
        assert cluster_status(word)["address"] == cluster.address
        assert host_of(folder, 2) == "node-b"
        assert_ended_well(folder, cluster)
    finally:
        stop_cluster(force=True, cluster=word)


def test_runs_wait_for_a_scheduler_that_is_not_there_yet(
    fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any
) -> None:
    cluster.stop_scheduler()
    folder = fresh_lab.start("3", cluster=cluster.address)
    wait_until(lambda: f"waits for a scheduler: none answers at {cluster.address}" in view_of(folder).message, 20)
    assert view_of(folder).status == "queued"
    assert cluster.address in cluster_status(cluster.address)["problems"]["scheduler"]
    # Who asks now is told at once, before a run is made.
    with pytest.raises(ClusterError, match="no scheduler answers at"):
        check_readiness(folder.recipe(), Question())
    with pytest.raises(ClusterError, match="no scheduler answers at"):
        start_cluster(cluster.address)
    cluster.start_scheduler()
    cluster.start_worker("node-a", "--no-nanny")
    assert wait_until(folder.final, 60)["status"] == "succeeded"
    assert len(folder.attempts()) == 1


def test_next_agent_waits_for_the_scheduler_and_takes_up_what_was_left(
    fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any
) -> None:
    folder = start_apart(fresh_lab, cluster)
    wait_until(lambda: begun(folder), 40)
    os.kill(cluster_status(cluster.address)["pid"], signal.SIGKILL)
    cluster.stop_scheduler()
    wait_until(lambda: cluster.processes_of("node-a") == [], 60)
    assert wake(folder)
    wait_until(lambda: cluster_status(cluster.address).get("problems", {}).get("scheduler"), 40)
    cluster.start_scheduler()
    cluster.start_worker("node-a", *SOON)
    assert wait_until(folder.final, 120)["status"] == "succeeded"
    assert len(folder.attempts()) == 2
    assert_whole(folder, STEPS)
