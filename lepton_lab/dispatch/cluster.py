"""The local cluster as seen from outside: found, started, asked, stopped.

Every call is one line over a Unix socket and one line back: a few milliseconds, in
any thread, event loop or forked process, without importing Dask.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import __version__, places
from ..errors import ClusterError, Problem, RequestError
from ..record import RunFolder, read_json
from .endings import log_tail
from .environment import base_environment, code_mark, collect_environment, import_environment
from .processes import ProcessMark, kill_group
from .starting import WORKER_MODULE

PROTOCOL = 1
"""Raised when an older submitter could not speak to a newer process, or the other way round."""

_START_SECONDS = 60.0
_ANSWER_SECONDS = 30.0
_PATIENCE_SECONDS = 10.0
_LONGEST_PATH = 100
_ROOMS = ("dispatch", "record")  # the code that the detached process runs


def cluster_status() -> dict[str, Any]:
    """What the local cluster does. ``running`` is False, and little else is there, when there is none."""
    answer = _ask_if_there("status")
    if answer is None:
        return {"cluster": "not running", "state": str(places.state_dir())}
    if answer.get("outdated"):
        return {
            "cluster": "outdated",
            "pid": answer["pid"],
            "running": answer["busy"],
            "state": str(places.state_dir()),
        }
    return _shown(answer)


def start_cluster(dashboard: bool = False) -> dict[str, Any]:
    """Start the local cluster unless it runs; its status. Raises :class:`ClusterError`.

    ``dashboard`` serves Dask's pages on a free port of this machine: no password, so
    everybody who works on this machine can read them.
    """
    if dashboard and importlib.util.find_spec("bokeh") is None:
        raise RequestError(
            Problem("Dask's dashboard needs the package bokeh", "none installed", "Run: pip install bokeh")
        )
    ask("spare", _spare_wish(collect_environment(), WORKER_MODULE), dashboard=dashboard)
    status = cluster_status()
    if dashboard and not status.get("dashboard"):
        raise ClusterError("The local cluster runs without a dashboard. Stop it first: lepton cluster stop")
    return status


def stop_cluster(force: bool = False) -> dict[str, Any]:
    """Stop the local cluster and wait until it is gone.

    With runs going on it refuses (:class:`ClusterError`), unless ``force``: then they
    are cancelled, and it waits until they have saved.
    """
    stopped: list[str] = []
    with _start_lock():
        while True:
            try:
                answer = _ask_if_there("stop")
            except ClusterError:
                if not force:
                    raise
                answer = None
            if answer is None:
                _end_silent(force)
                return {"cluster": "stopped", "cancelled": stopped}
            if answer.get("error"):
                raise ClusterError(f"The local cluster could not stop: {answer['error']}")
            if answer.get("stopping"):
                ProcessMark.of(int(answer["pid"])).wait(_ANSWER_SECONDS)
                continue
            runs = answer["busy"]
            if not force:
                raise ClusterError(
                    f"The local cluster has {len(runs)} unfinished run(s): {', '.join(runs[:5])}. "
                    "Wait for them, or stop them too with: lepton cluster stop --force"
                )
            _cancel_all([run for run in runs if run not in stopped])
            stopped += [run for run in runs if run not in stopped]
            time.sleep(0.05)


def ask(operation: str, body: Mapping[str, Any], dashboard: bool = False) -> dict[str, Any]:
    """One question to the local cluster, which is started, or replaced if outdated, first.

    Raises :class:`ClusterError`.
    """
    answer = _ask_if_there(operation, body)
    if answer is None or (answer.get("outdated") and not answer["busy"]):
        with _start_lock():
            answer = _ask_if_there(operation, body)
            if answer is not None and answer.get("outdated") and not answer["busy"]:
                _ask_if_there("stop")
                ProcessMark.of(int(answer["pid"])).wait(_ANSWER_SECONDS)
                answer = None
            if answer is None:
                _start(body, dashboard)
                answer = _ask_if_there(operation, body)
    if answer is None:
        raise ClusterError(f"The local cluster started and went away. Its log: {_log_path()}\n{log_tail(_log_path())}")
    if answer.get("outdated"):
        raise ClusterError(
            f"The local cluster is of another version of Lepton Lab and busy with {', '.join(answer['busy'][:5])}. "
            "Wait for these runs, or stop them with: lepton cluster stop --force"
        )
    if answer.get("error"):
        raise ClusterError(f"The local cluster refused: {answer['error']}. Its log: {_log_path()}")
    return answer


def children_of(run: str) -> list[str]:
    """Runs of the local cluster that wait for ``run``; none when no cluster runs."""
    answer = _ask_if_there("children", {"run": run}) or {}
    return list(answer.get("children", []))


def build_mark() -> str:
    """What a detached process and a submitter must agree on, or the process is outdated."""
    return f"{__version__}-{code_mark(_ROOMS)}"


def _spare_wish(environment: Mapping[str, str], worker_module: str) -> dict[str, Any]:
    return {
        "environment": import_environment(environment),
        "use_spare": spare_wanted(),
        "worker_module": worker_module,
    }


def spare_wanted() -> bool:
    """Whether the user wants a warm spare: ``LEPTON_SPARE=0`` says no."""
    return os.environ.get("LEPTON_SPARE", "1").lower() not in ("0", "no", "off", "false")


def _ask_if_there(operation: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The answer, or None when no cluster runs."""
    path = control_path()
    request = {**(body or {}), "operation": operation, "build": build_mark(), "protocol": PROTOCOL}
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(str(path))
            with connection.makefile("rwb") as stream:
                stream.write(json.dumps(request).encode() + b"\n")
                stream.flush()
                line = stream.readline()
    except (FileNotFoundError, ConnectionError):
        return None
    except TimeoutError:
        raise ClusterError(
            f"The local cluster does not answer. Its log: {_log_path()}. End it with: lepton cluster stop --force"
        ) from None
    answer: dict[str, Any] | None = json.loads(line) if line else None
    return answer


