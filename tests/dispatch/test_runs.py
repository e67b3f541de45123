from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from lepton_lab.dispatch import collect_environment, hand_over, request_cancel
from lepton_lab.dispatch.attempt import AttemptPlan, run_attempt
from lepton_lab.dispatch.environment import JobEnvironment
from lepton_lab.errors import RequestError
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder, read_json, view_of


def statuses(folder: RunFolder) -> list[tuple[str, float]]:
    return [(event.body["status"], event.time) for event in folder.events() if "status" in event.body]


def when(folder: RunFolder, status: str) -> float:
    return next(time for name, time in statuses(folder) if name == status)


def is_training(folder: RunFolder) -> bool:
    return any(event.kind == "metric" for event in folder.events())


def worker_of(folder: RunFolder) -> int:
    return int(read_json(folder.attempt(1).path / "supervisor.json")["worker"]["pid"])


def test_run_succeeds_with_its_metrics(lab: Any, wait_until: Any) -> None:
    folder = lab.start("3")
    final = wait_until(folder.final)
    assert (final["status"], final["attempt"], final["metrics"]) == ("succeeded", 1, {"test_accuracy": 0.9})
    view = view_of(folder)
    assert (view.status, view.step) == ("succeeded", 3)
    assert [name for name, _ in statuses(folder)] == ["running", "succeeded"]
    assert "the worker has begun" in (folder.attempt(1).path / "worker.log").read_text()
    assert folder.attempt(1).heartbeat_time() is not None


def test_handing_over_is_quick_and_needs_no_free_event_loop(lab: Any, wait_until: Any) -> None:
    lab.start("1")

    async def inside() -> tuple[RunFolder, float]:
        folder = lab.write("1")
        start = time.perf_counter()
        hand_over(folder, folder.recipe(), collect_environment(), [], worker_module="lepton_fake_worker")
        return folder, time.perf_counter() - start

    folder, seconds = asyncio.run(inside())
    assert seconds < 0.5  # 0.01 on an idle machine
    assert wait_until(folder.final)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("words", "reason", "text"),
    [
        ("crash", "killed", "SIGKILL; probably memory ran out"),
        ("crash", "killed", "something terrible"),
        ("quit", "killed", "exit code 3"),
        ("fail", "error", "it went wrong"),
    ],
)
def test_worker_that_fails_ends_the_run_with_the_reason(
    lab: Any, wait_until: Any, words: str, reason: str, text: str
) -> None:
    final = wait_until(lab.start(words).final)
    assert (final["status"], final["reason"]) == ("failed", reason)
    assert text in final["message"]


def test_cancelled_run_says_so_at_once_and_the_next_one_starts(lab: Any, wait_until: Any) -> None:
    folder, following = lab.start("10000"), lab.start("1")
    wait_until(lambda: is_training(folder))
    asked = time.time()
    request_cancel(folder)
    assert view_of(folder).status in ("cancelling", "cancelled")
    assert wait_until(folder.final)["status"] == "cancelled"
    assert [name for name, _ in statuses(folder)] == ["running", "cancelling", "cancelled"]
    assert when(folder, "cancelling") - asked < 1
    wait_until(following.final)
    assert when(following, "running") - folder.final()["ended"] < 1


def test_run_that_does_not_stop_is_killed_with_its_children(lab: Any, wait_until: Any) -> None:
    folder = lab.start("stubborn child 10000", grace_seconds=0.2)
    wait_until(lambda: is_training(folder))
    child = view_of(folder).reports["child"]
    request_cancel(folder)
    final = wait_until(folder.final)
    assert final["status"] == "cancelled"
    assert "did not stop within 0.2 s" in final["message"]
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_queued_run_is_cancelled_at_once_and_takes_its_children_along(lab: Any, wait_until: Any) -> None:
    running = lab.start("10000")
    queued = lab.start("1")
    child = lab.start("1", [queued.run], parent=queued.run)
    wait_until(lambda: is_training(running))
    request_cancel(queued)
    assert queued.final()["status"] == "cancelled"
    assert (child.final()["status"], child.final()["reason"]) == ("failed", "parent")
    request_cancel(running)
    after = lab.start("1")
    assert wait_until(after.final)["status"] == "succeeded"
    assert [name for name, _ in statuses(queued)] == ["cancelled"]
    assert not (queued.attempt(1).path / "supervisor.json").exists()


