"""Runs on real clusters of other kinds: started by hand with Dask's own commands, over SSH, and as jobs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.commands.seat import Seat
from lepton_lab.commands.tree import run_words
from lepton_lab.dispatch import check_readiness, request_cancel, scale_cluster, start_cluster, stop_cluster
from lepton_lab.dispatch.readiness import Question
from lepton_lab.errors import RequestError
from lepton_lab.record import view_of

from .typed import free_port, running

ROOT = Path(__file__).parents[2]


def by_hand(text: str) -> tuple[str, str]:
    """The scheduler's and the worker's line in a text for people, on a free port."""
    port = str(free_port())
    scheduler = re.search(r"dask scheduler .*", text)
    worker = re.search(r"dask worker .*", text)
    assert scheduler
    assert worker
    words = [found[0].replace("8786", port).replace("SCHEDULER", "127.0.0.1") for found in (scheduler, worker)]
    return words[0] if "--port" in words[0] else f"{words[0]} --host 127.0.0.1 --port {port}", words[1]


def run_there(lab: Any, wait_until: Callable[..., Any], cluster: str, patch: pytest.MonkeyPatch) -> None:
    """One run goes there, after the workers were looked at, and comes back."""
    folder = lab.write("3 steps", cluster=cluster)
    check_readiness(folder.recipe(), Question(packages={"the work": ["json"]}))
    with pytest.raises(RequestError, match="needs no_such_package"):
        check_readiness(folder.recipe(), Question(packages={"it": ["no_such_package"]}))
    shutil.rmtree(folder.path)
    run = lab.start("3 steps", cluster=cluster)
    wait_until(run.final, 60)
    view = view_of(run)
    assert view.status == "succeeded", run.final()
    assert run.header()["run"] == run.run


def test_the_readmes_words_are_enough(
    fresh_lab: Any, hands: ExitStack, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, worker = by_hand((ROOT / "README.md").read_text())
    address = worker.split()[2]
    hands.enter_context(running(scheduler, "Scheduler at", fresh_lab.folder))
    hands.callback(stop_cluster, True, address)
    with pytest.raises(RequestError, match="has no worker"):
        check_readiness(fresh_lab.write("x", cluster=address).recipe(), Question())
    hands.enter_context(running(worker, "Registered to", fresh_lab.folder))
    run_there(fresh_lab, wait_until, address, monkeypatch)


def test_a_cluster_under_tls_is_started_from_what_the_command_prints(
    fresh_lab: Any, hands: ExitStack, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = run_words(["cluster", "certificates", str(fresh_lab.folder / "tls")], Seat()).text()
    scheduler, worker = by_hand(text)
    hands.enter_context(running(scheduler, "Scheduler at", fresh_lab.folder))
    hands.enter_context(running(worker, "Registered to", fresh_lab.folder))
    use = re.search(r"lepton (cluster use .*)", text)
    assert use
    words = use[1].replace("tls://SCHEDULER:8786", worker.split()[2]).split()
    run_words([*words, "--name", "mine"], Seat())
    hands.callback(stop_cluster, True, "mine")
    run_there(fresh_lab, wait_until, "mine", monkeypatch)
    hands.callback(stop_cluster, True, worker.split()[2])
    # This host's own certificates are of another authority.
    with pytest.raises(Exception, match=r"no scheduler answers at tls://"):
        start_cluster(worker.split()[2])


def test_a_scheduler_file_leads_there(
    fresh_lab: Any, hands: ExitStack, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fresh_lab.folder / "scheduler.json"
    scheduler = f"dask scheduler --host 127.0.0.1 --port 0 --no-dashboard --scheduler-file {path}"
    hands.enter_context(running(scheduler, "Scheduler at", fresh_lab.folder))
    hands.enter_context(
        running(f"dask worker --scheduler-file {path} --no-dashboard", "Registered to", fresh_lab.folder)
    )
    hands.callback(stop_cluster, True, f"scheduler-file:{path}")
    run_there(fresh_lab, wait_until, f"scheduler-file:{path}", monkeypatch)


def test_ssh_hosts_take_runs_under_tls(
    fresh_lab: Any, hands: ExitStack, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncssh = pytest.importorskip("asyncssh")
    place = fresh_lab.folder / "ssh"
    place.mkdir()
    for name in ("host", "me"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(place / name))
        key.write_public_key(str(place / f"{name}.pub"))
    (place / "me").chmod(0o600)
    monkeypatch.setenv("HOME", str(place))
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("lepton_ssh_server.py"), place / "host", place / "me.pub"],
        stdout=subprocess.PIPE,
        text=True,
    )
    hands.callback(server.wait)
    hands.callback(server.terminate)
    assert server.stdout
    hands.callback(server.stdout.close)
    port = server.stdout.readline().strip()
    public = (place / "host.pub").read_text().split()
    (place / "known_hosts").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    words = ["--host", "127.0.0.1", "--port", port, "--key-file", str(place / "me"), "--name", "lab"]
    run_words(["cluster", "use", "ssh", *words, "--known-hosts", str(place / "known_hosts")], Seat())
    hands.callback(stop_cluster, True, "lab")
    status = start_cluster("lab")
    assert status["address"].startswith("tls://127.0.0.1:")
    wait_until(lambda: run_words(["cluster", "status", "lab"], Seat())["workers"], 60)
    run_there(fresh_lab, wait_until, "lab", monkeypatch)
    placed = list(place.rglob("cluster.key"))
    assert [path.stat().st_mode & 0o777 for path in placed] == [0o600]


SBATCH = """#!/bin/sh
# Stands in for SLURM's: keeps the script, runs the job here, in the background, and prints its number.
cp "$1" "{folder}/job-$$.sh"
setsid sh "{folder}/job-$$.sh" > "{folder}/job-$$.log" 2>&1 &
echo $! > "{folder}/job-$$.pid"
echo "Submitted batch job $!"
"""


@pytest.fixture
def queue(fresh_lab: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with stand-ins for SLURM's commands, first on the path."""
    folder = fresh_lab.folder / "queue"
    folder.mkdir()
    (folder / "sbatch").write_text(SBATCH.format(folder=folder))
    (folder / "scancel").write_text(f'#!/bin/sh\necho "$1" >> "{folder}/ended"\nkill -TERM -"$1"\n')
    for name in ("sbatch", "scancel"):
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_jobs_of_a_queue_take_runs_and_only_idle_ones_are_ended(
    fresh_lab: Any, hands: ExitStack, wait_until: Callable[..., Any], queue: Path
) -> None:
    """The library, its script and its workers are real; only ``sbatch`` and ``scancel`` are stand-ins."""
    words = ["--cores", "1", "--memory", "4GB", "--workers", "2", "--name", "site", "--interface", "lo"]
    run_words(["cluster", "use", "slurm", *words], Seat())
    hands.callback(stop_cluster, True, "site")
    assert start_cluster("site")["address"].startswith("tls://127.0.0.1:")
    wait_until(lambda: len(run_words(["cluster", "status", "site"], Seat())["workers"]) == 2, 90)
    run = fresh_lab.start("200 slow steps", cluster="site")
    wait_until(lambda: view_of(run).status == "running", 60)
    [key] = (fresh_lab.folder / "home").rglob("*.key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert scale_cluster(0, "site")["busy"] == 1
    wait_until(lambda: len(run_words(["cluster", "status", "site"], Seat())["workers"]) == 1, 60)
    assert view_of(run).status == "running"
    stop_cluster(force=True, cluster="site")
    wait_until(run.final, 30)
    assert run.final()["status"] == "cancelled"
    assert not list((fresh_lab.folder / "home").rglob("*.key"))


@pytest.mark.slow
def test_jobs_take_up_new_certificates_without_losing_their_run(
    fresh_lab: Any, hands: ExitStack, wait_until: Callable[..., Any], queue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scheduler in the agent, worker and nanny in a process of their own, files on a disk that both read."""
    seconds = 60.0
    monkeypatch.setenv("LEPTON_CERTIFICATE_DAYS", str(seconds / 86_400))
    words = ["--cores", "1", "--memory", "4GB", "--name", "site", "--interface", "lo"]
    run_words(["cluster", "use", "slurm", *words], Seat())
    hands.callback(stop_cluster, True, "site")
    began = time.monotonic()
    run = fresh_lab.start("6000 p20", cluster="site")
    wait_until(lambda: view_of(run).status == "running", 50)
    [shared] = (fresh_lab.folder / "home" / "cache" / "tls").glob("*/cluster.pem")
    first = shared.read_bytes()
    wait_until(lambda: shared.read_bytes() != first, 60)
    wait_until(lambda: time.monotonic() - began > seconds + 2, 60)
    # What they started with is over. Looking at workers, and at their files, makes connections.
    step = view_of(run).step
    wait_until(lambda: view_of(run).step > step, 20)
    assert len(run.attempts()) == 1
    check_readiness(fresh_lab.write("x", cluster="site").recipe(), Question(packages={"the work": ["json"]}))
    request_cancel(run)
    assert wait_until(run.final, 30)["status"] == "cancelled"
    after = fresh_lab.start("3 steps", cluster="site")
    assert wait_until(after.final, 30)["status"] == "succeeded"
    assert len(list(queue.glob("job-*.pid"))) == 1, "no job was lost"


@pytest.mark.slow
def test_a_job_that_ended_is_submitted_again(
    fresh_lab: Any, hands: ExitStack, wait_until: Callable[..., Any], queue: Path
) -> None:
    words = ["--cores", "1", "--memory", "4GB", "--name", "site", "--interface", "lo"]
    run_words(["cluster", "use", "slurm", *words], Seat())
    hands.callback(stop_cluster, True, "site")
    run = fresh_lab.start("4000 slow steps", cluster="site")
    wait_until(lambda: view_of(run).status == "running", 60)
    [first] = queue.glob("job-*.pid")
    os.killpg(int(first.read_text()), signal.SIGKILL)
    wait_until(lambda: len(list(queue.glob("job-*.pid"))) == 2, 60)
    try:
        wait_until(lambda: run_words(["cluster", "status", "site"], Seat())["workers"], 60)
    except AssertionError:
        logs = [path.read_text() for path in (*queue.glob("job-*.log"), *fresh_lab.state.glob("agent-*.log"))]
        raise AssertionError("\n=====\n".join(logs)) from None
    assert view_of(run).status == "running"
