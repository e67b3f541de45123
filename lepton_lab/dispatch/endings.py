"""How an attempt ended, in words, and writing it down. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from ..record import AttemptFolder, EventWriter, RunFolder

_LOG_LINES = 12
_LOG_BYTES = 4000


def ending_of(
    attempt: AttemptFolder, exit_code: int | None, asked: str = "", killed_after: float | None = None, memory: str = ""
) -> dict[str, Any]:
    """``status`` with ``reason``, ``message``, ``problems``, ``metrics`` of an attempt whose worker has ended.

    ``exit_code`` as of :class:`subprocess.Popen` (None: not known); ``asked`` is ``cancel``,
    ``terminate`` or empty; ``killed_after`` are the seconds of grace that the worker let
    pass; ``memory`` is what the system says of memory running out.
    """
    outcome = attempt.outcome()
    if outcome is not None:
        return _of_outcome(dict(outcome), asked)
    if asked == "cancel":
        message = "stopped before it had anything to save"
        if killed_after is not None:
            message = f"did not stop within {killed_after:g} s and was killed; its last complete checkpoint stands"
        return {"status": "cancelled", "reason": "cancelled", "message": message}
    if asked == "terminate":
        return _terminated()
    if exit_code is None:
        how = "The worker ended without a word"
    elif exit_code < 0:
        how = f"The worker was killed by {_signal_name(-exit_code)}"
        if -exit_code == signal.SIGKILL:
            how += f"; {memory or 'probably memory ran out'}. A smaller --batch-size or --max-length needs less"
    else:
        how = f"The worker ended with exit code {exit_code} and no word"
    tail = log_tail(attempt.path / "worker.log")
    message = f"{how}." + (f" The end of its log:\n{tail}" if tail else " Its log is empty.")
    return {"status": "failed", "reason": "killed", "message": message}


def end_run(folder: RunFolder, attempt: AttemptFolder, events: EventWriter, ending: dict[str, Any]) -> str:
    """Write the last event and the final status of a run; returns the status that stands."""
    ending = {"reason": "", "message": "", **ending}
    events.status(**{key: value for key, value in ending.items() if key != "metrics"})
    with contextlib.suppress(OSError):
        events.sync()  # the final status below is synced by itself
    status = ending.pop("status")
    folder.finish(status, attempt=attempt.number, **ending)
    final = folder.final()
    return str(final["status"]) if final else str(status)


def end_attempt(folder: RunFolder, attempt: AttemptFolder, ending: dict[str, Any]) -> str:
    """:func:`end_run` by somebody who is not the attempt's supervisor."""
    events = attempt.writer("dispatch")
    try:
        return end_run(folder, attempt, events, ending)
    finally:
        events.close()


def log_tail(path: Path) -> str:
    """The last lines of a log; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in lines if line.strip()][-_LOG_LINES:])


def _of_outcome(outcome: dict[str, Any], asked: str) -> dict[str, Any]:
    known = ("status", "reason", "message", "problems", "metrics")
    ending = {key: outcome[key] for key in known if outcome.get(key) is not None}
    if ending["status"] == "cancelled" and asked != "cancel":
        return {**ending, **_terminated()}
    return ending


def _terminated() -> dict[str, Any]:
    message = (
        "The run was told to leave by a signal, as when a machine shuts down; its last complete checkpoint stands."
    )
    return {"status": "failed", "reason": "terminated", "message": message}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class MemoryWatch:
    """Whether the system killed a process for memory since this was made."""

    def __init__(self) -> None:
        self._before = _memory_kills()

    def verdict(self) -> str:
        """What can be said for certain, or an empty string."""
        return "memory ran out and the system chose it" if _memory_kills() > self._before else ""


def _memory_kills() -> int:
    total = 0
    for path in (Path("/proc/vmstat"), *_cgroup_files()):
        with contextlib.suppress(OSError):
            for line in path.read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    total += int(count)
    return total


def _cgroup_files() -> list[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    groups = [line.partition("::")[2] for line in lines if line.startswith("0::")]
    return [Path("/sys/fs/cgroup") / group.strip("/") / "memory.events" for group in groups]
