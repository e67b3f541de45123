"""A machine that only watches: everything but the work itself runs where torch cannot be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder

BLOCK = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
absent = {"torch", "transformers", "peft", "accelerate", "onnxruntime", "openvino"}
PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name.partition(".")[0] in absent else found(name, path, target)
)
"""


@pytest.fixture
def watcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a process in which the heavy libraries are absent, and one finished run."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BLOCK)
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))
    folder = RunFolder.create(build_recipe("train", {"task": "text-classification", "model": "m", "dataset": "d"}))
    attempt = folder.take_lease(1)
    attempt.writer("supervisor").status(status="running")
    trainer = attempt.writer("trainer")
    for step in (1, 2, 3):
        trainer.metric(step, {"loss": 1 / step})
    folder.finish("succeeded", metrics={"test_accuracy": 0.9})
    return {**os.environ, "PYTHONPATH": str(tmp_path / "site")}


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[1],
    )


def test_the_block_works(watcher: dict[str, str]) -> None:
    assert "No module named 'torch'" in run(watcher, "-c", "import torch").stderr


@pytest.mark.parametrize(
    "words", ["runs", "show last", "events last", "attach last", "cluster status", "doctor", "samples", "train --help"]
)
def test_a_command_works_without_torch(watcher: dict[str, str], words: str) -> None:
    done = run(watcher, "-m", "lepton_lab", *words.split())
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_script_watches_without_torch(watcher: dict[str, str]) -> None:
    code = "import lepton_lab, json; run = lepton_lab.attach('last').wait(); print(json.dumps([run.status, run.metrics, len(run.figure('loss').data)]))"
    done = run(watcher, "-c", code)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["succeeded", {"test_accuracy": 0.9}, 1]
