from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from lepton_lab.dispatch import cluster, cluster_status, door, request_cancel, start_cluster, stop_cluster
from lepton_lab.errors import ClusterError, RequestError

START = "from lepton_lab.dispatch import start_cluster; print(start_cluster()['pid'])"


def ours(lab: Any) -> list[psutil.Process]:
    """Processes that have this test's state folder in their environment or arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("LEPTON_STATE_DIR") == str(lab.folder / "state"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def speak_without_certificate(address: tuple[str, int]) -> None:
    """Raises as soon as the other end turns out to want a certificate."""
    plain = ssl.create_default_context()
    plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address, timeout=5) as connection, plain.wrap_socket(connection) as stranger:
        if stranger.recv(100) == b"":
            raise ConnectionResetError


def test_two_shells_at_once_start_one_cluster(fresh_lab: Any) -> None:
    shells = [subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = {shell.communicate(timeout=60)[0].strip() for shell in shells}
    assert len(pids) == 1
    assert cluster_status()["pid"] == int(pids.pop())


def test_cluster_listens_on_this_machine_under_tls_and_ignores_interrupts(
    fresh_lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / ".config" / "dask" / "mine.yaml"
    settings.parent.mkdir(parents=True)
    preload = f"import pathlib; pathlib.Path({str(tmp_path / 'preloaded')!r}).touch()\ndef dask_setup(it): pass\n"
    settings.write_text(f"distributed:\n  scheduler:\n    preload:\n    - {preload!r}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__STATUS__TASK_STREAM_LENGTH", "10")
    status = start_cluster()
    process = psutil.Process(status["pid"])
    listening = [each.laddr for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert len(listening) == 2  # scheduler and worker, no pages
    assert not (tmp_path / "preloaded").exists()
    for address in listening:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            speak_without_certificate(address)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGHUP)
    time.sleep(0.1)
    assert cluster_status()["pid"] == process.pid
    assert os.getsid(process.pid) != os.getsid(0)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (fresh_lab.state / "tls").iterdir()}
    assert modes == {"authority.pem": 0o600, "cluster.pem": 0o600, "cluster.key": 0o600, ".lock": 0o600}
    assert stat.S_IMODE((fresh_lab.state / "control-local.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(fresh_lab.state.stat().st_mode) == 0o700


def test_stop_leaves_nothing_and_asks_before_it_ends_runs(fresh_lab: Any, wait_until: Any) -> None:
    assert cluster_status()["cluster"] == "not running"
    running, queued = fresh_lab.start("10000"), fresh_lab.start("1")
    wait_until(lambda: running.attempts() and running.attempt(1).path.joinpath("supervisor.json").exists())
    assert cluster_status()["running"] == [running.run]
    assert cluster_status()["queued"] == [queued.run]
    with pytest.raises(ClusterError, match=f"2 unfinished run.*{running.run}.*--force"):
        stop_cluster()
    stopped = stop_cluster(force=True)
    assert set(stopped["cancelled"]) == {running.run, queued.run}
    assert running.final()["status"] == queued.final()["status"] == "cancelled"
    assert [process.cmdline() for process in ours(fresh_lab)] == []
    assert not (fresh_lab.state / "control-local.sock").exists()
    assert not (fresh_lab.state / "agent-local.json").exists()
    assert stop_cluster() == {"cluster": "stopped", "cancelled": []}


def test_cluster_that_cannot_start_says_why(fresh_lab: Any) -> None:
    (fresh_lab.state / "tls").write_text("in the way")
    with pytest.raises(ClusterError, match=r"did not start. Its log: .*agent-local.log\n[\s\S]*FileExistsError"):
        start_cluster()


def test_long_state_path_is_refused(fresh_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("LEPTON_STATE_DIR", str(fresh_lab.folder / ("long" * 25)))
        with pytest.raises(
            RequestError, match=r"LEPTON_STATE_DIR must be a path of at most \d+ bytes.*got 1\d\d: /.*Set it"
        ):
            cluster_status()


def test_outdated_cluster_is_replaced_when_idle_and_used_when_busy(
    fresh_lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(door, "build_mark", lambda: "0.0.1-old")
        old = start_cluster()["pid"]
    assert cluster_status()["cluster"] == "outdated"
    first = fresh_lab.start("10000")
    new = cluster_status()["pid"]
    assert new != old
    assert not psutil.pid_exists(old) or psutil.Process(old).status() == psutil.STATUS_ZOMBIE
    with monkeypatch.context() as patch:
        patch.setattr(door, "build_mark", lambda: "9.9.9-newer")
        second = fresh_lab.start("1")
        assert cluster_status()["pid"] == new
        patch.setattr(door, "PROTOCOL", 99)
        with pytest.raises(ClusterError, match=f"another version .* busy with .*{first.run}"):
            fresh_lab.start("1")
    request_cancel(first)
    assert wait_until(second.final)["status"] == "succeeded"


def test_cluster_stops_when_idle(fresh_lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_CLUSTER_IDLE_SECONDS", "0.2")
    pid = start_cluster()["pid"]
    wait_until(lambda: cluster_status()["cluster"] == "not running")
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_run_outlives_the_cluster(fresh_lab: Any, wait_until: Any, number: int) -> None:
    folder = fresh_lab.start("60")
    wait_until(lambda: any(event.kind == "metric" for event in folder.events()))
    os.kill(cluster_status()["pid"], number)
    wait_until(lambda: cluster_status()["cluster"] == "not running")
    following = fresh_lab.start("1")  # a new cluster, and the device is still taken
    assert wait_until(folder.final)["status"] == "succeeded"
    wait_until(following.final)
    began = next(event.time for event in following.events() if event.body.get("status") == "running")
    assert began >= folder.events()[-1].time


def test_cluster_that_hangs_is_ended_by_force(fresh_lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = start_cluster()["pid"]
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(door, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(ClusterError, match="does not answer.*lepton cluster stop --force"):
        stop_cluster()
    assert stop_cluster(force=True)["cluster"] == "stopped"
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
