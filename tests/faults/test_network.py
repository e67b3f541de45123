"""Three hosts without a shared disk, made of namespaces: a scheduler and two workers, and us who submit.

Each host has its own network stack, host name, home and state folder, and sees an empty folder
where the others keep theirs. Needs root and iproute2.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lepton_lab.dispatch import cluster_status, stop_cluster
from lepton_lab.dispatch.security import share_certificates
from lepton_lab.lab import Run
from lepton_lab.record import DISTURBED, digest_of, last_complete
from tests.dispatch.conftest import until
from tests.faults.training import Ending, SmallTraining, assert_unharmed, held_still, steps_of

PACKAGE = Path(__file__).parent.parent.parent
NET = "10.213.77"
PORT = 8786
HOSTS = ("scheduler", "one", "two")
# In a new host: its name, and nothing of the others' disks.
ENTER = 'hostname "$1"; for each in $2; do mount -t tmpfs none "$each"; done; shift 2; exec "$@"'


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def can_make_hosts() -> str:
    """Why not; empty if so."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    if not all(shutil.which(tool) for tool in ("ip", "tc", "unshare")):
        return "needs iproute2 and unshare"
    try:
        ip("netns", "add", "leptonprobe")
        ip("-n", "leptonprobe", "link", "add", "probe", "type", "bridge")
        ip("netns", "del", "leptonprobe")
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.decode().strip()}"
    return ""


REASON = can_make_hosts()
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.skipif(bool(REASON), reason=REASON)]


