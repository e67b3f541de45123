"""How an attempt ended, in words, and writing it down. Standard library only.

An attempt that was disturbed (killed, told to leave, left alone) ends, and the run goes on with the
next one; whatever else ends an attempt ends its run.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RequestError
from ..record import (
    DISTURBED,
    AttemptFolder,
    EventWriter,
    RunFolder,
    can_shrink,
    checkpoint_step,
    drop_superseded,
    last_complete,
)

BUSY = "busy"
"""Why an attempt on several hosts ended that could not have all their devices at once: it has cost nothing."""

_LOG_LINES = 12
_LOG_BYTES = 4000
_DISTURBANCES = {
    "terminate": ("terminated", "It was told to leave, as when a machine shuts down."),
    "orphan": ("orphaned", "Its cluster had gone away."),
    "leave": ("host", "Another host of its gang was lost."),
    "busy": (BUSY, "Another run had the device of one of its hosts."),
}


@dataclass(frozen=True)
class AttemptLimit:
    """How often a run that is disturbed again and again is tried. As of the beginning of an attempt."""

    most: int
    """Attempts in a row that leave no new checkpoint."""
    in_vain: int = 0
    """Attempts in a row before this one that left none."""
    checkpoint: int = -1
    """The step of the newest checkpoint then; -1 if there was none."""

    @classmethod
    def of(cls, folder: RunFolder, most: int) -> AttemptLimit:
        """The limit of the attempt that comes next, from the record."""
        in_vain, before = 0, -1
        for attempt in folder.attempts():
            ended = attempt.ended() or {}
            step = -1 if ended.get("checkpoint") is None else int(ended["checkpoint"])
            counts = ended.get("status") == DISTURBED and not _costs_nothing(attempt, ended)
            in_vain = in_vain + 1 if counts and step <= before else 0
            before = max(before, step)
        return cls(most, in_vain, before)

    def applied(self, attempt: AttemptFolder, ending: dict[str, Any], checkpoint: int | None) -> dict[str, Any]:
        """The ending of a disturbed attempt: the run's failure if it was the last one allowed."""
        came_further = checkpoint is not None and checkpoint > self.checkpoint
        if came_further or _costs_nothing(attempt, ending) or self.in_vain + 1 < self.most:
            return ending
        how_often = f"{self.most} attempts in a row" if self.most > 1 else "the only attempt allowed"
        message = f"{ending['message']}\nThis was so after {how_often} without a new checkpoint (--max-attempts)."
        return {**ending, "status": "failed", "message": message}


def ending_of(
    attempt: AttemptFolder, exit_code: int | None, asked: str = "", killed_after: float | None = None, memory: str = ""
) -> dict[str, Any]:
    """``status`` with ``reason``, ``message``, ``problems``, ``metrics`` of an attempt whose worker has ended.

    The status is one of a run's, or ``disturbed``. ``exit_code`` as of :class:`subprocess.Popen`
    (None: not known); ``asked`` is ``cancel``, ``terminate``, ``orphan``, ``leave``, ``busy`` or empty;
    ``killed_after`` are the seconds of grace that the worker let pass; ``memory`` is what the system says
    of memory running out.
    """
    outcome = attempt.outcome()
    if outcome is not None:
        return _of_outcome(attempt, dict(outcome), asked)
    if asked == "cancel":
        message = "stopped before it had anything to save"
        if killed_after is not None:
            message = f"did not stop within {killed_after:g} s and was killed; its last complete checkpoint stands"
        return {"status": "cancelled", "reason": "cancelled", "message": message}
    if asked:
        return _disturbed_by(asked)
    if exit_code is not None and exit_code >= 0:
        how, status, reason = f"The worker ended with exit code {exit_code} and no word", "failed", "killed"
    else:
        how, status, reason = "The worker ended without a word", DISTURBED, "killed"
        if exit_code is not None:
            how = f"The worker was killed by {_signal_name(-exit_code)}"
            if -exit_code == signal.SIGKILL:
                reason = "memory" if memory else "killed"
                how += f"; {memory or 'probably memory ran out'}. A smaller --batch-size or --max-length needs less"
    tail = log_tail(attempt.path / "worker.log")
    message = f"{how}." + (f" The end of its log:\n{tail}" if tail else " Its log is empty.")
    return {"status": status, "reason": reason, "message": message}


