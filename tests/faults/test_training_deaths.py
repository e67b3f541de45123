"""Processes of this machine that are killed in the middle of real training: the weights do not show it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.manager import KernelManager

import lepton_lab
from lepton_lab import samples
from lepton_lab.dispatch import cluster_status, stop_cluster
from lepton_lab.lab import Run
from lepton_lab.record import DISTURBED, RunFolder, folded_events, read_json
from tests.dispatch.conftest import until

pytestmark = pytest.mark.slow

STEPS, SAVE_STEPS = 24, 4
PLAN: dict[str, Any] = {
    "task": "text-classification",
    "model": "sample:minilm",
    "max_steps": STEPS,
    "batch_size": 4,
    "max_length": 32,
    "precision": "fp32",
    "cpus": 1,
    "logging_steps": 1,
    "eval_strategy": "no",
    "save_strategy": "steps",
    "save_steps": SAVE_STEPS,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home for this module's runs, with data to learn."""
    folder = tmp_path_factory.getbasetemp().parent / f"faults-{os.getpid()}"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEPTON_HOME", str(folder / "home"))
        patch.setenv("LEPTON_STATE_DIR", str(folder / "state"))
        patch.setenv("LEPTON_SPARE", "0")
        samples.install("minilm")
        words = [f"a {word} film number {number},{word}" for number in range(60) for word in ("fine", "dull")]
        (folder / "reviews.csv").write_text("\n".join(["text,label", *words]))
        try:
            yield folder
        finally:
            stop_cluster(force=True)


@pytest.fixture(scope="module")
def undisturbed(home: Path) -> bytes:
    """The weights of a run that nobody disturbed."""
    return weights_of(lepton_lab.train(dataset=str(home / "reviews.csv"), **PLAN).wait(timeout=300).raise_for_status())


def weights_of(run: Run) -> bytes:
    """Its model's file of weights."""
    if run.model_dir is None:
        raise AssertionError(f"{run} left no model: {run.view().message}")
    return (run.model_dir / "model.safetensors").read_bytes()


def steps_of(folder: RunFolder, raw: bool = True) -> list[int]:
    events = folder.events() if raw else folded_events(folder.events())
    return [int(each.body["step"]) for each in events if each.kind == "metric" and "loss" in each.body["values"]]


def pids_of(run: Run) -> dict[str, int]:
    mark = read_json(run.folder.attempts()[-1].path / "supervisor.json")
    return {"trainer": mark["worker"]["pid"], "supervisor": mark["pid"], "agent": cluster_status()["pid"]}


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def in_the_middle(run: Run) -> None:
    until(lambda: len(steps_of(run.folder)) > SAVE_STEPS + 1, 120)


def while_it_saves(run: Run) -> None:
    """Until the second checkpoint is being written."""
    checkpoints = run.folder.attempt(1).path / "checkpoints"
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob(f".writing/checkpoint-{2 * SAVE_STEPS}")):
        if time.monotonic() > deadline:
            raise AssertionError("no checkpoint was written aside")


@pytest.mark.parametrize(
    ("victims", "moment", "attempts"),
    [
        (("trainer",), in_the_middle, 2),
        (("trainer",), while_it_saves, 2),
        (("supervisor",), in_the_middle, 2),
        (("agent",), in_the_middle, 1),
        (("trainer", "supervisor", "agent"), in_the_middle, 2),
    ],
    ids=["trainer", "trainer that saves", "supervisor", "agent", "everything"],
)
def test_killed_process_leaves_no_trace_in_the_weights(
    home: Path, undisturbed: bytes, victims: tuple[str, ...], moment: Callable[[Run], None], attempts: int
) -> None:
    run = lepton_lab.train(dataset=str(home / "reviews.csv"), **PLAN)
    moment(run)
    pids = pids_of(run)
    for name in victims:
        os.kill(pids[name], signal.SIGKILL)
    time.sleep(0.2)
    assert lepton_lab.attach(run).wait(timeout=300).status == "succeeded", run.view().message
    assert len(run.folder.attempts()) == attempts
    assert [each.ended()["status"] for each in run.folder.attempts()] == [DISTURBED] * (attempts - 1) + ["succeeded"]
    whole = list(range(1, STEPS + 1))
    assert run.view().series["loss"].steps == steps_of(run.folder, raw=False) == whole
    assert len(steps_of(run.folder)) - STEPS <= SAVE_STEPS
    until(lambda: all(is_gone(pids[name]) for name in ("trainer", "supervisor")))
    assert weights_of(run) == undisturbed


def test_killed_kernel_is_not_missed(home: Path, undisturbed: bytes) -> None:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ})
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    code = f"import lepton_lab; lepton_lab.train(dataset={str(home / 'reviews.csv')!r}, **{PLAN!r})"
    client.execute_interactive(code, timeout=120, output_hook=lambda message: None)
    run = lepton_lab.attach(lepton_lab.runs()[0]["run"])
    in_the_middle(run)
    manager.interrupt_kernel()
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    client.stop_channels()
    manager.shutdown_kernel(now=True)  # for what the manager itself holds
    client.context.destroy()
    manager.context.destroy()
    assert run.wait(timeout=300).status == "succeeded"
    assert len(run.folder.attempts()) == 1
    assert weights_of(run) == undisturbed
