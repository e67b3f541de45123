"""What the agent knows of a Dask worker: asked on the worker, once."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import places
from .devices import PROCESSOR, devices_needed, usable_devices
from .processes import ProcessMark

_COMPARED = ("lepton-lab", "distributed", "torch", "transformers", "peft")


@dataclass(frozen=True, eq=False)
class WorkerFacts:
    """A worker as it described itself.

    ``site`` is the same for workers that share devices (and their locks); ``shares_home``
    tells whether its ``LEPTON_HOME`` is ours: the same path, and the same files there.
    """

    address: str
    threads: int
    site: str
    host: str
    process: ProcessMark
    devices: tuple[str, ...]
    versions: dict[str, str]
    home: str
    shares_home: bool

    @classmethod
    def of(cls, address: str, threads: int, said: dict[str, Any]) -> WorkerFacts:
        """The facts in the answer of :func:`describe_worker`."""
        process = ProcessMark.from_dict(said["process"])
        own = {key: said[key] for key in ("site", "host", "versions", "home", "shares_home")}
        return cls(address=address, threads=threads, process=process, devices=tuple(said["devices"]), **own)

    @property
    def has_gpu(self) -> bool:
        """Whether one of its devices is more than a processor."""
        return any(device != PROCESSOR for device in self.devices)

    def devices_for(self, processes: int) -> int:
        """How many of its devices a run of so many processes takes."""
        return devices_needed(self.devices, processes)

    def to_dict(self) -> dict[str, Any]:
        """For people: ``lepton cluster status --json``."""
        return {
            "address": self.address,
            "host": self.host,
            "devices": list(self.devices),
            "versions": self.versions,
            "shares_home": self.shares_home,
        }


@contextlib.contextmanager
def home_probe() -> Iterator[tuple[str, str]]:
    """(path, word) of a file in our ``LEPTON_HOME``: who reads the word there shares it with us."""
    folder = places.cache_dir() / "probes"
    folder.mkdir(parents=True, exist_ok=True)
    word = secrets.token_hex(16)
    path = folder / word[:8]
    path.write_text(word, encoding="ascii")
    try:
        yield str(path), word
    finally:
        path.unlink(missing_ok=True)


def site_of(process: ProcessMark) -> str:
    """What processes that share devices have in common."""
    return f"{process.host} {process.boot}"


def describe_worker(probe: tuple[str, str]) -> dict[str, Any]:
    """Runs on the worker: what it is, as JSON values. Imports nothing heavy."""
    path, word = probe
    try:
        # Its own home must be ours too: jobs look there for other runs, samples and caches.
        shares_home = Path(path).is_relative_to(places.lepton_home()) and Path(path).read_text("ascii") == word
    except (OSError, ValueError):
        shares_home = False
    process = ProcessMark.of(os.getpid())
    return {
        "process": process.to_dict(),
        "host": platform.node(),
        "site": site_of(process),
        "devices": usable_devices(os.environ),
        "versions": {"python": platform.python_version(), **_versions()},
        "executable": sys.executable,
        "home": str(places.lepton_home()),
        "shares_home": shares_home,
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _COMPARED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
