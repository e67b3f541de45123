"""Starting a worker process and its log. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys

from ..record import AttemptFolder

WORKER_MODULE = "lepton_lab.work.worker"
"""The module that does the work; tests put a smaller one in its place."""

CONTROLLERS = {"sweep": "lepton_lab.search.worker"}
"""Kinds of runs that do no work themselves but have others do it, and the module of each. They need no device."""


def start_worker(
    module: str, environment: dict[str, str], stdout: int, stderr: int, spare: bool = False, keep: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """A worker process at the head of its own process group, waiting for its line."""
    command = [sys.executable, "-m", module, *(["--spare"] if spare else [])]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, **environment},
        process_group=0,
        pass_fds=keep,
    )


def open_log(attempt: AttemptFolder) -> int:
    """A descriptor that appends to the attempt's ``worker.log``."""
    return os.open(attempt.path / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
