"""What a job is given: its run, its attempt, where to say what happens, and whether to stop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import LeptonError, ModelError, Problem
from ..recipe import Recipe
from ..record import AttemptFolder, EventWriter, RunFolder, digest_of, view_of
from .ranks import Ranks
from .tasks.task import ModelSpec

_REASONS = ("", "cancelled", "orphaned")


class Stopped(LeptonError):
    """The job stopped because it was asked to, after it saved what it could."""


@dataclass
class WorkContext:
    """One job's view of the world. ``threads`` are those that torch and the runtimes may use.

    ``ranks`` are the processes of a gang that trains one model; of them only rank 0 writes.
    """

    folder: RunFolder
    attempt: AttemptFolder
    recipe: Recipe
    events: EventWriter
    threads: int
    ranks: Ranks | None = None
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _save: threading.Event = field(default_factory=threading.Event, repr=False)
    _saves: bool = False
    stop_reason: str = ""

    def should_stop(self) -> bool:
        """Whether the job should save and leave at its next step boundary."""
        return self._stop.is_set()

    @property
    def rank(self) -> int:
        """This process's number in its gang; 0 without one."""
        return self.ranks.rank if self.ranks else 0

    @property
    def is_first_on_host(self) -> bool:
        """Whether this process leaves word for whoever looks after its host: rank 0, or the first on another host."""
        return self.ranks is None or self.ranks.local == 0

    @property
    def rank_count(self) -> int:
        """How many processes train the model."""
        return self.ranks.count if self.ranks else 1

    @contextlib.contextmanager
    def first_on_host_first(self) -> Iterator[None]:
        """What the first process of a host does here, the others of a gang find done."""
        with self.ranks.first_on_host_first() if self.ranks else contextlib.nullcontext():
            yield

    def agree(self) -> bool:
        """Whether the job should leave, the same answer in every rank; what one was asked, all have been.

        Every rank must come here. In a run of one process it is :meth:`should_stop`.
        """
        asked = self._save.is_set()
        if self.ranks:
            stop = _REASONS.index(self.stop_reason) if self.should_stop() else 0
            reason, save = self.ranks.most(stop, asked)
            if reason:
                self.request_stop(_REASONS[reason])
        else:
            reason, save = self.should_stop(), asked
        if asked:  # what came meanwhile is agreed on next time
            self._save.clear()
        self._saves = self._saves or bool(save)
        return bool(reason)

    def check_stop(self) -> None:
        """Raise :class:`Stopped` if the job should leave. Every rank of a gang must come here."""
        if self.agree():
            raise Stopped(self.stop_reason or "cancelled")

    def request_stop(self, reason: str = "cancelled") -> None:
        """Ask the job to save and leave: ``cancelled`` or ``orphaned``. Safe in a signal handler."""
        self.stop_reason = self.stop_reason or reason
        self._stop.set()

    def request_save(self) -> None:
        """Ask the job for a checkpoint at its next step boundary. Safe in a signal handler."""
        self._save.set()

    def take_save_request(self) -> bool:
        """Whether the last agreements were to save: the same answer in every rank."""
        agreed, self._saves = self._saves, False
        return agreed

    def stage(self, name: str) -> None:
        """Say what the job does now: ``data``, ``preflight``, ``model``, ``train``, ``evaluate``, ``save`` …"""
        self.events.status(stage=name)

    def publish(self, name: str, kind: str, path: Path) -> None:
        """Record a file or folder of this attempt as the run's artifact ``name``; rank 0 does."""
        if self.rank > 0:
            return
        digest, size = digest_of(path)
        self.events.artifact(name, kind, path.relative_to(self.folder.path).as_posix(), digest, size)


def parent_model(context: WorkContext) -> tuple[Path, ModelSpec, Path]:
    """(trained model folder, its spec, folder with its ``{train,validation,test}.parquet``) of the parent run.

    A parent that is itself a compilation leads on to the training run it came from.
    Raises :class:`ModelError` when there is no trained model.
    """
    folder = context.folder
    header = folder.header()
    while header["kind"] != "train":
        if not header.get("parent"):
            raise ModelError(Problem(f"run {folder.run} has no training run above it"))
        folder = RunFolder(folder.path.with_name(header["parent"]))
        header = folder.header()
    artifacts = view_of(folder).artifacts
    missing = [name for name in ("model", "splits") if name not in artifacts]
    if missing:
        raise ModelError(
            Problem(
                f"training run {folder.run} left no {' and no '.join(missing)}",
                f"status {view_of(folder).status}",
                "Train again, or name another run; see: lepton runs",
                where="parent",
            )
        )
    model, splits = (folder.path / artifacts[name]["path"] for name in ("model", "splits"))
    return model, ModelSpec.load(model), splits
