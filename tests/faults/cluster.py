"""A Dask scheduler and workers started by hand, each worker on a host of its own as far as names go.

A UTS namespace gives a process tree another host name, so that the agent does not take the
workers' processes for its own. That needs root.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil

QUIET = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s", "DASK_LOGGING__DISTRIBUTED": "error"}


def can_name_hosts() -> bool:
    """Whether this system lets us."""
    try:
        return subprocess.run(["unshare", "--uts", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class HandMadeCluster:
    """None of our start-up code: ``dask scheduler`` and ``dask worker``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.homes_are_apart = False
        """Whether workers started from now on have a ``LEPTON_HOME`` of their own."""
        self.move()
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.hosts: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def move(self) -> None:
        """The next scheduler listens elsewhere."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start_scheduler(self, *options: str) -> None:
        self.scheduler = self._start(
            "scheduler", [], "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", *options
        )

    def start_worker(self, host: str, *options: str) -> None:
        """A host with one Dask worker, which serves one thing at a time. One that was there before has left."""
        if host in self.hosts:
            self.hosts[host].wait(30)
        name = ["unshare", "--uts", "sh", "-c", f'hostname {host} && exec "$@"', "sh"]
        options = ("worker", self.address, "--no-dashboard", "--nthreads", "1", "--host", "127.0.0.1", *options)
        self.hosts[host] = self._start(host, name, *options)

    def processes_of(self, host: str) -> list[psutil.Process]:
        """Everything that was ever started on a host and still lives."""
        state = str(self.folder / host)
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("LEPTON_STATE_DIR") == state and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def commands_of(self, host: str) -> list[str]:
        """Their command lines."""
        found = []
        for process in self.processes_of(host):
            with contextlib.suppress(psutil.Error):  # it ended just now
                found.append(" ".join(process.cmdline()))
        return found

    def dask_worker_of(self, host: str) -> psutil.Process:
        """The process in which tasks run: the nanny's child, or the only one."""
        own = psutil.Process(self.hosts[host].pid)
        return next((child for child in own.children() if "spawn_main" in " ".join(child.cmdline())), own)

    def kill_host(self, host: str) -> None:
        """As a power cut does."""
        for process in self.processes_of(host):
            process.kill()

    def close(self) -> None:
        for host in self.hosts:
            self.kill_host(host)
        for process in [*self.hosts.values(), *([self.scheduler] if self.scheduler else [])]:
            process.kill()
            process.wait()

    def stop_scheduler(self, number: int = signal.SIGKILL) -> None:
        if self.scheduler is not None:
            self.scheduler.send_signal(number)
            self.scheduler.wait()

    def _start(self, name: str, before: list[str], *words: str) -> subprocess.Popen[bytes]:
        state = self.folder / name
        state.mkdir(exist_ok=True)
        home = {"LEPTON_HOME": str(state / "home")} if self.homes_are_apart else {}
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*before, sys.executable, "-m", "dask", *words],
                stdout=log,
                stderr=log,
                cwd=state,
                env={**os.environ, **QUIET, **home, "LEPTON_STATE_DIR": str(state)},
            )
