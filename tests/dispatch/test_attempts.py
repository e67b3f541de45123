"""What disturbs an attempt does not end its run."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import psutil
import pytest

from lepton_lab.dispatch import cluster_status, request_cancel, stop_cluster, wake
from lepton_lab.dispatch.endings import AttemptLimit
from lepton_lab.errors import Fenced
from lepton_lab.record import DISTURBED, LOST_AFTER_SECONDS, RunFolder, RunTail, folded_events, read_json, view_of

SAVE_STEPS = 5


def steps_of(folder: RunFolder) -> list[int]:
    return [int(event.body["step"]) for event in folder.events() if event.kind == "metric"]


def pid_of(folder: RunFolder, who: str, attempt: int = 1) -> int:
    found = read_json(folder.attempt(attempt).path / "supervisor.json")
    return int((found if who == "supervisor" else found["worker"])["pid"])


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def told(folder: RunFolder) -> list[tuple[int, str]]:
    return [(event.attempt, event.body["status"]) for event in folder.events() if "status" in event.body]


def assert_whole(folder: RunFolder, steps: int) -> None:
    """Every step once, and not more done again than lay behind the last checkpoint."""
    view = view_of(folder)
    assert view.series["loss"].steps == list(range(1, steps + 1))
    shown = [int(event.body["step"]) for event in folded_events(folder.events()) if event.kind == "metric"]
    assert shown == list(range(1, steps + 1))
    repeated = len(steps_of(folder)) - steps
    disturbed = sum((attempt.ended() or {}).get("status") == DISTURBED for attempt in folder.attempts())
    assert repeated <= SAVE_STEPS * disturbed


@pytest.mark.parametrize("who", ["worker", "supervisor"])
def test_killed_process_is_followed_by_the_next_attempt(lab: Any, wait_until: Any, who: str) -> None:
    folder = lab.start("saves 60")
    tail = RunTail(folder)
    wait_until(lambda: len(steps_of(folder)) > 12)
    tail.read()
    worker = pid_of(folder, "worker")
    os.kill(pid_of(folder, who), signal.SIGKILL)
    wait_until(lambda: folder.attempt(1).ended())
    assert wait_until(folder.final)["status"] == "succeeded"
    assert is_gone(worker)
    ended = folder.attempt(1).ended()
    assert (ended["status"], ended["reason"]) == (DISTURBED, {"worker": "killed", "supervisor": "supervisor"}[who])
    assert told(folder) == [(1, "running"), (1, "queued"), (2, "running"), (2, "succeeded")]
    queued = next(event for event in folder.events() if event.body.get("status") == "queued")
    assert f"goes on from checkpoint-{ended['checkpoint']}" in queued.body["message"]
    assert_whole(folder, 60)
    tail.read()
    assert tail.view.series["loss"].steps == view_of(folder).series["loss"].steps


def test_run_told_to_leave_saves_and_goes_on(lab: Any, wait_until: Any) -> None:
    folder = lab.start("saves 60")
    wait_until(lambda: len(steps_of(folder)) > 7)
    os.kill(pid_of(folder, "supervisor"), signal.SIGTERM)
    assert wait_until(folder.final)["status"] == "succeeded"
    assert folder.attempt(1).ended()["reason"] == "terminated"
    assert steps_of(folder) == list(range(1, 61))  # nothing was done twice


def test_attempts_in_vain_are_counted(lab: Any, wait_until: Any) -> None:
    folder = lab.start("crash", max_attempts=2)
    final = wait_until(folder.final)
    assert (final["status"], final["reason"], final["attempt"]) == ("failed", "killed", 2)
    assert "after 2 attempts in a row without a new checkpoint" in final["message"]


def test_progress_starts_the_count_anew(lab: Any) -> None:
    folder = lab.write("nothing")
    for number, checkpoint in enumerate((None, 5, 5, 5), 1):
        folder.take_lease(number).end(DISTURBED, reason="killed", message="", checkpoint=checkpoint)
    assert AttemptLimit.of(folder, 4) == AttemptLimit(4, in_vain=2, checkpoint=5)
    ending = {"status": DISTURBED, "reason": "killed", "message": "it was killed"}
    assert AttemptLimit.of(folder, 4).applied(folder.attempt(4), ending, 5) == ending
    assert AttemptLimit.of(folder, 3).applied(folder.attempt(4), ending, 10) == ending
    assert AttemptLimit.of(folder, 3).applied(folder.attempt(4), ending, 5)["status"] == "failed"


def test_run_that_waits_for_its_next_attempt_can_be_cancelled(lab: Any, wait_until: Any) -> None:
    folder, other = lab.start("saves 10000"), lab.start("10000")
    wait_until(lambda: len(steps_of(folder)) > 7)
    folder.attempt(1).end(DISTURBED, reason="lost", message="as if from afar", checkpoint=5)
    worker = pid_of(folder, "worker")
    wait_until(lambda: is_gone(worker))  # a supervisor that finds its attempt ended leaves at once
    request_cancel(folder)
    assert wait_until(folder.final)["status"] == "cancelled"
    request_cancel(other)
    wait_until(other.final)


def test_no_attempt_follows_one_that_goes_on(lab: Any) -> None:
    folder = lab.write("nothing")
    first = folder.take_lease(1)
    with pytest.raises(Fenced, match="has not ended"):
        folder.take_lease(2)
    assert first.end(DISTURBED, reason="killed")
    assert not first.end("succeeded")  # who is late learns that it does not count
    folder.take_lease(2)
    with pytest.raises(Fenced, match="is taken"):
        folder.take_lease(2)


def test_next_agent_adopts_what_runs_and_queues_what_waits(fresh_lab: Any, wait_until: Any) -> None:
    running, waiting = fresh_lab.start("saves 400"), fresh_lab.start("3")
    wait_until(lambda: len(steps_of(running)) > 7)
    first = cluster_status()["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: cluster_status()["cluster"] == "not running")
    assert wake(running)
    wait_until(lambda: cluster_status()["cluster"] == "running")
    status = cluster_status()
    assert (status["running"], status["queued"]) == ([running.run], [waiting.run])
    assert wait_until(running.final)["status"] == "succeeded"
    assert wait_until(waiting.final)["status"] == "succeeded"
    assert steps_of(running) == list(range(1, 401))  # the attempt went on
    assert not wake(running)


def test_supervisor_that_died_with_its_agent_is_followed(fresh_lab: Any, wait_until: Any) -> None:
    folder = fresh_lab.start("saves p30 60")
    wait_until(lambda: len(steps_of(folder)) > 7)
    worker, supervisor = pid_of(folder, "worker"), pid_of(folder, "supervisor")
    os.kill(cluster_status()["pid"], signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: is_gone(worker))  # it saves when nobody is there any more
    wake(folder)
    assert wait_until(folder.final)["status"] == "succeeded"
    assert_whole(folder, 60)


def test_run_whose_credentials_are_gone_is_lost_with_the_reason(
    fresh_lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_secret")
        running, waiting = fresh_lab.start("10000"), fresh_lab.start("1")
    wait_until(lambda: steps_of(running))
    os.kill(cluster_status()["pid"], signal.SIGKILL)
    wait_until(lambda: cluster_status()["cluster"] == "not running")
    wake(waiting)
    final = wait_until(waiting.final)
    assert (final["status"], final["reason"]) == ("lost", "environment")
    assert (
        f"has not HF_TOKEN, which the submitter had. Set it and go on with: lepton resume {waiting.run}"
        in (final["message"])
    )
    assert running.final() is None
    stop_cluster(force=True)


def test_attempt_of_which_nothing_is_heard_is_disturbed(
    fresh_lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fresh_lab.start("3")
    wait_until(folder.final)
    stop_cluster()
    # As if another host had taken the lease and vanished.
    (folder.path / "final.json").unlink()
    (folder.attempt(1).path / "ended.json").unlink()
    long_ago = time.time() - LOST_AFTER_SECONDS - 5
    for name in ("heartbeat", "lease", "supervisor"):
        path = folder.attempt(1).path / f"{name}.json"
        found = read_json(path)
        path.write_text(json.dumps({**found, "host": "elsewhere", "time": long_ago}))
    wake(folder)
    assert wait_until(folder.final)["attempt"] == 2
    assert folder.attempt(1).ended()["reason"] == "lost"
