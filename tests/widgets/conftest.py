"""Runs of every kind, written with the real writers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "lepton"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))
    for name in ("LEPTON_HOST", "LEPTON_NONINTERACTIVE", "JPY_SESSION_NAME", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "lepton"


@pytest.fixture
def new_run() -> Callable[..., RunFolder]:
    def make(**options: object) -> RunFolder:
        base = {"task": "text-classification", "model": "m", "dataset": "d"}
        return RunFolder.create(build_recipe("train", {**base, **options}))

    return make


@pytest.fixture
def trained(new_run: Callable[..., RunFolder]) -> RunFolder:
    """A training run that has succeeded."""
    folder = new_run(name="reviews")
    attempt = folder.take_lease(1)
    supervisor, trainer = attempt.writer("supervisor"), attempt.writer("trainer")
    supervisor.status(status="running")
    trainer.status(stage="train", max_steps=300, epochs=2)
    warning = {"what": "the texts are long", "got": "900 tokens", "do": "Raise --max-length.", "where": ""}
    rows = {"train": 4000, "validation": 1000}
    trainer.report("preflight", {"rows": rows, "label_counts": {"train": {"pos": 1}}, "warnings": [warning]})
    for step in range(1, 301):
        trainer.metric(step, {"loss": 2 / step, "learning_rate": 1e-5, "samples_per_second": 50.0}, epoch=step / 150)
        if step % 100 == 0:
            trainer.metric(step, {"eval_loss": 3 / step, "eval_accuracy": 0.5 + step / 1000})
    trainer.report("metrics", {"test_accuracy": 0.8125, "test_loss": 0.4, "majority": 0.52})
    folder.finish("succeeded", attempt=1)
    return folder


@pytest.fixture
def compiled(new_run: Callable[..., RunFolder]) -> RunFolder:
    """A run with the reports of a compilation and of a benchmark."""
    folder = new_run()
    trainer = folder.take_lease(1).writer("trainer")
    candidates = [
        {"backend": "openvino", "precision": "bf16", "latency_ms": 12.5, "verdict": "pass", "difference_points": -0.1},
        {"backend": "onnxruntime", "precision": "int8", "latency_ms": 10.5, "verdict": "fail", "difference_points": -3},
        {"backend": "inductor", "precision": "fp32", "error": "no compiler"},
    ]
    pick = {"backend": "openvino", "precision": "bf16", "latency_ms": 12.5}
    test = {"verdict": "pass", "difference_points": 0.0, "rows": 2000}
    trainer.report("compile", {"candidates": candidates, "pick": pick, "baseline_ms": 40.0, "test": test})
    for step in range(1, 101):
        trainer.metric(step, {"latency_ms.compiled.b1.l32": 3 + (step % 10) / 10, "latency_ms.original.b1.l32": 9.0})
    trainer.report("benchmark", {"results": [{"batch_size": 1, "length": 32, "p50_ms": 3.4, "p99_ms": 3.9}]})
    folder.finish("succeeded", attempt=1)
    return folder
