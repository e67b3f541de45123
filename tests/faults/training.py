"""A small real training to disturb, and all that must be true of it afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

import lepton_lab
from lepton_lab.dispatch import cluster_status
from lepton_lab.lab import Run
from lepton_lab.record import COMPLETE_MARK, RunFolder, folded_events, read_json
from tests.dispatch.conftest import until

STEPS, SAVE_STEPS = 200, 20
PLAN: dict[str, Any] = {
    "task": "text-classification",
    "max_steps": STEPS,
    "batch_size": 16,
    "max_length": 64,
    "lr": 1e-3,
    "precision": "fp32",
    "cpus": 1,
    "logging_steps": 1,
    "eval_strategy": "no",
    "save_strategy": "steps",
    "save_steps": SAVE_STEPS,
}

_STILL = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)


@dataclass(frozen=True)
class SmallTraining:
    """What is trained on what. Its model drops out by chance: a lost random state would show."""

    model: Path
    reviews: Path

    @classmethod
    def written(cls, model: Path, folder: Path) -> SmallTraining:
        """Of ``model``, with data in ``folder``."""
        rows = [
            f"{number} {' '.join(['the', word, 'film', 'was', word] * 11)},{word}"
            for number in range(200)
            for word in ("great", "dull")
        ]
        (folder / "reviews.csv").write_text("\n".join(["text,label", *rows]))
        return cls(model, folder / "reviews.csv")

    def copied_to(self, folder: Path) -> SmallTraining:
        """The same training from other places on the disk."""
        model = Path(shutil.copytree(self.model, folder / "model"))
        return SmallTraining(model, Path(shutil.copy(self.reviews, folder)))

    def start(self, **options: Any) -> Run:
        """Submit it."""
        return lepton_lab.train(model=str(self.model), dataset=str(self.reviews), **{**PLAN, **options})

    def line(self, *more: str) -> str:
        """The cell that submits it."""
        options = {"model": self.model, "dataset": self.reviews, **PLAN}
        words = [f"--{name.replace('_', '-')} {value}" for name, value in options.items()]
        return " ".join(["%lepton train", *words, *more])


@dataclass(frozen=True)
class Ending:
    """What a training came to."""

    weights: bytes
    losses: list[float]

    @classmethod
    def of(cls, run: Run) -> Ending:
        """Of a run that succeeded."""
        if run.model_dir is None:
            raise AssertionError(f"{run} left no model: {run.view().message}")
        return cls((run.model_dir / "model.safetensors").read_bytes(), run.view().series["loss"].values)


def assert_unharmed(run: Run, undisturbed: Ending, *endings: str, again: int = SAVE_STEPS) -> None:
    """The run ended as if nothing had been. ``endings`` are those of its attempts; each of them may
    have computed ``again`` so many steps of the one before it."""
    folder = run.folder
    final = until(folder.final)
    told = [(attempt.ended() or {}).get("status") for attempt in folder.attempts()]
    assert (final["status"], run.status, told) == (endings[-1], endings[-1], list(endings)), final
    whole = list(range(1, STEPS + 1))
    assert run.view().series["loss"].steps == steps_of(folder, raw=False) == whole
    assert [count for count in computed_again(folder) if count > again] == []
    assert_one_writer_at_a_time(folder)
    assert_no_orphans(folder)
    ending = Ending.of(run)
    assert ending.losses == undisturbed.losses
    assert ending.weights == undisturbed.weights


def assert_one_writer_at_a_time(folder: RunFolder) -> None:
    """Nobody wrote into the folder of an attempt once the next one had been given away, nor twice the same event."""
    attempts = folder.attempts()
    for earlier, later in pairwise(attempts):
        given_away = later.lease()["time"]
        # Files: checkpoints that nobody needs any more go later, and that touches their folder.
        late = [path for path in earlier.path.rglob("*") if path.is_file() and path.stat().st_mtime > given_away]
        assert late == []
    identities = [event.identity for event in folder.events()]
    assert len(identities) == len(set(identities))


def assert_no_orphans(folder: RunFolder) -> None:
    """What worked for the run has left, some seconds after its last word at the latest."""
    until(lambda: processes_of(folder) == [], 20)


def processes_of(folder: RunFolder) -> list[psutil.Process]:
    """Living workers, ranks and supervisors of the home that the run is in."""
    home = str(folder.path.parents[1])
    names = ("lepton_lab.work.worker", "lepton_lab.dispatch.supervisor")
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_ours = process.environ().get("LEPTON_HOME") == home
            if is_ours and any(name in process.cmdline() for name in names) and not is_gone(process.pid):
                found.append(process)
    return found


def steps_of(folder: RunFolder, raw: bool = True) -> list[int]:
    """The steps of the loss in the record: of all attempts, or as a view shows them."""
    events = folder.events() if raw else folded_events(folder.events())
    return [int(each.body["step"]) for each in events if each.kind == "metric" and "loss" in each.body["values"]]


def computed_again(folder: RunFolder) -> list[int]:
    """For each attempt how many of its steps those before it had done."""
    known: set[int] = set()
    counts = []
    for attempt in folder.attempts():
        steps = [
            int(event.body["step"])
            for event in folder.events()
            if event.attempt == attempt.number and event.kind == "metric" and "loss" in event.body["values"]
        ]
        counts.append(len(known.intersection(steps)))
        known.update(steps)
    return counts


def pid_of(run: Run, who: str) -> int:
    """The process number of the run's ``trainer``, ``supervisor`` or ``agent``."""
    if who == "agent":
        return int(cluster_status(run.recipe.resources.cluster)["pid"])
    mark = read_json(run.folder.attempts()[-1].path / "supervisor.json")
    return int(mark["worker"]["pid"] if who == "trainer" else mark["pid"])


def is_gone(pid: int) -> bool:
    """Whether the process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_told_to_leave(pid: int) -> bool:
    """Whether a process that is stopped will find a SIGTERM when it goes on."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pending = next(int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd:"))
    return bool(pending >> (signal.SIGTERM - 1) & 1)


@contextlib.contextmanager
def held_still(run: Run) -> Iterator[None]:
    """In the middle of the training, behind a checkpoint: what is done here is done at one point of it."""
    until(lambda: len(steps_of(run.folder)) > SAVE_STEPS + 1, 200)
    with _stopped(run):
        assert run.folder.final() is None
        yield


@contextlib.contextmanager
def held_while_it_saves(run: Run) -> Iterator[None]:
    """In the middle of the writing of a checkpoint: its weights are there, its end is not."""
    until(lambda: len(steps_of(run.folder)) > SAVE_STEPS + 1, 200)
    aside = run.folder.attempt(1).path / "checkpoints" / ".writing"

    def is_written_to() -> bool:
        return any(aside.glob("checkpoint-*/model.safetensors")) and not any(aside.glob(f"*/{COMPLETE_MARK}"))

    while run.folder.final() is None:
        if not is_written_to():
            continue
        with _stopped(run):
            if is_written_to():
                yield
                return
    raise AssertionError("no checkpoint was caught while it was written")


@contextlib.contextmanager
def _stopped(run: Run) -> Iterator[None]:
    """The trainer, with the ranks that it leads if it does."""
    trainer = psutil.Process(pid_of(run, "trainer"))
    stopped = [trainer, *trainer.children(recursive=True)]
    for process in stopped:
        process.suspend()
    try:
        until(lambda: all(process.status() in _STILL for process in stopped))
        yield
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def kill(pid: int) -> None:
    """With -9."""
    os.kill(pid, signal.SIGKILL)
