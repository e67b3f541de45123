"""Runs on disk, as workers and supervisors write them."""

from __future__ import annotations

from typing import Any

from lepton_lab.recipe import build_recipe
from lepton_lab.record import DISTURBED, AttemptFolder, RunFolder

TRAIN = {"task": "text-classification", "model": "sample:minilm", "dataset": "reviews.csv"}


def new_run(kind: str = "train", **options: Any) -> RunFolder:
    """A queued run."""
    return RunFolder.create(build_recipe(kind, {**(TRAIN if kind == "train" else {}), **options}))


def begin(folder: RunFolder, number: int = 1) -> AttemptFolder:
    """A run that somebody works on."""
    if number > 1:
        folder.attempt(number - 1).end(DISTURBED)
    attempt = folder.take_lease(number, {"host": "here"})
    attempt.beat()
    attempt.writer("supervisor").status(status="running")
    return attempt


def train_steps(attempt: AttemptFolder, first: int, last: int, of: int = 8) -> None:
    """The trainer's events of some steps."""
    trainer = attempt.writer("trainer")
    trainer.status(stage="train", max_steps=of, epochs=1)
    for step in range(first, last + 1):
        trainer.metric(step, {"loss": 1.0 / step})
        if step % 4 == 0:
            trainer.metric(step, {"eval_loss": 0.5, "eval_accuracy": 0.8})
    trainer.close()


def finish(folder: RunFolder, status: str = "succeeded", **body: Any) -> RunFolder:
    """The end of a run: its model, its checkpoints, its last status."""
    attempt = folder.attempts()[-1]
    metrics = {"test_accuracy": 0.81, "rows": 100}
    if status == "succeeded":
        (attempt.path / "model").mkdir()
        (attempt.path / "model" / "model.safetensors").write_bytes(b"m" * 1000)
        trainer = attempt.writer("trainer")
        trainer.report("metrics", metrics)
        trainer.artifact("model", "model", f"attempts/{attempt.number}/model", "sha256:0", 1000)
    (attempt.path / "checkpoints").mkdir()
    (attempt.path / "checkpoints" / "state.bin").write_bytes(b"c" * 50_000)
    attempt.writer("supervisor").status(status=status, **body)
    folder.finish(status, metrics=metrics if status == "succeeded" else {}, **body)
    return folder


def finished_run(status: str = "succeeded", **options: Any) -> RunFolder:
    """A run that is over."""
    folder = new_run(**options)
    train_steps(begin(folder), 1, 8)
    return finish(folder, status)
