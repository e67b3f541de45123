"""The run folder: the durable record of one recipe's execution.

::

    runs/RUN/
      run.json                 the header, written once
      recipe.yaml              the plan, written once
      waiting.json             what keeps it waiting, if it is not only its turn
      order.json               how it was handed over; what the submitter's agent needs to try it again
      control/cancel.json      somebody asked the run to stop
      control/save.json        somebody asked for a checkpoint now
      control/leave.json       an attempt must end on every host, because it has on one
      attempts/1/              made by who takes the lease: mkdir is the compare-and-swap
        lease.json             who holds it
        supervisor.json        who looks after it, and its worker
        watcher.json           the Dask worker that watches it now, where that is not who took the lease
        heartbeat.json         the supervisor is alive
        events-WRITER.jsonl    what happened
        outcome.json           what the worker says of its end
        worker.log             the worker's stdout and stderr
        checkpoints/ model/ adapter/ …
        ended.json             how the attempt ended: the first to say so is right; without it nobody takes the next one
        final.json             the run's, from before somebody resumed it
      attempts/1-host-1/       the same on the second host of a gang: its supervisor, its processes' last words
      final.json               the last status; written once, after the last event

Standard library only: the supervisor imports this.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import places
from ..errors import Fenced
from .event import Event, EventWriter, clean, merged, read_blocks
from .files import create_json, read_json, write_json

if TYPE_CHECKING:
    from ..recipe import Recipe

_RESERVE = ".reserve"
_RESERVE_BYTES = 256 * 1024

_LETTERS = "abcdefghjkmnpqrstvwxyz"
_ALPHABET = _LETTERS + "23456789"

HEARTBEAT_SECONDS = 1.0
"""How often a supervisor says that it is alive."""

LOST_AFTER_SECONDS = 30.0
"""A running attempt whose heartbeat is older than this is shown as lost."""


DISTURBED = "disturbed"
"""How an attempt ended that was not to blame: the next one goes on from the last complete checkpoint."""


REOPENED_FOLDER = ".reopened"
"""Beside the run folders: the names of runs that somebody resumed, for indexes that take an end for the end."""


def new_run_id() -> str:
    """Eight characters that cannot be misread, the first a letter."""
    return secrets.choice(_LETTERS) + "".join(secrets.choice(_ALPHABET) for _ in range(7))


@dataclass(frozen=True)
class AttemptFolder:
    """One try at a run. Its holder writes here and nowhere else.

    An attempt on several hosts has a folder for each: that of ``host`` 0 is the attempt's own, with the events,
    the checkpoints and the end; of the others only supervision is told there.
    """

    run: str
    number: int
    path: Path
    host: int = 0

    def writer(self, name: str) -> EventWriter:
        """The event file of the writer ``name`` (``trainer``, ``supervisor``, ``dispatch``)."""
        return EventWriter(self.path / f"events-{name}.jsonl", self.run, self.number, name)

    def beat(self) -> None:
        """Say that this attempt's supervisor is alive."""
        write_json(self.path / "heartbeat.json", {"time": time.time(), "pid": os.getpid()})

    def heartbeat_time(self) -> float | None:
        """When the supervisor last said that it is alive, or None before its first word."""
        found = read_json(self.path / "heartbeat.json")
        return float(found["time"]) if found else None

    def link_down_since(self) -> float | None:
        """Since when who copies this attempt from a worker without our disk has had no answer; None while it has."""
        found = read_json(self.path / "heartbeat.json") or {}
        since = found.get("link_down_since")
        return None if since is None else float(since)

    def lease(self) -> dict[str, Any]:
        """Who holds this attempt: ``host``, ``pid``, ``boot``, ``time``; empty if just being taken."""
        return read_json(self.path / "lease.json") or {}

    def end(self, status: str, **body: Any) -> bool:
        """Say how this attempt ended; False if that was said before, and then that stands.

        ``status`` is one of a run, and then the run's, or :data:`DISTURBED`.
        """
        return _created(self.path / "ended.json", clean({"status": status, "time": time.time(), **body}))

    def ended(self) -> dict[str, Any] | None:
        """How the attempt ended, or None while it may go on: ``status, reason, message, checkpoint, time`` …"""
        found: dict[str, Any] | None = read_json(self.path / "ended.json")
        return found

    def keep_reserve(self) -> None:
        """Take some room on the disk, so that the end can be written down even when it is full.

        Once is enough. Raises OSError where there is no such room; what there is, is left.
        """
        path = self.path / _RESERVE
        if path.exists():
            return
        try:
            path.write_bytes(os.urandom(_RESERVE_BYTES))
        except OSError:
            self.free_reserve()
            raise

    def free_reserve(self) -> None:
        """Give the room back, to write the end."""
        with contextlib.suppress(OSError):
            (self.path / _RESERVE).unlink(missing_ok=True)

    def write_outcome(self, status: str, **body: Any) -> None:
        """The worker's last word: ``succeeded``, ``failed`` or ``cancelled``, with reason and message."""
        write_json(self.path / "outcome.json", clean({"status": status, **body}))

    def write_rank_outcome(self, rank: int, outcome: Mapping[str, Any]) -> None:
        """The last word of one process of a gang; the gang's leader makes the outcome of them."""
        write_json(self.path / f"outcome-rank-{rank}.json", {**outcome, "rank": rank, "time": time.time()})

    def rank_outcomes(self) -> list[dict[str, Any]]:
        """The last words of a gang's processes, in their order; those that died without one are missing."""
        found = [read_json(path) for path in self.path.glob("outcome-rank-*.json")]
        return sorted(found, key=lambda each: int(each["rank"]))

    def outcome(self) -> dict[str, Any] | None:
        """The worker's last word, or None when it died without one."""
        found: dict[str, Any] | None = read_json(self.path / "outcome.json")
        return found


