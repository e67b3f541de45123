"""The warm spare: a supervisor and its worker, imports done, waiting for one run.

A spare waits at a Unix socket in the state folder; the socket's name begins with the
key of what a run must agree on. It is used once. It goes away when it has waited too
long, when who started it is gone, or when its worker is.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .. import places
from .environment import import_environment, spare_key, worker_environment
from .processes import ProcessMark, kill_group
from .starting import WORKER_MODULE, open_log, start_worker

SPARE_IDLE_SECONDS = 600.0
"""How long a spare waits for a run. ``LEPTON_SPARE_IDLE_SECONDS`` says otherwise."""

LEAST_MEMORY_BYTES = 4 * 2**30
"""Below this much available memory there is no spare."""

_ANSWER_SECONDS = 10.0


def spares_dir() -> Path:
    """Where spares wait."""
    folder = places.state_dir() / "spares"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


# In the spare's own process


def wait_for_job(
    path: Path, descriptor: int, worker_module: str, idle_seconds: float
) -> tuple[dict[str, Any], subprocess.Popen[bytes]] | None:
    """Start a worker, wait at the listening socket for a run, and give both; None when nobody came.

    Standard input is a pipe from who started this process: its end ends the waiting.
    """
    first = json.loads(sys.stdin.readline())
    worker = start_worker(worker_module, first["environment"], subprocess.PIPE, 2, spare=True)
    ready = path.with_suffix(".ready")
    listener = socket.socket(fileno=descriptor)
    try:
        job = _next_job(listener, worker, ready, time.monotonic() + idle_seconds)
    finally:
        listener.close()
        for each in (path, ready):
            each.unlink(missing_ok=True)
    if job is None:
        kill_group(worker.pid)
        worker.wait()
        return None
    return job, worker


def _next_job(
    listener: socket.socket, worker: subprocess.Popen[bytes], ready: Path, deadline: float
) -> dict[str, Any] | None:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    watched: list[Any] = [listener, sys.stdin.buffer, worker.stdout]
    while not stopped and time.monotonic() < deadline:
        found, _, _ = select.select(watched, [], [], 0.5)
        if sys.stdin.buffer in found:
            return None
        if worker.stdout in found and worker.stdout is not None:
            if not worker.stdout.readline():
                return None  # the worker is gone
            ready.touch(mode=0o600)
            watched.remove(worker.stdout)
        if worker.poll() is not None:
            return None
        if listener in found:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as stream:
                connection.settimeout(_ANSWER_SECONDS)
                line = stream.readline()
                if not line:
                    continue
                job: dict[str, Any] = json.loads(line)
                if not Path(job["run_dir"]).is_dir():
                    continue
                _log_to(job)
                stream.write(json.dumps(ProcessMark.of(os.getpid()).to_dict()).encode() + b"\n")
                stream.flush()
            return job
    return None


def _log_to(job: dict[str, Any]) -> None:
    from ..record import RunFolder

    log = open_log(RunFolder(Path(job["run_dir"])).attempt(int(job["attempt"])))
    os.dup2(log, 2)
    os.close(log)


# In the process that has a run to give


def hand_to_spare(job: dict[str, Any], worker_module: str = WORKER_MODULE) -> ProcessMark | None:
    """Give a run to a spare that agrees with it; the spare's supervisor, or None if there is none."""
    key = spare_key(job["environment"], worker_module)
    for path in sorted(spares_dir().glob(f"{key}-*.sock")):
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_ANSWER_SECONDS)
                connection.connect(str(path))
                path.unlink(missing_ok=True)  # it serves one run
                with connection.makefile("rwb") as stream:
                    stream.write(json.dumps(job).encode() + b"\n")
                    stream.flush()
                    answer = stream.readline()
        except OSError:
            path.unlink(missing_ok=True)
            continue
        if answer:
            return ProcessMark.from_dict(json.loads(answer))
    return None


class SpareKeeper:
    """Keeps at most one spare, for runs like the last one. Used by the detached process only."""

    def __init__(self, idle_seconds: float = SPARE_IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._processes: list[subprocess.Popen[bytes]] = []
        self._path: Path | None = None
        self.key = ""

    def state(self) -> str:
        """``none``, ``warming`` or ``ready``."""
        self._reap()
        if self._path is None or not self._path.exists():
            return "none"
        return "ready" if self._path.with_suffix(".ready").exists() else "warming"

    def refill(self, environment: dict[str, str], worker_module: str = WORKER_MODULE) -> None:
        """Start a spare for runs with this environment, unless one waits or memory is short."""
        key = spare_key(environment, worker_module)
        if self.state() != "none":
            if key == self.key:
                return
            self.stop()
        if available_memory() < LEAST_MEMORY_BYTES:
            return
        self.key = key
        self._path = spares_dir() / f"{key}-{os.getpid()}-{time.monotonic_ns() % 10**6}.sock"
        with socket.socket(socket.AF_UNIX) as listener, (places.state_dir() / "spare.log").open("wb") as log:
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen(4)
            command = [sys.executable, "-m", "lepton_lab.dispatch.supervisor", "--worker-module", worker_module]
            command += ["--spare", str(self._path), "--socket", str(listener.fileno())]
            command += ["--idle-seconds", str(self._idle_seconds)]
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=places.state_dir(),
                start_new_session=True,
                pass_fds=(listener.fileno(),),
            )
        self._processes.append(process)
        # Only what is read at import goes now; the rest comes with the run.
        first = worker_environment(import_environment(environment), os.cpu_count() or 1)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps({"environment": first}).encode() + b"\n")
                process.stdin.flush()

    def stop(self, wait_seconds: float = 0.0) -> None:
        """End a spare that waits; one that has a run goes on with it."""
        if self.state() == "none" or self._path is None:
            return
        self._path.unlink(missing_ok=True)
        self._path = None
        process = self._processes[-1]
        if process.stdin is not None:
            process.stdin.close()  # it leaves when nobody is there any more
        with contextlib.suppress(subprocess.TimeoutExpired):
            if wait_seconds:
                process.wait(wait_seconds)

    def _reap(self) -> None:
        for process in [each for each in self._processes if each.poll() is not None]:
            if process.stdin is not None:
                process.stdin.close()
            self._processes.remove(process)
        if not self._processes:
            self._path = None


def available_memory() -> int:
    """Bytes that can be used without swapping."""
    import psutil

    return int(psutil.virtual_memory().available)