def refusal(error: RequestError, reason: str) -> dict[str, Any]:
    """The ending of an attempt that could not be made, and would not be the next time."""
    problems = [problem.to_dict() for problem in error.problems]
    return {"status": "failed", "reason": reason, "message": str(error), "problems": problems}


def end_run(
    folder: RunFolder,
    attempt: AttemptFolder,
    events: EventWriter,
    ending: dict[str, Any],
    limit: AttemptLimit | None = None,
) -> str:
    """Write how an attempt ended, and the end of the run unless the attempt was disturbed; the status that stands.

    Without a ``limit`` to the attempts a disturbed one is always followed by another. What happens on another host
    of a gang ends only that part; the first host's end is the attempt's.
    """
    ending = {"reason": "", "message": "", **ending}
    if ending["status"] == "cancelled":
        asked = folder.asked("cancel") or {}
        ending |= {key: asked[key] for key in ("reason", "message") if asked.get(key)}
    step = _last_step(folder)
    if ending["status"] == DISTURBED and limit is not None and attempt.host == 0:
        ending = limit.applied(attempt, ending, step)
    attempt.free_reserve()  # the worker may have died before it did
    if attempt.end(**ending, checkpoint=step):  # else somebody was quicker, and tells it
        with contextlib.suppress(OSError):  # a disk that is full now; how it ended was written
            events.status(**_told(attempt, ending, step))
            events.sync()  # the final status is synced by itself
    status = publish_end(folder, attempt) or str((attempt.ended() or ending)["status"])
    drop_superseded(folder)
    return status


def publish_end(folder: RunFolder, attempt: AttemptFolder) -> str:
    """Give the run the end that its last attempt has, if that is one; the run's status, or an empty string."""
    ended = attempt.ended()
    if ended is None or ended["status"] == DISTURBED or attempt.host or (attempt.path / "final.json").exists():
        return ""
    known = {key: value for key, value in ended.items() if key not in ("status", "time", "checkpoint")}
    folder.finish(ended["status"], attempt=attempt.number, **known)
    return str((folder.final() or ended)["status"])


def end_attempt(
    folder: RunFolder, attempt: AttemptFolder, ending: dict[str, Any], limit: AttemptLimit | None = None
) -> str:
    """:func:`end_run` by somebody who is not the attempt's supervisor."""
    events = attempt.writer("dispatch")
    try:
        return end_run(folder, attempt, events, ending, limit)
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


def _of_outcome(attempt: AttemptFolder, outcome: dict[str, Any], asked: str) -> dict[str, Any]:
    known = ("status", "reason", "message", "problems", "metrics")
    ending = {key: outcome[key] for key in known if outcome.get(key) is not None}
    if asked == "cancel" and ending.get("reason") == "orphaned":
        return {"status": "cancelled", "reason": "cancelled", "message": "stopped as asked"}
    if ending["status"] == "cancelled" and asked != "cancel":
        return _disturbed_by(asked or "terminate")
    if ending.get("reason") in ("orphaned", "rank") or _needs_less_memory(attempt, ending):
        return {**ending, "status": DISTURBED}
    return ending


def _disturbed_by(asked: str) -> dict[str, Any]:
    reason, message = _DISTURBANCES[asked]
    return {"status": DISTURBED, "reason": reason, "message": message}


def _needs_less_memory(attempt: AttemptFolder, ending: Mapping[str, Any]) -> bool:
    """Whether memory ran out, and the next attempt can hold fewer rows at once."""
    return ending.get("reason") == "memory" and can_shrink(attempt)


def _costs_nothing(attempt: AttemptFolder, ending: Mapping[str, Any]) -> bool:
    """Whether an attempt does not count as one in vain."""
    return ending.get("reason") == BUSY or _needs_less_memory(attempt, ending)


def _told(attempt: AttemptFolder, ending: dict[str, Any], checkpoint: int | None) -> dict[str, Any]:
    """The status event of an ending."""
    if ending["status"] != DISTURBED:
        return {key: value for key, value in ending.items() if key != "metrics"}
    way = "begins anew" if checkpoint is None else f"goes on from checkpoint-{checkpoint}"
    message = f"Attempt {attempt.number} was disturbed and the run {way}: {ending['message']}"
    return {"status": "queued", "stage": "", "reason": ending["reason"], "message": message}


def _last_step(folder: RunFolder) -> int | None:
    path = last_complete(folder)
    return None if path is None else checkpoint_step(path)


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
