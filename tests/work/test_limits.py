"""Memory that runs out, and disks that fill, in the middle of a training."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lepton_lab.record import DISTURBED, last_complete, plan_of, view_of
from lepton_lab.record.checkpoints import is_intact
from lepton_lab.work import worker
from lepton_lab.work.context import WorkContext
from lepton_lab.work.jobs import train
from lepton_lab.work.memory import is_out_of_memory
from lepton_lab.work.training import trainer as training

from .test_batches import still
from .test_resume import again  # noqa: F401 - a fixture
from .test_worker import Worker, new_run

Make = Callable[..., WorkContext]


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home on a disk of 12 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"SKIPPED: a small disk needs root: {mounted.stderr.decode().strip()}")
    monkeypatch.setenv("LEPTON_HOME", str(disk / "home"))
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_fills_ends_the_run_and_leaves_the_last_checkpoint(
    small_disk: Path, tiny_bert: Path, reviews: str
) -> None:
    folder, attempt = new_run(
        task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", max_steps=400,
        logging_steps=1, eval_strategy="no", save_strategy="steps", save_steps=1, save_total_limit=1000,
    )  # fmt: skip
    process = Worker()
    try:
        process.order(folder, attempt)
        assert process.finish(300) == 0
    finally:
        process.close()
    outcome = attempt.outcome()
    assert outcome is not None
    assert (outcome["status"], outcome["reason"]) == ("failed", "disk"), outcome
    problem = outcome["problems"][0]
    assert problem["what"].startswith("the disk is full")
    assert str(small_disk) in problem["got"]
    assert "LEPTON_HOME" in problem["do"]
    last = last_complete(folder)
    assert last is not None
    assert is_intact(last)
    assert not (attempt.path / "checkpoints" / ".writing").exists()
    steps = view_of(folder).series["loss"].steps
    assert steps == list(range(1, steps[-1] + 1))


def test_a_training_without_memory_goes_on_with_fewer_rows_at_once_to_the_same_end(
    context: Make, again: Callable[..., WorkContext], tiny_bert: Path, reviews: str, tmp_path: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    options = {
        "task": "text-classification", "model": still(tiny_bert, tmp_path), "dataset": reviews, "label_column": "label",
        "precision": "fp32", "batch_size": 16, "max_steps": 12, "logging_steps": 1, "eval_strategy": "no",
        "save_strategy": "steps", "save_steps": 3, "lr": 1e-3,
    }  # fmt: skip
    straight = context(**options)
    train.run(straight)
    most = [16]
    step = training.UpdateTrainer.training_step

    def limited(self: Any, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 4:
            most[0] = 5
        if len(inputs["input_ids"]) > most[0]:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )
        return step(self, model, inputs, *arguments, **named)

    monkeypatch.setattr(training.UpdateTrainer, "training_step", limited)
    work = context(**options)
    messages = []
    for rows, accumulation in ((8, 2), (4, 4)):
        with pytest.raises(RuntimeError, match="can't allocate") as raised:
            train.run(work)
        outcome = worker._outcome_of(raised.value, work.attempt)
        assert (outcome["status"], outcome["reason"]) == ("failed", "memory")
        messages.append(outcome["message"])
        work.attempt.write_outcome(outcome.pop("status"), **outcome)
        work = again(work.folder)
        assert f"{rows}, {accumulation} batches" in messages[-1]
    train.run(work)
    plan = plan_of(work.attempt)
    assert plan is not None
    assert (plan.train, plan.accumulation, plan.effective, plan.evaluate) == (4, 4, 16, 32)
    view = view_of(work.folder)
    assert view.reports["batch"]["train"] == 4
    last = last_complete(work.folder)
    assert last is not None
    assert '"accumulation": 4' in (last / "complete.json").read_text()
    said = [event.body["message"] for event in work.folder.events() if event.kind == "log"]
    assert any("4 rows at once and 4 batches an update now, 16 rows an update as before" in line for line in said)
    assert view.series["loss"].values == pytest.approx(view_of(straight.folder).series["loss"].values, rel=1e-4)

    from safetensors.numpy import load_file

    one, two = (load_file(each.attempt.path / "model" / "model.safetensors") for each in (straight, work))
    for name in one:
        np.testing.assert_allclose(two[name], one[name], atol=1e-4, err_msg=name)


def test_when_not_even_one_row_fits_the_run_ends_with_what_to_do(
    context: Make, tiny_bert: Path, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def fail(*arguments: Any, **named: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(training.UpdateTrainer, "training_step", fail)
    work = context(
        task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", batch_size=1
    )
    with pytest.raises(torch.OutOfMemoryError) as raised:
        train.run(work)
    outcome = worker._outcome_of(raised.value, work.attempt)
    assert (outcome["status"], outcome["reason"]) == ("failed", "memory_final")
    assert "--gradient-checkpointing" in outcome["message"]


@pytest.mark.slow
def test_real_memory_that_runs_out(tiny_bert: Path, tmp_path: Path) -> None:
    """The system gives no more than it has: each attempt is a process of its own, with 600 MB to train in."""
    from .conftest import write_rows

    rows = [{"text": " ".join(["great film dull plot"] * 14), "label": str(number % 2)} for number in range(4096)]
    folder, attempt = new_run(
        task="text-classification", model=str(tiny_bert), dataset=write_rows(tmp_path / "long.jsonl", rows),
        text_column="text", label_column="label", batch_size=2048, eval_batch_size=64, max_steps=2, precision="fp32",
        eval_strategy="no", save_strategy="no",
    )  # fmt: skip
    code = (
        "import resource, sys\n"
        "from lepton_lab.work import worker, warming\n"
        "warming.warm_up()\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 600 * 2**20,) * 2)\n"
        "worker.main()\n"
    )
    seen = []
    for _ in range(8):
        process = Worker(code=code)
        try:
            process.order(folder, attempt)
            process.finish(300)
        finally:
            process.close()
        outcome = attempt.outcome()
        assert outcome is not None
        plan = plan_of(attempt)
        assert plan is not None, outcome
        seen.append((plan.train, outcome["status"]))
        if outcome["status"] == "succeeded":
            break
        assert outcome["reason"] == "memory", outcome
        attempt.end(DISTURBED, reason="memory")
        attempt = folder.take_lease(attempt.number + 1)
    assert seen[0] == (2048, "failed")
    assert seen[-1][1] == "succeeded"
    assert view_of(folder).reports["batch"]["effective"] == 2048


def test_what_says_that_memory_ran_out() -> None:
    import errno

    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(OSError(errno.ENOMEM, "no"))
    assert is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
