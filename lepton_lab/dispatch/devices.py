"""One job a device at a time, whoever started it: each device of a host has a lock file.

The lock is held by the supervisor and inherited by its worker; the system lets go of
it when both have ended, however they ended. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import places

VISIBLE = "CUDA_VISIBLE_DEVICES"

PROCESSOR = "cpu"
"""The name of the only device of a host without GPUs."""


def host_devices() -> list[str]:
    """``["0", "1", …]`` for NVIDIA GPUs, else ``["cpu"]``."""
    found = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(found, key=int) or [PROCESSOR]


def usable_devices(environment: Mapping[str, str]) -> list[str]:
    """The devices that a run with this environment may be given, one of them at a time."""
    visible = environment.get(VISIBLE)
    if visible is None:
        return host_devices()
    names = [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return names or [PROCESSOR]


class DeviceLock:
    """The right to use ``count`` of ``names``; ask with :meth:`acquire` until it is given. Who names none needs none.

    All of them or none are held, so that nobody keeps what he waits to complete. Processes share a processor.
    """

    def __init__(self, names: list[str], count: int = 1) -> None:
        self._names = names
        self._count = devices_needed(names, count)
        self._held: dict[str, int] = {}

    def acquire(self) -> bool:
        """Try once to get free devices; whether there were enough."""
        folder = places.state_root() / "devices"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in self._names:
            if len(self._held) == self._count:
                break
            path = folder / f"{re.sub(r'[^A-Za-z0-9-]', '_', name)}.lock"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            self._held[name] = descriptor
        if len(self._held) < self._count:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Let go of what was got."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held = {}

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the worker must inherit to hold the devices too."""
        return tuple(self._held.values())

    def environment(self) -> dict[str, str]:
        """What makes a worker see these devices only."""
        if not self._held or PROCESSOR in self._held:
            return {}
        return {VISIBLE: ",".join(self._held)}


def devices_needed(names: Sequence[str], processes: int) -> int:
    """How many of ``names`` a run of so many processes takes: a GPU each as far as there are, a processor once."""
    return min(processes, len(names)) if PROCESSOR not in names else 1
