"""Several processes that train one model, as real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lepton_lab.recipe import build_recipe
from lepton_lab.record import AttemptFolder, RunFolder, last_complete, view_of
from lepton_lab.work.context import WorkContext
from lepton_lab.work.gang import decide
from tests.attempts import next_attempt

from .test_batches import still


class Gang:
    """A worker process that leads a gang, and the attempt it was given."""

    def __init__(self, folder: RunFolder, attempt: AttemptFolder | None = None, **more: Any) -> None:
        self.folder = folder
        self.attempt = attempt or next_attempt(folder)
        self.attempt.path.mkdir(exist_ok=True)
        self.log = (self.attempt.path / "worker.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lepton_lab.work.worker"],
            stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        order = {"run_dir": str(folder.path), "attempt": self.attempt.number, "threads": 2, "env": {}, **more}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def outcome(self, timeout: float = 300) -> dict[str, Any]:
        self.process.wait(timeout)
        outcome = self.attempt.outcome()
        assert outcome is not None, (self.attempt.path / "worker.log").read_text()
        return outcome

    def ranks(self) -> list[int]:
        """Process numbers of the ranks."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = children.read_text().split() if children.exists() else []
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            found += task.read_text().split()
        return sorted({int(each) for each in found})

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        self.log.close()


@pytest.fixture
def gang() -> Iterator[Callable[..., Gang]]:
    """Starts gangs and ends them."""
    made: list[Gang] = []

    def make(folder: RunFolder, **more: Any) -> Gang:
        made.append(Gang(folder, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def new_run(**options: Any) -> RunFolder:
    return RunFolder.create(build_recipe("train", options))


def weights_of(attempt: AttemptFolder) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return dict(load_file(attempt.path / "model" / "model.safetensors"))


def wait_for(condition: Callable[[], Any], seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def step_of(folder: RunFolder) -> int:
    return view_of(folder).step or 0


def is_alive(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text().replace(")", " ")
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "tags", "answers"])
def test_two_processes_learn_what_one_does(
    gang: Callable[..., Gang], tiny_bert: Path, tiny_llama: Path, reviews: str, addresses: str, questions: str,
    tmp_path: Path, kind: str,
) -> None:  # fmt: skip
    """Rows of unequal length, an epoch that ends in the middle of an update, one row less than there are ranks."""
    base: dict[str, Any] = {"precision": "fp32", "epochs": 2, "lr": 1e-3, "logging_steps": 1}
    if kind == "labels":
        base |= {"task": "text-classification", "model": still(tiny_bert, tmp_path), "dataset": reviews}
        base |= {"label_column": "label", "text_column": "text"}
    elif kind == "tags":
        base |= {"task": "token-classification", "model": still(tiny_bert, tmp_path), "dataset": addresses}
    else:
        base |= {"task": "text-generation", "model": still(tiny_llama, tmp_path), "dataset": questions}
    alone = gang(new_run(**base, batch_size=14))
    together = gang(new_run(**base, batch_size=7, processes=2))
    assert alone.outcome()["status"] == "succeeded"
    outcome = together.outcome()
    assert outcome["status"] == "succeeded", (together.attempt.path / "worker.log").read_text()[-3000:]
    one, two = view_of(alone.folder), view_of(together.folder)
    assert two.series["loss"].steps == one.series["loss"].steps
    assert two.series["loss"].values == pytest.approx(one.series["loss"].values, rel=1e-3)
    name = next(each for each in one.series if each.startswith("eval_") and each != "eval_loss")
    assert two.series[name].values == pytest.approx(one.series[name].values, rel=1e-2, abs=1e-3)
    first, second = weights_of(alone.attempt), weights_of(together.attempt)
    assert first.keys() == second.keys()
    for each in first:
        np.testing.assert_allclose(second[each], first[each], atol=2e-4, err_msg=each)
    writers = {path.name for path in together.attempt.path.glob("events-*")}
    assert writers == {"events-trainer.jsonl"}


@pytest.mark.slow
def test_a_killed_rank_ends_the_gang_and_the_next_attempt_goes_on(
    gang: Callable[..., Gang], tiny_bert: Path, reviews: str
) -> None:
    options: dict[str, Any] = {
        "task": "text-classification", "model": str(tiny_bert), "dataset": reviews, "label_column": "label",
        "precision": "fp32", "batch_size": 8, "processes": 2, "max_steps": 120, "logging_steps": 1,
        "eval_strategy": "no", "save_strategy": "steps", "save_steps": 10,
    }  # fmt: skip
    straight = gang(new_run(**options))
    assert straight.outcome()["status"] == "succeeded"
    first = gang(new_run(**options))
    wait_for(lambda: step_of(first.folder) >= 25)
    ranks = first.ranks()
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    outcome = first.outcome(60)
    assert (outcome["status"], outcome["reason"]) == ("failed", "rank")
    assert "SIGKILL" in outcome["message"]
    assert not any(is_alive(each) for each in ranks)
    assert last_complete(first.folder) is not None
    second = gang(first.folder)
    assert second.outcome()["status"] == "succeeded"
    assert view_of(first.folder).series["loss"].values == view_of(straight.folder).series["loss"].values
    one, two = weights_of(straight.attempt), weights_of(second.attempt)
    assert all((one[name] == two[name]).all() for name in one)


@pytest.mark.slow
def test_two_hosts_meet_where_the_order_says(gang: Callable[..., Gang], tiny_bert: Path, reviews: str) -> None:
    """Both are this machine; each is led by a process of its own, as by the supervisor of another host."""
    options: dict[str, Any] = {
        "task": "text-classification", "model": str(tiny_bert), "dataset": reviews, "label_column": "label",
        "precision": "fp32", "batch_size": 8, "max_steps": 10, "logging_steps": 1,
    }  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"nodes": 2, "rdzv": f"127.0.0.1:{free.getsockname()[1]}", "interface": "lo"}
    folder = new_run(**options, machines=2)
    first = gang(folder, gang={**meeting, "node_rank": 0})
    second = gang(folder, attempt=folder.attempt(1, 1), gang={**meeting, "node_rank": 1})
    assert first.outcome()["status"] == "succeeded", (first.attempt.path / "worker.log").read_text()[-3000:]
    assert second.outcome(60)["status"] == "succeeded"
    assert {path.name for path in folder.path.glob("attempts/*/events-*")} == {"events-trainer.jsonl"}
    together = gang(new_run(**options, processes=2))
    assert together.outcome()["status"] == "succeeded"
    assert view_of(folder).series["loss"].values == view_of(together.folder).series["loss"].values

    alone = gang(new_run(**options, machines=2))
    outcome = alone.outcome()
    assert (outcome["status"], outcome["reason"]) == ("failed", "request")
    assert "did not come together" in outcome["message"]


@pytest.mark.slow
def test_all_ranks_save_when_asked_stop_together_and_die_with_their_leader(
    gang: Callable[..., Gang], tiny_bert: Path, reviews: str
) -> None:
    folder = new_run(
        task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", batch_size=4,
        processes=2, max_steps=20000, logging_steps=1, eval_strategy="no", save_strategy="no",
    )  # fmt: skip
    first = gang(folder)
    wait_for(lambda: step_of(folder) >= 3)
    first.process.send_signal(signal.SIGUSR1)
    saved = wait_for(lambda: last_complete(folder))
    wait_for(lambda: step_of(folder) >= int(saved.name.split("-")[1]) + 2)
    ranks = first.ranks()
    first.process.send_signal(signal.SIGTERM)
    assert first.outcome(60)["status"] == "cancelled"
    assert last_complete(folder) != saved
    assert not any(is_alive(each) for each in ranks)

    second = gang(folder)
    before = step_of(folder)
    wait_for(lambda: step_of(folder) > before)
    ranks = second.ranks()
    second.process.kill()
    wait_for(lambda: not any(is_alive(each) for each in ranks), 20)


@pytest.mark.parametrize("others_ask", [False, True])
def test_a_request_that_comes_during_an_agreement_is_for_the_next_one(others_ask: bool) -> None:
    class Late:
        """A gang whose leader asks for a checkpoint while the ranks agree for the first time."""

        rank, count, rounds = 0, 2, 0

        def most(self, stop: int, save: int) -> list[int]:
            self.rounds += 1
            if self.rounds == 1:
                work.request_save()
            return [stop, int(save or (others_ask and self.rounds == 1))]

    work = WorkContext(*([None] * 4), 1, ranks=Late())  # type: ignore[arg-type]
    assert work.agree() is False
    assert work.take_save_request() is others_ask  # as every rank, whatever this one has heard meanwhile
    assert work.agree() is False
    assert work.take_save_request() is True
    assert work.agree() is False
    assert work.take_save_request() is False


def test_what_a_gang_came_to() -> None:
    def failure(code: int) -> Any:
        return type("Failure", (), {"exitcode": code})()

    good = {"rank": 0, "time": 2.0, "status": "succeeded", "metrics": {"steps": 3}}
    assert decide([good], []) == {"status": "succeeded", "metrics": {"steps": 3}}
    assert decide([good], [(1, failure(-9))])["status"] == "succeeded"
    assert decide([{**good, "rank": 2}], [], first_rank=2)["status"] == "succeeded"
    stopped = {"rank": 0, "time": 2.0, "status": "cancelled", "reason": "cancelled"}
    assert decide([stopped], [])["status"] == "cancelled"
    lost = {"rank": 0, "time": 2.0, "status": "failed", "reason": "error", "message": "Connection closed by peer"}
    assert decide([lost], [(0, failure(1)), (1, failure(-9))])["message"].startswith("rank 1 was killed by SIGKILL")
    memory = {"rank": 1, "time": 1.0, "status": "failed", "reason": "memory", "message": "m"}
    assert decide([lost, memory], [(1, failure(1)), (0, failure(-15))])["reason"] == "memory"
    bug = {"rank": 1, "time": 1.0, "status": "failed", "reason": "error", "message": "KeyError: 'x'"}
    assert decide([lost, bug], [(1, failure(1)), (0, failure(-15))])["message"] == "KeyError: 'x'"
    assert decide([], [(-1, OSError("no"))])["reason"] == "rank"
