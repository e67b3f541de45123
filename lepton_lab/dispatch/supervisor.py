"""The process that looks after one attempt: ``python -m lepton_lab.dispatch.supervisor``.

It is in a session of its own and starts the worker, says every second that it is alive,
passes requests to stop and to save on, and writes how the run ended. It outlives Dask.
Standard library only: it starts in a few hundredths of a second.

It reads one JSON line, from its standard input or, as a spare, from a Unix socket::

    {"run_dir", "attempt", "gang", "processes", "threads", "environment": {…}, "grace_seconds",
     "orphan_grace_seconds", "limit", "needs_device"}

The environment is passed on to the worker and nowhere else. ``orphan_grace_seconds`` is null
where the attempt goes on by itself when Dask is gone; elsewhere it saves and leaves so long
after the Dask worker that watched it. ``limit`` is an :class:`~.endings.AttemptLimit`, ``gang`` null or
an :class:`~.attempt.GangPlace`: then there is a supervisor on each host, and the first one's word counts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

from ..errors import DiskFull, Fenced
from ..record import HEARTBEAT_SECONDS, AttemptFolder, RunFolder
from ..redaction import remember_secrets
from .devices import DeviceLock, usable_devices
from .endings import AttemptLimit, MemoryWatch, end_run, ending_of, refusal
from .environment import worker_environment
from .processes import ProcessMark, catches, exit_watch, kill_group
from .starting import WORKER_MODULE, open_log, start_worker
from .watching import watcher_of

_LOOK_SECONDS = 0.05
_GANG_DEVICE_SECONDS = 10.0  # two gangs that wait for each other's hosts must not do so for ever


class Supervision:
    """One attempt under supervision. ``worker`` is a spare's, already started; else one is started here."""

    def __init__(self, job: dict[str, Any], worker_module: str, worker: subprocess.Popen[bytes] | None = None) -> None:
        remember_secrets(job["environment"])
        self._job = job
        self._worker_module = worker_module
        self._worker = worker
        self._folder = RunFolder(Path(job["run_dir"]))
        self._gang: dict[str, Any] | None = job["gang"]
        self._attempt = self._folder.attempt(int(job["attempt"]), self._gang["node_rank"] if self._gang else 0)
        self._asked = ""
        self._deadline: float | None = None
        self._was_killed = False
        self._saved_for = 0.0
        self._next_beat = 0.0
        self._control_seen = -1
        self._alone_since: float | None = None
        devices = usable_devices({**os.environ, **job["environment"]}) if job["needs_device"] else []
        self._lock = DeviceLock(devices, int(job["processes"]))

    def run(self) -> str:
        """Look after the attempt until it has ended; returns the final status.

        Raises :class:`Fenced` when another supervisor has the attempt.
        """
        claim(self._attempt)
        if self._attempt.ended() is not None:
            raise Fenced(f"attempt {self._attempt.number} of run {self._folder.run} has ended")
        self._events = self._attempt.writer("supervisor")
        signal.signal(signal.SIGTERM, lambda number, frame: self._ask("terminate"))
        limit = AttemptLimit(**self._job["limit"])
        return end_run(self._folder, self._attempt, self._events, self._supervise(), limit)

    def _supervise(self) -> dict[str, Any]:
        """The attempt from its beginning to its ending."""
        memory = MemoryWatch()
        try:
            self._attempt.keep_reserve()
            if self._wait_for_device():
                self._start()
                exit_code: int | None = self._watch()
            else:
                exit_code = self._drop_worker()
        except OSError as error:
            if not DiskFull.is_meant_by(error):
                raise
            self._drop_worker()
            return refusal(DiskFull(self._attempt.path), "disk")
        if self._folder.asked("cancel"):
            self._asked = "cancel"  # also when it came later: nobody wants another attempt
        grace = float(self._job["grace_seconds"]) if self._was_killed else None
        return ending_of(self._attempt, exit_code, self._asked, grace, memory.verdict())

    def _wait_for_device(self) -> bool:
        """Whether this run has a device now; False when it was asked to stop before."""
        waiting = False
        patience = _GANG_DEVICE_SECONDS if self._gang else math.inf
        deadline = time.monotonic() + patience
        while True:
            self._look()
            if self._asked:
                return False
            if self._lock.acquire():
                return True
            if time.monotonic() > deadline:
                self._ask("busy")
            if not waiting:
                waiting = True
                self._events.log("Waits for a device: another run of this machine has it.")
            time.sleep(_LOOK_SECONDS)

    def _start(self) -> None:
        threads = int(self._job["threads"]) if self._job["needs_device"] else None
        environment = worker_environment(self._job["environment"], threads)
        environment.update(self._lock.environment())
        if self._worker is None:
            log = open_log(self._attempt)
            self._worker = start_worker(self._worker_module, environment, log, log, keep=self._lock.descriptors)
            os.close(log)
        assigned = {
            "run_dir": self._job["run_dir"],
            "attempt": self._job["attempt"],
            "gang": self._gang,
            "threads": self._job["threads"],
            "env": environment,
        }
        claim(self._attempt, self._worker.pid)
        self._events.status(status="running", stage="start", reason="", message="", problems=[])
        with contextlib.suppress(BrokenPipeError):  # it died already: its exit code says so
            _input_of(self._worker).write(json.dumps(assigned).encode() + b"\n")
            _input_of(self._worker).flush()

    def _watch(self) -> int:
        """Wait for the worker's end, doing what has to be done meanwhile; its exit code."""
        worker = self._worker
        if worker is None:
            raise RuntimeError("the worker was not started")
        with exit_watch(worker.pid) as watch:
            while not _has_ended(worker):
                self._look()
                watch.wait(_LOOK_SECONDS)
        kill_group(worker.pid)  # what it left behind, while its number cannot be used again
        return worker.wait()

    def _drop_worker(self) -> int | None:
        if self._worker is None:
            return None
        kill_group(self._worker.pid)
        return self._worker.wait()

    def _look(self) -> None:
        """One round: heartbeat, requests, patience."""
        now = time.monotonic()
        is_beat = now >= self._next_beat
        if is_beat:
            self._next_beat = now + HEARTBEAT_SECONDS
            with contextlib.suppress(OSError):  # a full disk ends the worker, not who reports it
                self._attempt.beat()
            if self._attempt.ended() is not None:
                self._leave_to_others()
            self._look_for_watcher(now)
        # The folder's time tells of a new request; each beat looks anyway, for file systems that keep time badly.
        changed = self._control_time()
        is_news = is_beat or changed != self._control_seen
        self._control_seen = changed
        if is_news and not self._asked and self._folder.asked("cancel"):
            with contextlib.suppress(OSError):
                self._events.status(status="cancelling")
            self._ask("cancel")
        if is_news and not self._asked and self._is_told_to_leave():
            self._ask("leave")
        if self._worker is None:
            return
        if self._asked and self._deadline is None:
            self._deadline = now + float(self._job["grace_seconds"])
            self._worker.send_signal(signal.SIGTERM)  # to it alone: its data loaders are needed for saving
        if self._deadline is not None and now > self._deadline and not self._was_killed:
            self._was_killed = True
            kill_group(self._worker.pid)
        asked = self._folder.asked("save") if is_news else None
        # Before the worker has its handler the signal would end it; then the request waits.
        if asked and asked["time"] != self._saved_for and catches(self._worker.pid, signal.SIGUSR1):
            self._saved_for = asked["time"]
            self._worker.send_signal(signal.SIGUSR1)

    def _is_told_to_leave(self) -> bool:
        """Whether this attempt has ended on another host of its gang: on the first one, as far as its disk is ours."""
        if self._gang is None:
            return False
        asked = self._folder.asked("leave")
        if asked is not None and asked["attempt"] == self._attempt.number:
            return True
        return self._attempt.host > 0 and self._folder.attempt(self._attempt.number).ended() is not None

    def _leave_to_others(self) -> None:
        """Somebody declared this attempt over, when nothing had been heard of it for long: nothing here counts."""
        self._drop_worker()
        raise Fenced(f"attempt {self._attempt.number} of run {self._folder.run} was ended by others")

    def _look_for_watcher(self, now: float) -> None:
        """Save and leave when no Dask worker has watched for too long."""
        patience = self._job["orphan_grace_seconds"]
        if patience is None:
            return
        watcher = watcher_of(self._attempt)
        if watcher is None or watcher.is_alive():
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = now
            with contextlib.suppress(OSError):
                self._events.log("The Dask worker that watched this run has gone.", "warning")
        if now - self._alone_since >= float(patience):
            self._ask("orphan")

    def _control_time(self) -> int:
        try:
            return (self._folder.path / "control").stat().st_mtime_ns
        except OSError:
            return 0

    def _ask(self, what: str) -> None:
        self._asked = self._asked or what


