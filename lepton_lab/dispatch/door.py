"""The way to the agent of a cluster: found, started, asked.

Every call is one line over a Unix socket and one line back: a few milliseconds, in
any thread, event loop or forked process, without importing Dask.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from .. import __version__, places
from ..errors import ClusterError, Problem, RequestError
from .endings import log_tail
from .environment import base_environment, code_mark, collect_environment, select_environment
from .processes import ProcessMark, kill_group
from .providers import LOCAL, understand
from .starting import WORKER_MODULE

PROTOCOL = 3
"""Raised when an older submitter could not speak to a newer process, or the other way round."""

ANSWER_SECONDS = 30.0
_LONGEST_PATH = 100
_ROOMS = ("dispatch", "record")  # the code that the detached process runs


def build_mark() -> str:
    """What a detached process and a submitter must agree on, or the process is outdated."""
    return f"{__version__}-{code_mark(_ROOMS)}"


class AgentDoor:
    """Where the agent of one cluster is to be found, in the state folder of this host."""

    def __init__(self, cluster: str = LOCAL) -> None:
        """Raises :class:`RequestError` if the socket's path is too long for one."""
        self.cluster = cluster
        key = cluster if cluster == LOCAL else hashlib.sha256(cluster.encode()).hexdigest()[:8]
        folder = places.state_dir()
        self.control = folder / f"control-{key}.sock"
        self.identity = folder / f"agent-{key}.json"
        """Who the agent is, for those whom it does not answer."""
        self.log = folder / f"agent-{key}.log"
        self.lifetime = folder / f"agent-{key}.alive"
        """Locked as long as the agent lives."""
        self._lock = folder / f"agent-{key}.lock"
        if len(os.fsencode(self.control)) > _LONGEST_PATH:
            longest = _LONGEST_PATH - len(os.fsencode(self.control)) + len(os.fsencode(places.state_root()))
            what = f"LEPTON_STATE_DIR must be a path of at most {longest} bytes, because sockets are in it"
            got = f"{len(os.fsencode(places.state_root()))}: {places.state_root()}"
            raise RequestError(Problem(what, got, "Set it to a folder near the root, such as ~/.lepton-state."))

    def __str__(self) -> str:
        return "The local cluster" if self.cluster == LOCAL else f"Cluster {self.cluster}"

    @property
    def stop_command(self) -> str:
        """What stops it."""
        return "lepton cluster stop" if self.cluster == LOCAL else f"lepton cluster stop {shlex.quote(self.cluster)}"

    def ask(self, operation: str, body: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One question to the agent. It is started (with the provider's ``options``), or replaced if outdated, first.

        Raises :class:`ClusterError`.
        """
        answer = self.ask_if_there(operation, body)
        if answer is None or (answer.get("outdated") and not answer["busy"]):
            with self.locked():
                answer = self.ask_if_there(operation, body)
                if answer is not None and answer.get("outdated") and not answer["busy"]:
                    self.ask_if_there("stop")
                    ProcessMark.of(int(answer["pid"])).wait(ANSWER_SECONDS)
                    answer = None
                if answer is None:
                    self._start(body, options or {})
                    answer = self.ask_if_there(operation, body)
        if answer is None:
            raise ClusterError(self._logged("started and went away"))
        if answer.get("outdated"):
            raise ClusterError(
                f"{self} is of another version of Lepton Lab and busy with "
                f"{', '.join(answer['busy'][:5])}. Wait for these runs, or stop them with: {self.stop_command} --force"
            )
        if answer.get("error"):
            raise ClusterError(f"{self} refused: {answer['error']}. Its log: {self.log}")
        return answer

    def ask_if_there(self, operation: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The answer, or None when no agent runs."""
        request = {**(body or {}), "operation": operation, "build": build_mark(), "protocol": PROTOCOL}
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ANSWER_SECONDS)
                connection.connect(str(self.control))
                with connection.makefile("rwb") as stream:
                    stream.write(json.dumps(request).encode() + b"\n")
                    stream.flush()
                    line = stream.readline()
        except (FileNotFoundError, ConnectionError):
            return None
        except TimeoutError:
            raise ClusterError(
                f"{self} does not answer. Its log: {self.log}. End it with: {self.stop_command} --force"
            ) from None
        answer: dict[str, Any] | None = json.loads(line) if line else None
        return answer

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time starts, replaces or stops the agent."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def is_open(self) -> bool:
        """Whether an agent listens."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(str(self.control))
            except OSError:
                return False
        return True

    def start_soon(self, body: Mapping[str, Any]) -> None:
        """Start the agent and do not wait for it. Of several that are started at once one stays."""
        process = self._launch(subprocess.DEVNULL)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(self._wish(body, {}))
        process.wait()  # for the process that forks the agent and leaves

    def _start(self, body: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """Start the agent and wait until it takes runs."""
        provider, _ = understand(self.cluster)
        with self._launch(subprocess.PIPE) as process, contextlib.suppress(BrokenPipeError):
            try:
                output, _ = process.communicate(self._wish(body, options), timeout=provider.start_seconds)
            except subprocess.TimeoutExpired:
                kill_group(process.pid)  # what it became is in its group
                raise ClusterError(self._logged(f"did not start within {provider.start_seconds:g} s")) from None
            if output.strip() != b"ready":
                raise ClusterError(self._logged("did not start"))

    def _launch(self, stdout: int) -> subprocess.Popen[bytes]:
        environment = base_environment(os.environ)
        if self.cluster != LOCAL:  # providers sign in with the submitter's credentials
            provider, _ = understand(self.cluster)
            environment.update(collect_environment())
            environment.update(select_environment(os.environ, provider.environment))
        environment.update(LEPTON_HOME=str(places.lepton_home()), LEPTON_STATE_DIR=str(places.state_root()))
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "lepton_lab.dispatch.agent", "--cluster", self.cluster],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=log,
                cwd=places.state_dir(),
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(log)

    def _wish(self, body: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
        """The agent's first line: who wants it. It is in no file."""
        wish = {
            "environment": dict(body.get("environment", {})),
            "use_spare": body.get("use_spare", False),
            "worker_module": body.get("order", body).get("worker_module", WORKER_MODULE),
            "build": build_mark(),
            "options": dict(options),
        }
        return json.dumps(wish).encode() + b"\n"

    def _logged(self, what: str) -> str:
        return f"{self} {what}. Its log: {self.log}\n{log_tail(self.log)}"


def spare_wanted() -> bool:
    """Whether the user wants a warm spare: ``LEPTON_SPARE=0`` says no."""
    return os.environ.get("LEPTON_SPARE", "1").lower() not in ("0", "no", "off", "false")
