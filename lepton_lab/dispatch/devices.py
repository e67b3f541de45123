"""One job a device at a time, whoever started it: each device of a host has a lock file.

The lock is held by the supervisor and inherited by its worker; the system lets go of
it when both have ended, however they ended. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Mapping
from pathlib import Path

from .. import places

PROCESSOR = "cpu"
"""The name of the only device of a host without GPUs."""


def host_devices() -> list[str]:
    """``["0", "1", …]`` for NVIDIA GPUs, else ``["cpu"]``."""
    found = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(found, key=int) or [PROCESSOR]


def usable_devices(environment: Mapping[str, str]) -> list[str]:
    """The devices that a run with this environment may be given, one of them at a time."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return host_devices()
    names = [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return names or [PROCESSOR]


class DeviceLock:
    """The right to use one of ``names``; ask with :meth:`acquire` until it is given. Who names none needs none."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.device = ""
        self.descriptor = -1

    def acquire(self) -> bool:
        """Try once to get a free device; whether there was one."""
        if not self._names:
            return True
        folder = places.state_root() / "devices"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in self._names:
            path = folder / f"{re.sub(r'[^A-Za-z0-9-]', '_', name)}.lock"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            self.device, self.descriptor = name, descriptor
            return True
        return False

    def release(self) -> None:
        """Let go of the device, if one was got."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.device, self.descriptor = "", -1

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the worker must inherit to hold the device too."""
        return () if self.descriptor < 0 else (self.descriptor,)

    def environment(self) -> dict[str, str]:
        """What makes a worker see this device only."""
        return {} if self.device in ("", PROCESSOR) else {"CUDA_VISIBLE_DEVICES": self.device}