def claim(attempt: AttemptFolder, worker: int | None = None) -> None:
    """Say in the attempt's folder who looks after it (and with which worker).

    Raises :class:`Fenced` if another process has said so.
    """
    path = attempt.path / "supervisor.json"
    value: dict[str, Any] = ProcessMark.of(os.getpid()).to_dict()
    if worker is not None:
        value["worker"] = ProcessMark.of(worker).to_dict()
    temporary = path.with_name(f".supervisor.{os.getpid()}")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    if worker is not None:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise Fenced(f"attempt {attempt.number} of run {attempt.run} has a supervisor") from None
    finally:
        temporary.unlink()


def _input_of(worker: subprocess.Popen[bytes]) -> IO[bytes]:
    if worker.stdin is None:
        raise RuntimeError("the worker was started without a pipe")
    return worker.stdin


def _has_ended(worker: subprocess.Popen[bytes]) -> bool:
    """Whether the worker ended; where the system can, without making its number free."""
    if worker.returncode is not None:
        return True
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return worker.poll() is not None


def main(arguments: list[str] | None = None) -> None:
    """Supervise the attempt that standard input names, or wait as a spare."""
    parser = argparse.ArgumentParser(prog="lepton_lab.dispatch.supervisor")
    parser.add_argument("--worker-module", default=WORKER_MODULE, help="for tests")
    parser.add_argument("--spare", type=Path, help="the path of the socket to wait at")
    parser.add_argument("--socket", type=int, default=-1, help="its descriptor")
    parser.add_argument("--idle-seconds", type=float, default=600.0)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    worker = None
    if options.spare is None:
        job = json.loads(sys.stdin.readline())
    else:
        from .spare import wait_for_job

        found = wait_for_job(options.spare, options.socket, options.worker_module, options.idle_seconds)
        if found is None:
            return
        job, worker = found
    with contextlib.suppress(Fenced):
        try:
            Supervision(job, options.worker_module, worker).run()
        except Fenced:
            if worker is not None:
                kill_group(worker.pid)
            raise


if __name__ == "__main__":
    main()