@dataclass(frozen=True)
class RunFolder:
    """One run on disk."""

    path: Path

    @property
    def run(self) -> str:
        """The run's id."""
        return self.path.name

    @classmethod
    def named(cls, run: str) -> RunFolder:
        """The run of this id in ``LEPTON_HOME``, whether or not it exists."""
        return cls(places.runs_dir() / run)

    @classmethod
    def create(cls, recipe: Recipe, submitter: Mapping[str, Any] | None = None, parent: str | None = None) -> RunFolder:
        """Write a new run, whole or not at all. Its id is new.

        ``parent`` is the run that controls it, where that is not the one whose model it needs.
        """
        root = places.runs_dir()
        root.mkdir(parents=True, exist_ok=True)
        run = new_run_id()
        temporary = root / f".new-{run}"
        temporary.mkdir()
        try:
            (temporary / "control").mkdir()
            (temporary / "attempts").mkdir()
            (temporary / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
            header = {
                "run": run,
                "kind": recipe.kind,
                "task": recipe.task,
                "model": recipe.model,
                "name": recipe.name,
                "tags": recipe.tags,
                "notes": recipe.notes,
                "parent": parent or recipe.parent,
                "created": time.time(),
                "cluster": recipe.resources.cluster,
                "host": platform.node(),
                "submitter": dict(submitter or {}),
            }
            write_json(temporary / "run.json", header)
            temporary.rename(root / run)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return cls(root / run)

    @property
    def is_pulled(self) -> bool:
        """Whether this is a copy of another host's run, from the object store."""
        if not places.store_url():
            return False
        from .remote import is_pulled

        return is_pulled(self.run)

    def refresh(self) -> None:
        """Bring a copy of another host's run up to date. Any other run is so by itself."""
        if self.is_pulled:
            from .remote import refresh_run

            refresh_run(self)

    def artifact_path(self, body: Mapping[str, Any]) -> Path:
        """Where the artifact of an event's ``body`` is, fetched first from another host's run."""
        if self.is_pulled:
            from .remote import bring_artifact

            return bring_artifact(self, body["path"])
        return self.path / str(body["path"])

    def header(self) -> dict[str, Any]:
        """What was written at submission: run, kind, task, model, name, tags, notes, parent, created."""
        found = read_json(self.path / "run.json")
        if found is None:
            raise FileNotFoundError(self.path / "run.json")
        return dict(found)

    def recipe(self) -> Recipe:
        """The plan, checked again."""
        from ..recipe import recipe_from_yaml

        return recipe_from_yaml((self.path / "recipe.yaml").read_text(encoding="utf-8"))

    def attempts(self) -> list[AttemptFolder]:
        """Every attempt so far, oldest first."""
        folder = self.path / "attempts"
        numbers = sorted(int(each.name) for each in folder.iterdir() if each.name.isdigit())
        return [self.attempt(number) for number in numbers]

    def attempt(self, number: int, host: int = 0) -> AttemptFolder:
        """The attempt ``number`` (or its part on another host of a gang), whether or not it exists."""
        name = f"{number}-host-{host}" if host else str(number)
        return AttemptFolder(self.run, number, self.path / "attempts" / name, host)

    def parts_elsewhere(self, number: int) -> list[AttemptFolder]:
        """The parts of an attempt on the other hosts of its gang."""
        names = [path.name for path in (self.path / "attempts").glob(f"{number}-host-*")]
        return [self.attempt(number, host) for host in sorted(int(name.rpartition("-")[2]) for name in names)]

    def take_lease(self, number: int, holder: Mapping[str, Any] | None = None) -> AttemptFolder:
        """Begin attempt ``number``, or raise :class:`Fenced` when somebody else already has.

        ``mkdir`` either makes the folder or fails, on every file system: it is the
        compare-and-swap. A run that has ended takes no further attempt, and an attempt
        follows only one that is known to have ended.
        """
        if self.final() is not None:
            raise Fenced(f"run {self.run} has ended")
        if number > 1 and not self._may_follow(self.attempt(number - 1)):
            raise Fenced(f"attempt {number - 1} of run {self.run} has not ended")
        return self._take(self.attempt(number), holder)

    def take_part(self, number: int, host: int, holder: Mapping[str, Any] | None = None) -> AttemptFolder:
        """Begin the part of attempt ``number`` on another host of its gang; who holds the attempt decides on its parts.

        Raises :class:`Fenced` when somebody else already has.
        """
        return self._take(self.attempt(number, host), holder)

    def events(self) -> list[Event]:
        """Every event of every attempt and writer, in order, nothing folded."""
        return list(self.each_event())

    def each_event(self) -> Iterator[Event]:
        """:meth:`events` one at a time, in little memory however many they are."""
        self.refresh()
        for attempt in self.attempts():
            yield from merged([read_blocks(path) for path in sorted(attempt.path.glob("events-*.jsonl"))])

    def ask(self, word: str, **body: Any) -> None:
        """Leave a request (``cancel``, ``save``) for whoever runs this."""
        request = {"time": time.time(), **body}
        if self.is_pulled:
            from .remote import send_request

            send_request(self, word, request)
        write_json(self.path / "control" / f"{word}.json", request)

    def asked(self, word: str) -> dict[str, Any] | None:
        """The request ``word``, or None."""
        found: dict[str, Any] | None = read_json(self.path / "control" / f"{word}.json")
        return found

    def tell_waiting(self, what: str) -> None:
        """Say what a run waits for beside its turn; with an empty string, nothing any more."""
        path = self.path / "waiting.json"
        if what:
            write_json(path, {"time": time.time(), "message": what})
        else:
            path.unlink(missing_ok=True)

    def waiting(self) -> str:
        """What the run waits for beside its turn, or an empty string."""
        return str((read_json(self.path / "waiting.json") or {}).get("message", ""))

    def withdraw(self, word: str) -> None:
        """Forget a request."""
        (self.path / "control" / f"{word}.json").unlink(missing_ok=True)

    def finish(self, status: str, **body: Any) -> None:
        """Write the last status, once: the first to do so is right."""
        path = self.path / "final.json"
        value = clean({"status": status, "ended": time.time(), **body})
        if not _created(path, value) and self.final() is None:
            write_json(path, value)  # what was there was said of an attempt before a resumption

    def final(self) -> dict[str, Any] | None:
        """The last status with reason, message, metrics, attempt; None while the run may go on."""
        found: dict[str, Any] | None = read_json(self.path / "final.json")
        number = found.get("attempt") if found else None
        if number is not None and (self.attempt(int(number)).path / "final.json").exists():
            return None  # whoever wrote it slept over a resumption
        return found

    def reopen(self) -> AttemptFolder | None:
        """Take the end of a run back, so that another attempt may follow; the attempt that was the last.

        None when somebody else was quicker, or there was no end.
        """
        final = self.final()
        attempts = self.attempts()
        if final is None or not attempts:
            return None
        mark = self.path.parent / REOPENED_FOLDER / self.run
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        try:
            (self.path / "final.json").rename(attempts[-1].path / "final.json")
        except FileNotFoundError:
            return None
        for word in ("cancel", "save"):
            self.withdraw(word)
        return attempts[-1]

    def close_again(self, attempt: AttemptFolder) -> None:
        """Undo :meth:`reopen`, when nobody could be found to go on."""
        (attempt.path / "final.json").rename(self.path / "final.json")

    def _take(self, attempt: AttemptFolder, holder: Mapping[str, Any] | None) -> AttemptFolder:
        try:
            attempt.path.mkdir()
        except FileExistsError:
            raise Fenced(f"attempt {attempt.path.name} of run {self.run} is taken") from None
        write_json(attempt.path / "lease.json", {"time": time.time(), "pid": os.getpid(), **(holder or {})})
        return attempt

    def _may_follow(self, attempt: AttemptFolder) -> bool:
        ended = attempt.ended()
        if ended is None:
            return False
        return ended["status"] == DISTURBED or (attempt.path / "final.json").exists()


def _created(path: Path, value: Mapping[str, Any]) -> bool:
    try:
        create_json(path, value)
    except FileExistsError:
        return False
    return True