def _start(body: Mapping[str, Any], dashboard: bool) -> None:
    """Start the detached process and wait until it takes runs."""
    state = places.state_dir()
    environment = base_environment(os.environ)
    environment.update(LEPTON_HOME=str(places.lepton_home()), LEPTON_STATE_DIR=str(places.state_root()))
    command = [sys.executable, "-m", "lepton_lab.dispatch.local", *(["--dashboard"] if dashboard else [])]
    wish = {
        "environment": import_environment(body.get("environment", {})),
        "use_spare": body.get("use_spare", False),
        "worker_module": body.get("worker_module", WORKER_MODULE),
        "build": build_mark(),
    }
    descriptor = os.open(_log_path(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=descriptor,
            cwd=state,
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    with process, contextlib.suppress(BrokenPipeError):
        output, _ = _communicate(process, json.dumps(wish).encode() + b"\n")
        if output.strip() != b"ready":
            raise ClusterError(f"The local cluster did not start. Its log: {_log_path()}\n{log_tail(_log_path())}")


def _communicate(process: subprocess.Popen[bytes], line: bytes) -> tuple[bytes, bytes]:
    """Give the process its line and read until it says ``ready`` or is gone."""
    try:
        output, errors = process.communicate(line, timeout=_START_SECONDS)
    except subprocess.TimeoutExpired:
        kill_group(process.pid)  # what it became is in its group
        raise ClusterError(
            f"The local cluster did not start within {_START_SECONDS:g} s. Its log: {_log_path()}\n"
            f"{log_tail(_log_path())}"
        ) from None
    return output, errors or b""


@contextlib.contextmanager
def _start_lock() -> Iterator[None]:
    """One process at a time starts, replaces or stops the cluster."""
    descriptor = os.open(places.state_dir() / "cluster.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _end_silent(force: bool) -> None:
    """End a detached process that has lost its socket or never answered."""
    found = read_json(places.state_dir() / "scheduler.json")
    if not found:
        return
    mark = ProcessMark.from_dict(found)
    mark.send(signal.SIGTERM)
    if not mark.wait(_PATIENCE_SECONDS) and force:
        mark.send(signal.SIGKILL)
        mark.wait(_PATIENCE_SECONDS)
    for path in (places.state_dir() / "scheduler.json", control_path()):
        path.unlink(missing_ok=True)


def _cancel_all(runs: list[str]) -> None:
    from .handing import request_cancel

    for run in runs:
        folder = RunFolder(places.runs_dir() / run)
        if folder.path.is_dir() and folder.final() is None:
            request_cancel(folder)


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    keys = ("pid", "address", "devices", "running", "queued", "spare", "dashboard", "idle_seconds", "python")
    return {
        "cluster": "running",
        **{key: answer[key] for key in keys},
        "started": answer["since"],
        "version": str(answer["build"]).partition("-")[0],
        "state": str(places.state_dir()),
        "log": str(_log_path()),
    }


def _log_path() -> Path:
    return places.state_dir() / "cluster.log"


def control_path() -> Path:
    """The control socket of the local cluster. Raises :class:`ClusterError` if its path is too long for one."""
    path = places.state_dir() / "control.sock"
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ClusterError(
            f"LEPTON_STATE_DIR must be a short path, because sockets are in it, got {places.state_root()}. "
            "Set LEPTON_STATE_DIR to a folder near the root, such as ~/.lepton-state."
        )
    return path
