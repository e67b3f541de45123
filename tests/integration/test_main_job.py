"""The main job, whole: from a shell, from a kernel that is killed, and as four cells in one go."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from tests.conftest import lepton

pytestmark = pytest.mark.usefixtures("shared_lab")

TRAIN = "train --task text-classification --model sample:minilm --dataset sample:movie-sentiment --peft lora --max-length 48"


class Kernel:
    """A real kernel and what its cells print."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(extra_arguments=["--Application.log_level=ERROR"])
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, timeout: float = 600) -> str:
        """Execute and return the text of all outputs; raise what the cell raised."""
        texts: list[str] = []

        def collect(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                texts.append(content["text"])
            elif message["msg_type"] in ("display_data", "execute_result", "update_display_data"):
                texts.append(content["data"].get("text/plain", ""))

        reply = self.client.execute_interactive(code, timeout=timeout, output_hook=collect)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"{reply['content']['ename']}: {reply['content']['evalue']}")
        return "\n".join(texts)

    def kill(self) -> None:
        """End it as the kernel's death does: without a chance to say good-bye."""
        os.kill(self.manager.provisioner.pid, signal.SIGKILL)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture
def kernels() -> Iterator[list[Kernel]]:
    started: list[Kernel] = []
    yield started
    for kernel in started:
        kernel.close()


def metric_steps(run: str) -> list[int]:
    lines = lepton("events", run, "--json").stdout.splitlines()
    return [event["step"] for event in map(json.loads, lines) if event["kind"] == "metric"]


def test_a_run_survives_its_kernel(kernels: list[Kernel], shared_lab: Path) -> None:
    first = Kernel()
    kernels.append(first)
    first.run("%load_ext lepton_lab")
    first.run(
        f"%lepton {TRAIN} --max-steps 30 --logging-steps 1 --eval-strategy no --batch-size 4 --name survivor --no-wait"
    )
    (run,) = [row["run"] for row in json.loads(lepton("runs", "--json").stdout) if row["name"] == "survivor"]
    deadline = time.monotonic() + 120
    while len(metric_steps(run)) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    first.kill()
    assert len(metric_steps(run)) < 30, "the run was over before the kernel was killed"

    second = Kernel()
    kernels.append(second)
    second.run("%load_ext lepton_lab")
    second.run("%lepton attach last --wait")
    second.run("import lepton_lab; run = lepton_lab.attach('last')")
    assert second.run("print(run.id, run.status)").split() == [run, "succeeded"]
    assert second.run("print(run.view().series['loss'].steps)").strip() == str(list(range(1, 31)))
    assert metric_steps(run)[:30] == list(range(1, 31))
    assert len(set(metric_steps(run))) == len(metric_steps(run))


@pytest.mark.slow
def test_the_four_cells_in_one_go(kernels: list[Kernel], shared_lab: Path) -> None:
    kernel = Kernel()
    kernels.append(kernel)
    kernel.run("%load_ext lepton_lab")
    kernel.run(
        "from lepton_lab import samples\n"
        "reviews = samples.load('movie-sentiment').splits['train'].to_pandas().head(600)"
    )
    kernel.run(
        "%lepton train --task text-classification --model sample:minilm --dataset reviews --peft lora --epochs 2\n"
        "%lepton compile last --backend auto\n"
        "%lepton benchmark last\n"
        "answer = %lepton predict last 'The film never recovers from its first ten minutes.'",
        timeout=900,
    )
    assert kernel.run("print(answer[0]['label'])").strip() in ("negative", "positive")
    rows = json.loads(lepton("runs", "--json").stdout)[:3]
    assert [(row["kind"], row["status"]) for row in rows] == [
        ("benchmark", "succeeded"),
        ("compile", "succeeded"),
        ("train", "succeeded"),
    ]


def test_a_failed_run_fails_its_cell(kernels: list[Kernel], shared_lab: Path) -> None:
    kernel = Kernel()
    kernels.append(kernel)
    kernel.run("%load_ext lepton_lab")
    before = len(json.loads(lepton("runs", "--json").stdout))
    with pytest.raises(RuntimeError, match="has no column 'txt'"):
        kernel.run(f"%lepton {TRAIN} --text-column txt")
    assert len(json.loads(lepton("runs", "--json").stdout)) == before


@pytest.mark.slow
def test_the_shell_command_of_the_readme(shared_lab: Path) -> None:
    done = lepton(*TRAIN.split(), "--epochs", "1", "--wait", "--json", timeout=900)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["status"] == "succeeded"
    assert set(result) >= {"run", "status", "metrics", "model_dir", "seconds"}
    assert Path(result["model_dir"], "model.safetensors").is_file()
    metrics = result["metrics"]
    assert metrics["test_accuracy_low"] > metrics["majority"] + 0.10


def test_cancel_ends_with_130_and_queued_json(shared_lab: Path) -> None:
    done = lepton(*TRAIN.split(), "--max-steps", "500", "--logging-steps", "1", "--no-wait", "--json")
    answer = json.loads(done.stdout)
    assert answer["status"] == "queued"
    run = answer["run"]
    deadline = time.monotonic() + 120
    while not metric_steps(run):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    lepton("cancel", run)
    attached = lepton("attach", run, check=False)
    assert attached.returncode == 130
    assert json.loads(lepton("show", run, "--json").stdout)["status"] == "cancelled"
