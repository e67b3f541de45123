"""Processes known by more than a number: numbers are used again. Standard library only."""

from __future__ import annotations

import contextlib
import os
import platform
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import places


@dataclass(frozen=True)
class ProcessMark:
    """A process of this host and boot, told apart from a later one with the same number by its start."""

    pid: int
    started: str
    host: str = ""
    boot: str = ""

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """The mark of the process that has this number now."""
        return cls(pid, _started(pid), platform.node(), places.boot_id())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProcessMark:
        """The mark that :meth:`to_dict` gave."""
        return cls(int(values["pid"]), values["started"], values.get("host", ""), values.get("boot", ""))

    def to_dict(self) -> dict[str, Any]:
        """The mark as a JSON object."""
        return {"pid": self.pid, "started": self.started, "host": self.host, "boot": self.boot}

    @property
    def is_here(self) -> bool:
        """Whether this process is, or was, one of this host since it started."""
        return self.host == platform.node() and self.boot == places.boot_id()

    def is_alive(self) -> bool:
        """Whether the process is there and has not ended (a zombie has)."""
        return self.is_here and bool(self.started) and _started(self.pid) == self.started

    def wait(self, timeout: float) -> bool:
        """Wait until the process has ended, at most ``timeout`` seconds; whether it has."""
        deadline = time.monotonic() + timeout
        with exit_watch(self.pid) as watch:
            while self.is_alive():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                watch.wait(min(left, 1.0))
        return True

    def send(self, number: int) -> None:
        """Send a signal, if the process is still there."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self, grace_seconds: float) -> None:
        """SIGTERM; after ``grace_seconds`` SIGKILL to the group, if it leads one. Returns when it is gone."""
        self.send(signal.SIGTERM)
        if not self.wait(grace_seconds) and self.is_alive():
            kill_group(self.pid)
            self.wait(10.0)


class exit_watch:
    """Wakes as soon as a process ends (``pidfd`` where the system has it), else looks every 20 ms."""

    def __init__(self, pid: int) -> None:
        self._descriptor: int | None = None
        self._poll: select.poll | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._descriptor = os.pidfd_open(pid)
                self._poll = select.poll()
                self._poll.register(self._descriptor, select.POLLIN)

    def __enter__(self) -> exit_watch:
        return self

    def __exit__(self, *details: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def wait(self, timeout: float) -> None:
        """Return when the process ends, or after ``timeout`` seconds, or sooner."""
        if self._poll is None:
            time.sleep(min(timeout, 0.02))
        else:
            self._poll.poll(timeout * 1000)


def kill_group(pid: int) -> None:
    """SIGKILL to the process group that ``pid`` leads, or to ``pid`` alone if it leads none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal whose default would end it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    masks = [line.split()[1] for line in lines if line.startswith("SigCgt:")]
    return bool(masks) and bool(int(masks[0], 16) >> (number - 1) & 1)


def _started(pid: int) -> str:
    """When a living process started, in words of the system; empty if there is none."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _started_by_ps(pid)
    return "" if fields[0] in "ZXx" else fields[19]


def _started_by_ps(pid: int) -> str:
    found = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return "" if len(found) < 2 or found[0].startswith("Z") else found[1].strip()