def test_save_request_reaches_the_worker(lab: Any, wait_until: Any) -> None:
    folder = lab.start("10000")
    folder.ask("save")  # may come before the worker has its handler
    wait_until(lambda: any("saved at" in line["message"] for line in view_of(folder).logs))
    request_cancel(folder)
    wait_until(folder.final)


def test_runs_go_one_at_a_time_in_the_order_they_came(lab: Any, wait_until: Any) -> None:
    folders = [lab.start("5") for _ in range(4)]
    for folder in folders:
        wait_until(folder.final)
    for before, after in pairwise(folders):
        assert when(after, "running") >= when(before, "succeeded")


def test_child_waits_for_its_parent(lab: Any, wait_until: Any) -> None:
    parent = lab.start("20")
    child = lab.start("1", [parent.run], parent=parent.run)
    assert wait_until(child.final)["status"] == "succeeded"
    assert when(child, "running") >= parent.final()["ended"]


def test_child_of_a_run_that_this_cluster_does_not_know_waits_too(lab: Any, wait_until: Any) -> None:
    parent = lab.write("1")
    child = lab.start("1", [parent.run], parent=parent.run)
    other = lab.start("1")
    assert wait_until(other.final)["status"] == "succeeded"  # waiting holds no device
    assert child.final() is None
    parent.finish("succeeded")
    assert wait_until(child.final)["status"] == "succeeded"


def test_child_of_a_failed_run_fails(lab: Any, wait_until: Any) -> None:
    parent = lab.start("fail")
    child = lab.start("1", [parent.run], parent=parent.run)
    final = wait_until(child.final)
    assert (final["status"], final["reason"]) == ("failed", "parent")
    assert parent.run in final["message"]


def test_environment_reaches_the_worker_and_no_disk(lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hf_planted_secret_7391"
    monkeypatch.setenv("HF_TOKEN", secret)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    folder = lab.start("environment 1", cpus=1)
    broken = lab.start("crash")
    wait_until(broken.final)
    wait_until(folder.final)
    assert view_of(folder).reports["environment"] == {"token_length": len(secret), "threads": "1"}
    wait_until(lambda: not list(lab.folder.rglob(".*.json.*")))  # files that are just being put in place
    files = [path for path in lab.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    plan = AttemptPlan("x", 1, 1.0, environment=JobEnvironment({"HF_TOKEN": secret}))
    assert secret not in repr(plan)


def test_task_that_is_run_again_adopts_a_living_supervisor(lab: Any, wait_until: Any) -> None:
    folder = lab.start("30")
    wait_until(lambda: is_training(folder))
    plan = AttemptPlan(str(folder.path), 1, 1.0)
    assert run_attempt(plan)["status"] == "succeeded"
    assert [name for name, _ in statuses(folder)] == ["running", "succeeded"]
    assert run_attempt(plan)["status"] == "fenced"
    assert run_attempt(AttemptPlan(str(Path(folder.path).with_name("nothere")), 1, 1.0))["status"] == "gone"


def test_other_clusters_are_refused_by_name(lab: Any) -> None:
    plan = {"task": "text-classification", "model": "m", "dataset": "d", "cluster": "far"}
    recipe = build_recipe("train", plan)
    with pytest.raises(RequestError, match=r"no such cluster, got 'far'. Set --cluster to local"):
        hand_over(RunFolder.create(recipe), recipe, {}, [])
