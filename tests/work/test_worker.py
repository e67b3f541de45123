"""The worker as a real process: orders, signals, the end of its supervisor, outcomes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.recipe import build_recipe
from lepton_lab.record import AttemptFolder, RunFolder, read_events, view_of
from tests.attempts import next_attempt


class Worker:
    """A worker process and the attempt it was given."""

    def __init__(self, spare: bool = False, code: str = "") -> None:
        command = [sys.executable, "-m", "lepton_lab.work.worker", *(["--spare"] if spare else [])]
        if code:
            command = [sys.executable, "-c", code]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
        )

    def order(self, folder: RunFolder, attempt: AttemptFolder) -> None:
        line = {"run_dir": str(folder.path), "attempt": attempt.number, "threads": 1, "env": {"LEPTON_TRIAL": "1"}}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def finish(self, timeout: float = 120) -> int:
        return self.process.wait(timeout)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Worker]]:
    """Starts workers and ends them."""
    made: list[Worker] = []

    def make(**options: Any) -> Worker:
        made.append(Worker(**options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def new_run(**options: Any) -> tuple[RunFolder, AttemptFolder]:
    folder = RunFolder.create(build_recipe("train", options))
    return folder, folder.take_lease(1)


def wait_for(condition: Callable[[], Any], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def steps_of(attempt: AttemptFolder) -> int:
    path = attempt.path / "events-trainer.jsonl"
    events = read_events(path) if path.exists() else []
    return max((int(event.body["step"]) for event in events if event.kind == "metric"), default=0)


def checkpoint_steps(attempt: AttemptFolder) -> list[int]:
    found = (attempt.path / "checkpoints").glob("checkpoint-*/complete.json")
    return sorted(int(each.parent.name.split("-")[1]) for each in found)


def test_a_spare_saves_when_asked_stops_when_told_and_the_next_attempt_goes_on(
    start: Callable[..., Worker], tiny_bert: Path, reviews: str
) -> None:
    folder, first = new_run(
        task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label",
        max_steps=4000, logging_steps=1, eval_strategy="no", save_strategy="steps", save_steps=100000,
    )  # fmt: skip
    spare = start(spare=True)
    assert spare.process.stdout is not None
    assert spare.process.stdout.readline() == b"ready\n"
    spare.order(folder, first)
    wait_for(lambda: steps_of(first) >= 3)
    spare.process.send_signal(signal.SIGUSR1)
    saved = wait_for(lambda: checkpoint_steps(first))[0]
    wait_for(lambda: steps_of(first) >= saved + 3)
    assert first.outcome() is None  # it went on
    spare.process.send_signal(signal.SIGTERM)
    assert spare.finish() == 0
    outcome = first.outcome()
    assert outcome is not None
    assert (outcome["status"], outcome["reason"]) == ("cancelled", "cancelled")
    stopped = checkpoint_steps(first)[-1]
    assert stopped >= saved + 3
    assert stopped == steps_of(first)
    # Nothing of the run went to the pipe that said "ready".
    assert spare.process.stdout.read() == b""
    assert (first.path / "worker.log").exists()

    second = next_attempt(folder)
    worker = start()
    worker.order(folder, second)
    wait_for(lambda: steps_of(second) > stopped)
    assert worker.process.stdin is not None
    view = view_of(folder)
    assert view.series["loss"].steps == list(range(1, view.step + 1))
    worker.process.send_signal(signal.SIGKILL)
    worker.finish()
    assert second.outcome() is None


def test_who_loses_the_supervisor_saves_and_leaves(start: Callable[..., Worker], tiny_bert: Path, reviews: str) -> None:
    folder, attempt = new_run(
        task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", max_steps=4000,
        logging_steps=1, eval_strategy="no", orphan_grace_seconds=0.1,
    )  # fmt: skip
    worker = start()
    worker.order(folder, attempt)
    wait_for(lambda: steps_of(attempt) >= 2)
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    worker.process.stdin = None
    assert worker.finish() == 0
    outcome = attempt.outcome()
    assert outcome is not None
    assert (outcome["status"], outcome["reason"]) == ("failed", "orphaned")
    assert checkpoint_steps(attempt)[-1] == steps_of(attempt)


def test_what_the_user_must_mend_becomes_the_outcome_without_a_traceback(
    start: Callable[..., Worker], tiny_bert: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    folder, attempt = new_run(task="text-classification", model=str(tiny_bert), dataset=f"file:{empty}")
    worker = start()
    worker.order(folder, attempt)
    assert worker.finish() == 0
    outcome = attempt.outcome()
    assert outcome is not None
    assert (outcome["status"], outcome["reason"]) == ("failed", "request")
    assert outcome["problems"][0]["what"]
    assert "empty" in outcome["message"]
    assert worker.process.stderr is not None
    assert b"Traceback" not in worker.process.stderr.read()
    assert any(event.body.get("level") == "error" for event in folder.events())


def test_a_spare_that_nobody_needs_leaves_quietly(start: Callable[..., Worker]) -> None:
    worker = start()
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    worker.process.stdin = None
    assert worker.finish(30) == 0
