"""Workers, nannies and schedulers that are killed or leave, on hosts that are not the submitter's."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from lepton_lab.record import DISTURBED, RunFolder, read_json
from tests.dispatch.conftest import until
from tests.dispatch.test_attempts import assert_whole, steps_of
from tests.faults.cluster import HandMadeCluster
from tests.faults.training import Ending, SmallTraining, assert_unharmed, held_still, is_told_to_leave, kill, pid_of

STEPS = 150
RETIRE = """
import sys
from distributed import Client
with Client(sys.argv[1]) as client:
    client.retire_workers([worker for worker, tasks in client.processing().items() if tasks])
"""


def start(lab: Any, cluster: HandMadeCluster, steps: int = STEPS, **options: Any) -> RunFolder:
    """A run of at least 30 ms a step that is not patient with being alone."""
    folder: RunFolder = lab.start(
        f"saves p30 {steps}", cluster=cluster.address, orphan_grace_seconds=1, grace_seconds=10, **options
    )
    return folder


def host_of(folder: RunFolder, attempt: int) -> str:
    return str(read_json(folder.attempt(attempt).path / "supervisor.json")["host"])


def assert_ended_well(folder: RunFolder, cluster: HandMadeCluster, steps: int = STEPS) -> None:
    assert folder.final()["status"] == "succeeded", folder.final()
    assert_whole(folder, steps)
    deadline = time.monotonic() + 10  # a supervisor that has written the end has still to leave
    while (left := _workers_left(cluster)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def _workers_left(cluster: HandMadeCluster) -> list[str]:
    every = [words for host in cluster.hosts for words in cluster.commands_of(host)]
    return [words for words in every if "lepton_fake_worker" in words]


def test_worker_that_its_nanny_restarts_adopts_the_attempt(
    fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any
) -> None:
    cluster.start_worker("node-a")
    folder = fresh_lab.start(f"saves p30 {STEPS}", cluster=cluster.address, orphan_grace_seconds=20)
    wait_until(lambda: len(steps_of(folder)) > 7)
    cluster.dask_worker_of("node-a").kill()
    wait_until(folder.final, 40)
    assert len(folder.attempts()) == 1
    assert (folder.attempt(1).path / "watcher.json").exists()
    assert_ended_well(folder, cluster)


@pytest.mark.parametrize("how", ["retired", "terminated", pytest.param("lifetime", marks=pytest.mark.slow)])
def test_worker_that_leaves_saves_and_the_run_moves_on(
    fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any, how: str
) -> None:
    cluster.start_worker("node-a", "--no-nanny", *(("--lifetime", "6s") if how == "lifetime" else ()))
    steps = 2 * STEPS if how == "lifetime" else STEPS
    folder = start(fresh_lab, cluster, steps)
    wait_until(lambda: len(steps_of(folder)) > 7)
    cluster.start_worker("node-b", "--no-nanny")
    if how == "terminated":
        cluster.dask_worker_of("node-a").send_signal(signal.SIGTERM)
    elif how == "retired":
        # Dask of its own: other tests of this process may have configured it.
        subprocess.run([sys.executable, "-c", RETIRE, cluster.address], check=True, timeout=60)
    wait_until(folder.final, 40)
    assert folder.attempt(1).ended()["reason"] == "terminated"
    assert host_of(folder, 2) == "node-b"
    assert steps_of(folder) == list(range(1, steps + 1))
    assert_ended_well(folder, cluster, steps)


@pytest.mark.slow
def test_host_that_loses_its_power_is_given_up(fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any) -> None:
    cluster.start_worker("node-a", "--no-nanny")
    folder = start(fresh_lab, cluster)
    wait_until(lambda: len(steps_of(folder)) > 12)
    cluster.start_worker("node-b", "--no-nanny")
    cluster.kill_host("node-a")
    wait_until(folder.final, 80)
    assert folder.attempt(1).ended()["reason"] == "lost"
    assert_ended_well(folder, cluster)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "nanny", "scheduler"])
def test_killed_process_of_the_cluster_leaves_no_trace_in_the_weights(
    undisturbed: Ending, cluster: HandMadeCluster, training: SmallTraining, victim: str
) -> None:
    """Whatever dies: the trainer is left alone on node-a, saves and leaves, and node-b goes on."""
    cluster.start_worker("node-a", *(() if victim == "nanny" else ("--no-nanny",)), "--death-timeout", "3")
    # Submitted before the worker has come: it waits for it.
    run = training.start(cluster=cluster.address, orphan_grace_seconds=1, check_workers=False)
    with held_still(run):
        if victim == "scheduler":
            cluster.stop_scheduler()
        elif victim == "nanny":
            kill(cluster.hosts["node-a"].pid)
        else:
            kill(cluster.dask_worker_of("node-a").pid)
        until(lambda: is_told_to_leave(pid_of(run, "trainer")), 60)
    until(lambda: run.folder.attempt(1).ended(), 40)
    if victim == "scheduler":
        cluster.start_scheduler()
    cluster.start_worker("node-b", "--no-nanny")
    assert run.wait(timeout=300).status == "succeeded", run.view().message
    assert [host_of(run.folder, 1), host_of(run.folder, 2)] == ["node-a", "node-b"]
    assert (run.folder.attempt(1).ended() or {})["reason"] in ("orphaned", "terminated")
    assert_unharmed(run, undisturbed, DISTURBED, "succeeded", again=0)
