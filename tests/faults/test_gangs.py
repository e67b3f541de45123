"""Attempts on several hosts: whole or not at all, and over on all of them when one is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from lepton_lab.dispatch import check_readiness, cluster_status, request_cancel, start_cluster, wake
from lepton_lab.dispatch.attempt import AttemptPlan, GangPlace, run_attempt
from lepton_lab.dispatch.devices import DeviceLock
from lepton_lab.dispatch.endings import AttemptLimit
from lepton_lab.dispatch.readiness import Question
from lepton_lab.errors import RequestError
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder, last_complete, read_json, view_of
from tests.dispatch.test_attempts import assert_whole, steps_of
from tests.faults.cluster import HandMadeCluster
from tests.faults.test_cluster_deaths import _workers_left

STEPS = 100


def start(lab: Any, cluster: HandMadeCluster, words: str = f"saves p30 {STEPS}", **options: Any) -> RunFolder:
    more = {"machines": 2, "orphan_grace_seconds": 1, "grace_seconds": 5, **options}
    folder: RunFolder = lab.start(words, cluster=cluster.address, **more)
    return folder


def hosts_of(folder: RunFolder, attempt: int) -> list[str]:
    """Where the parts of an attempt are, the first host first."""
    parts = [folder.attempt(attempt), *folder.parts_elsewhere(attempt)]
    return [str((read_json(part.path / "supervisor.json") or {}).get("host")) for part in parts]


def order_of_second(folder: RunFolder, attempt: int = 1) -> dict[str, Any]:
    """What the worker of the second host was told of the gang."""
    text = (folder.attempt(attempt, 1).path / "events-trainer.jsonl").read_text()
    return dict(json.loads(text.splitlines()[-1])["content"])


@pytest.fixture
def two_hosts(cluster: HandMadeCluster) -> HandMadeCluster:
    for host in ("node-a", "node-b"):
        cluster.start_worker(host, "--no-nanny")
    return cluster


def test_gang_waits_for_all_its_hosts_and_who_came_later_does_not_take_them(
    fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any
) -> None:
    cluster.start_worker("node-a", "--no-nanny")
    gang = start(fresh_lab, cluster, "saves p10 20")
    wait_until(lambda: view_of(gang).message == "waits for 2 hosts: the cluster has 1", 30)
    alone = start(fresh_lab, cluster, "p30 10000", machines=1)
    wait_until(lambda: steps_of(alone))  # nothing is kept for a gang that cannot begin
    cluster.start_worker("node-b", "--no-nanny")
    wait_until(lambda: view_of(gang).message == "waits for 2 hosts to be free at once", 30)
    late = start(fresh_lab, cluster, "3", machines=1)
    request_cancel(alone)
    assert wait_until(gang.final, 40)["status"] == "succeeded"
    assert wait_until(late.final, 20)["status"] == "succeeded"
    began = {folder.run: folder.attempt(1).lease()["time"] for folder in (gang, alone, late)}
    assert began[alone.run] < began[gang.run] < began[late.run]
    assert hosts_of(gang, 1) in (["node-a", "node-b"], ["node-b", "node-a"])
    told = order_of_second(gang)
    assert (told["nodes"], told["node_rank"], told["interface"]) == (2, 1, "lo")
    assert told["rdzv"].startswith("127.0.0.1:")
    assert steps_of(gang) == list(range(1, 21))
    assert gang.attempt(1, 1).ended()["status"] in ("succeeded", "disturbed")
    assert not (gang.path / "waiting.json").exists()


@pytest.mark.parametrize("which", [0, 1])
def test_lost_host_ends_the_gang_and_the_next_attempt_is_whole(
    fresh_lab: Any, two_hosts: HandMadeCluster, wait_until: Any, which: int
) -> None:
    folder = start(fresh_lab, two_hosts)
    wait_until(lambda: len(steps_of(folder)) > 12, 30)
    first = hosts_of(folder, 1)
    worker = read_json(folder.attempt(1, which).path / "supervisor.json")["worker"]["pid"]
    os.kill(worker, signal.SIGKILL)
    assert wait_until(folder.final, 40)["status"] == "succeeded", view_of(folder).message
    assert sorted(hosts_of(folder, 2)) == sorted(first)
    ended = folder.attempt(1).ended()
    assert (ended["status"], ended["reason"]) == ("disturbed", "killed" if which == 0 else "host")
    assert len(folder.attempts()) == 2
    assert_whole(folder, STEPS)
    wait_until(lambda: _workers_left(two_hosts) == [])


def test_dask_worker_that_leaves_takes_its_gang_along(
    fresh_lab: Any, two_hosts: HandMadeCluster, wait_until: Any
) -> None:
    folder = start(fresh_lab, two_hosts)
    wait_until(lambda: len(steps_of(folder)) > 12, 30)
    second = hosts_of(folder, 1)[1]
    two_hosts.start_worker("node-c", "--no-nanny")
    two_hosts.dask_worker_of(second).terminate()
    assert wait_until(folder.final, 60)["status"] == "succeeded", view_of(folder).message
    assert second not in hosts_of(folder, 2)
    assert_whole(folder, STEPS)


def test_next_agent_adopts_a_gang(fresh_lab: Any, two_hosts: HandMadeCluster, wait_until: Any) -> None:
    folder = start(fresh_lab, two_hosts, orphan_grace_seconds=30)
    wait_until(lambda: len(steps_of(folder)) > 7 and folder.parts_elsewhere(1), 30)
    os.kill(cluster_status(two_hosts.address)["pid"], signal.SIGKILL)
    wait_until(lambda: wake(folder))
    assert wait_until(folder.final, 40)["status"] == "succeeded", view_of(folder).message
    assert len(folder.attempts()) == 1
    assert steps_of(folder) == list(range(1, STEPS + 1))
    wait_until(lambda: _workers_left(two_hosts) == [])


def test_processes_of_one_host_get_a_gpu_each_of_those_that_its_worker_may_use(
    fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gpus(folder: RunFolder) -> str:
        said = wait_until(lambda: [each for each in folder.events() if "cuda=" in str(each.body.get("message"))], 30)
        return str(said[0].body["message"]).partition("cuda=")[2]

    with monkeypatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
        cluster.start_worker("node-a", "--no-nanny", "--nthreads", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # of the submitter: it means nothing there
    alone = start(fresh_lab, cluster, "p20 10000", machines=1)
    assert gpus(alone) == "4"
    pair = start(fresh_lab, cluster, "p20 50", machines=1, processes=2)
    late = start(fresh_lab, cluster, "3", machines=1)
    assert gpus(pair) == "5,7"
    assert wait_until(pair.final, 30)["status"] == "succeeded"
    assert wait_until(late.final, 30)["status"] == "succeeded"
    assert late.attempt(1).lease()["time"] >= pair.final()["ended"]  # all three were taken
    request_cancel(alone)
    assert wait_until(alone.final, 30)["status"] == "cancelled"


def test_cancel_and_save_reach_all_hosts(fresh_lab: Any, two_hosts: HandMadeCluster, wait_until: Any) -> None:
    folder = start(fresh_lab, two_hosts, "saves p10 10000")
    wait_until(lambda: steps_of(folder) and folder.parts_elsewhere(1), 30)
    folder.ask("save")
    wait_until(lambda: any("saved at" in str(event.body.get("message")) for event in folder.events()))
    request_cancel(folder)
    assert wait_until(folder.final)["status"] == "cancelled"
    wait_until(lambda: folder.attempt(1, 1).ended())
    assert folder.attempt(1, 1).ended()["status"] == "cancelled"
    assert last_complete(folder) is not None
    wait_until(lambda: _workers_left(two_hosts) == [])


def test_two_gangs_of_one_agent_follow_each_other(fresh_lab: Any, two_hosts: HandMadeCluster, wait_until: Any) -> None:
    gangs = [start(fresh_lab, two_hosts, "p10 40") for _ in range(2)]
    for each in gangs:
        assert wait_until(each.final, 40)["status"] == "succeeded"
        assert len(each.attempts()) == 1
    assert gangs[0].final()["ended"] <= gangs[1].attempt(1).lease()["time"]


def test_gang_whose_hosts_others_use_waits_without_holding_one(
    fresh_lab: Any, two_hosts: HandMadeCluster, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DeviceLock(["cpu"])
    with monkeypatch.context() as patch:
        patch.setenv("LEPTON_STATE_DIR", str(two_hosts.folder / "node-b"))  # another submitter has this host's device
        assert other.acquire()
    folder = start(fresh_lab, two_hosts, "3")
    wait_until(lambda: view_of(folder).message == "waits until nobody else uses node-b", 30)
    alone = start(fresh_lab, two_hosts, "3", machines=1)
    time.sleep(1)
    assert folder.attempts() == []
    other.release()
    assert wait_until(folder.final, 20)["status"] == "succeeded"
    assert wait_until(alone.final, 20)["status"] == "succeeded"


@pytest.mark.slow
def test_host_that_cannot_have_its_device_gives_up_and_costs_no_attempt(fresh_lab: Any) -> None:
    """Two gangs of two submitters that each have one host would wait for each other for ever."""
    folder = fresh_lab.write("3", machines=2, max_attempts=1)
    other = DeviceLock(["cpu"])
    assert other.acquire()
    place = GangPlace(2, 0, "127.0.0.1:1", "lo")
    plan = AttemptPlan(
        str(folder.path), 1, 1.0, gang=place, use_spare=False, worker_module="lepton_fake_worker",
        limit=AttemptLimit(1),
    )  # fmt: skip
    assert run_attempt(plan)["status"] == "disturbed"
    other.release()
    assert folder.attempt(1).ended()["reason"] == "busy"
    assert folder.final() is None
    assert AttemptLimit.of(folder, 1).in_vain == 0


def test_gang_is_refused_where_it_can_never_be(fresh_lab: Any, cluster: HandMadeCluster, wait_until: Any) -> None:
    plan = {"task": "text-classification", "model": "sample:minilm", "dataset": "sample:movie-sentiment"}
    here = build_recipe("train", {**plan, "machines": 2})
    with pytest.raises(RequestError, match="needs 2 machines.*the cluster local is this one.*--processes"):
        check_readiness(here, Question())
    cluster.start_worker("node-a", "--no-nanny")
    there = build_recipe("train", {**plan, "machines": 2, "cluster": cluster.address})
    wait_until(lambda: start_cluster(cluster.address)["workers"], 30)
    with pytest.raises(RequestError, match=r"needs 2 machines with a worker, got 1 \(node-a\).*on 1 more"):
        check_readiness(there, Question())