class Network:
    """A switch, and hosts at it. ``lepton…`` are names of namespaces; ``port-HOST`` the switch's end of a cable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        ip("netns", "add", "leptonswitch")
        ip("-n", "leptonswitch", "link", "add", "switch", "type", "bridge")
        ip("-n", "leptonswitch", "link", "set", "switch", "up")
        for number, host in enumerate(HOSTS, 2):
            ip("netns", "add", f"lepton{host}")
            ip("-n", f"lepton{host}", "link", "set", "lo", "up")
            ip("link", "add", "eth0", "netns", f"lepton{host}", "type", "veth", "peer", "name", f"port-{host}",
               "netns", "leptonswitch")  # fmt: skip
            self._plug(host, "-n", f"lepton{host}", "eth0", number)
            (folder / host).mkdir()
        ip("link", "add", "lepton-us", "type", "veth", "peer", "name", "port-us", "netns", "leptonswitch")
        self._plug("us", "", "", "lepton-us", 1)

    def _plug(self, host: str, flag: str, namespace: str, device: str, number: int) -> None:
        inside = [flag, namespace] if flag else []
        ip("-n", "leptonswitch", "link", "set", f"port-{host}", "master", "switch", "up")
        ip(*inside, "addr", "add", f"{NET}.{number}/24", "dev", device)
        ip(*inside, "link", "set", device, "up")

    def start(self, host: str, *command: str) -> None:
        """One of Dask's own commands on a host, over TLS."""
        place = self.folder / host
        hidden = " ".join(str(self.folder / other) for other in (*HOSTS, "us") if other != host)
        # A host has its copies of the certificates; our state folder is not to be seen there.
        tls = {name: str(path) for name, path in share_certificates(place / "tls").items()}
        environment = {
            **os.environ, "LEPTON_HOME": str(place / "home"), "LEPTON_STATE_DIR": str(place / "state"),
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        with (place / "log").open("wb") as log:
            self.processes[host] = subprocess.Popen(
                ["ip", "netns", "exec", f"lepton{host}", "unshare", "--uts", "--mount", "sh", "-c", ENTER, "sh", host,
                 hidden, sys.executable, "-m", "dask", *command, "--no-dashboard", "--tls-ca-file", tls["authority"],
                 "--tls-cert", tls["certificate"], "--tls-key", tls["key"]],
                stdout=log, stderr=log, env=environment, cwd=place, start_new_session=True,
            )  # fmt: skip

    def until_told(self, host: str, words: str) -> None:
        deadline = time.monotonic() + 60
        while words not in (self.folder / host / "log").read_text():
            if time.monotonic() > deadline:
                raise AssertionError((self.folder / host / "log").read_text())
            time.sleep(0.1)

    def cut(self, host: str) -> None:
        ip("-n", "leptonswitch", "link", "set", f"port-{host}", "down")

    def mend(self, host: str) -> None:
        ip("-n", "leptonswitch", "link", "set", f"port-{host}", "up")

    def slow(self, host: str, rate: str) -> None:
        """Limit what goes to and from a host; what does not fit waits in a queue, up to 0.4 s long."""
        for inside, device in (("leptonswitch", f"port-{host}"), (f"lepton{host}", "eth0")):
            how = ["tbf", "rate", rate, "burst", "16kb", "latency", "400ms"]
            command = ["tc", "-n", inside, "qdisc", "add", "dev", device, "root", *how]
            subprocess.run(command, check=True, capture_output=True)

    def left_over(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("LEPTON_HOME", "").startswith(str(self.folder)):
                    found.append(process)
        return found

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        for process in self.left_over():
            process.kill()
        for name in ("switch", *HOSTS):
            subprocess.run(["ip", "netns", "del", f"lepton{name}"], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", "lepton-us"], check=False, capture_output=True)


@contextlib.contextmanager
def alone_on_this_machine() -> Iterator[None]:
    """Namespaces and addresses have names that all processes share: two test runs take turns."""
    with (Path(tempfile.gettempdir()) / "lepton-network-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def network() -> Iterator[Network]:
    with (
        tempfile.TemporaryDirectory(prefix="lepton-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        (Path(folder) / "us").mkdir()
        patch.setenv("LEPTON_HOME", f"{folder}/us/home")
        patch.setenv("LEPTON_STATE_DIR", f"{folder}/us/state")
        patch.setenv("LEPTON_SPARE", "0")
        patch.setenv("PYTHONPATH", str(PACKAGE))
        address = f"tls://{NET}.2:{PORT}"
        with contextlib.ExitStack() as stack:
            stack.enter_context(alone_on_this_machine())
            net = Network(Path(folder))
            stack.callback(net.close)
            stack.callback(lambda: stop_cluster(force=True, cluster=address))
            net.start("scheduler", "scheduler", "--protocol", "tls", "--host", f"{NET}.2", "--port", str(PORT))
            net.until_told("scheduler", "Scheduler at:")
            for host, number in (("one", 3), ("two", 4)):
                net.start(host, "worker", address, "--host", f"{NET}.{number}", "--nthreads", "1", "--no-nanny")
            for host in ("one", "two"):
                net.until_told(host, "Registered to:")
            yield net


def start(net: Network, training: SmallTraining, **options: Any) -> Run:
    """The training, from our disk, which no other host sees."""
    return training.copied_to(net.folder / "us").start(cluster=f"tls://{NET}.2:{PORT}", **options)


def host_of(net: Network, run: Run) -> str:
    """Where the newest attempt is."""
    address = run.folder.attempts()[-1].lease()["shipped_to"]
    return {f"{NET}.3": "one", f"{NET}.4": "two"}[address.split("//")[1].split(":")[0]]


def assert_model_is_here(run: Run) -> None:
    model = run.view().artifacts["model"]
    assert digest_of(run.folder.path / model["path"]) == (model["digest"], model["bytes"])


def assert_nobody_is_left(net: Network) -> None:
    until(lambda: not [each for each in net.left_over() if "supervisor" in " ".join(each.cmdline())], 60)


def test_cut_and_slow_links_are_survived(undisturbed: Ending, network: Network, training: SmallTraining) -> None:
    run = start(network, training)
    with held_still(run):
        workers = cluster_status(f"tls://{NET}.2:{PORT}")["workers"]
        assert {(each["host"], each["shares_home"]) for each in workers} == {("one", False), ("two", False)}
        host = host_of(network, run)
        network.cut(host)
        cut_at = time.monotonic()
        until(lambda: "no connection" in run.view().message, 20)
        assert run.status == "running"
        known = steps_of(run.folder)
    time.sleep(max(0.0, 20 - (time.monotonic() - cut_at)))
    assert steps_of(run.folder) == known
    network.slow(host, "2mbit")
    network.mend(host)
    until(lambda: steps_of(run.folder) > known, 40)  # what happened meanwhile comes, too
    assert run.view().message == ""
    assert run.wait(timeout=120).status == "succeeded", run.view().message
    assert_model_is_here(run)
    assert_unharmed(run, undisturbed, "succeeded")
    assert_nobody_is_left(network)


def test_host_that_is_cut_off_for_good_is_followed_on_the_other(
    undisturbed: Ending, network: Network, training: SmallTraining
) -> None:
    run = start(network, training, orphan_grace_seconds=5)
    with held_still(run):
        until(lambda: last_complete(run.folder), 20)  # it comes behind the events
        first = host_of(network, run)
        network.cut(first)
    until(lambda: len(run.folder.attempts()) == 2, 120)
    assert host_of(network, run) != first
    network.mend(first)  # what comes back must not write into the second attempt
    assert run.wait(timeout=120).status == "succeeded", run.view().message
    assert_model_is_here(run)
    assert_unharmed(run, undisturbed, DISTURBED, "succeeded")
    assert_nobody_is_left(network)
