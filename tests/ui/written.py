"""Runs whose events a test writes, through the same record that supervisors and workers write."""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from lepton_lab.recipe import recipe_from_yaml
from lepton_lab.record import EventWriter, RunFolder

PREFLIGHT = {
    "rows": {"train": 4000, "validation": 1000, "test": 2000},
    "mapping": {"text": "review", "label": "sentiment"},
    "label_counts": {
        "train": {"negative": 1941, "positive": 2059},
        "validation": {"negative": 485, "positive": 515},
        "test": {"negative": 971, "positive": 1029},
    },
    "duplicate_rows": {"train": 12, "validation": 0, "test": 1},
    "shared_rows": {"train/validation": 0, "train/test": 3},
    "source": {"uri": "sample:movie-sentiment"},
    "licence": "MIT",
    "tokens": {"max_length": 128, "quantiles": {"p50": 23, "p95": 47, "max": 112}, "truncated_rows": 0},
    "example": {"text": "the film never recovers from its first ten minutes .", "label": "negative"},
    "warnings": [
        {
            "what": "3 rows of the test data are also in the train data",
            "got": "",
            "do": "Remove them from the train data; scores on test rows that were learnt are too good.",
        }
    ],
}


def candidate(backend: str, precision: str, *numbers: float, verdict: str = "pass", reason: str = "") -> dict[str, Any]:
    """A row of the report of a compilation."""
    names = ("latency_ms", "speedup", "metric", "difference_points", "bound_points", "agreement")
    names += ("max_logit_difference", "size_mb")
    found = dict(zip(names, numbers, strict=True)) if numbers else dict.fromkeys(names)
    status = "ok" if numbers else "missing"
    return {
        "backend": backend,
        "precision": precision,
        "status": status,
        "verdict": verdict if numbers else None,
        "reason": reason,
        **found,
    }


COMPILED = {
    "candidates": [
        candidate("eager", "fp32", 73.4, 1.0, 0.8365, 0.0, 0.0, 1.0, 0.0, 87),
        candidate("eager", "bf16", 38.1, 1.93, 0.836, 0.05, 0.31, 0.9985, 0.031, 87),
        candidate("onnxruntime", "fp32", 66.8, 1.1, 0.8365, 0.0, 0.0, 1.0, 2e-6, 87),
        candidate(
            *("onnxruntime", "int8", 31.0, 2.37, 0.8105, 2.6, 3.31, 0.951, 1.21, 23),
            verdict="fail",
            reason="2.6 points under the trained model, 0.5 allowed",
        ),
        candidate("openvino", "bf16", 30.1, 2.44, 0.836, 0.05, 0.31, 0.998, 0.029, 87),
        candidate("tensorrt_rtx", "fp16", reason='needs tensorrt_rtx; run: pip install "lepton-lab[tensorrt-rtx]"'),
    ],
    "pick": {"backend": "openvino", "precision": "bf16", "speedup": 2.44, "latency_ms": 30.1, "verdict": "pass"},
    "test": {
        "verdict": "pass",
        "metric": "accuracy",
        "candidate": 0.8355,
        "reason": "at most 0.33 points worse with 95 % confidence, 0.5 allowed",
    },
    "main_metric": "accuracy",
    "tolerance_points": 0.5,
    "test_rows": 2000,
    "warnings": [],
}
COMPILED_METRICS = {
    "backend": "openvino",
    "precision": "bf16",
    "speedup": 2.44,
    "latency_ms": 30.1,
    "test_verdict": "pass",
    "test_accuracy": 0.8355,
    "test_agreement": 0.998,
}


class WrittenRun:
    """A run of the given kind that does what it is told."""

    def __init__(self, kind: str = "train", name: str | None = None, max_steps: int = 500) -> None:
        lines = [f"kind: {kind}"]
        if kind in ("train", "sweep"):
            lines += ["task: text-classification", "model: sample:minilm", "data: {dataset: sample:movie-sentiment}"]
        else:
            lines += [f"parent: {PARENT}"]
        if kind == "sweep":
            lines += ["sweep: {search: ['lr=1e-5..1e-2:log', 'lora_r=4,8,16'], metric: accuracy, direction: maximize}"]
        if name:
            lines += [f"name: {name}"]
        self.folder = RunFolder.create(recipe_from_yaml("\n".join(lines)))
        self.attempt = self.folder.take_lease(1)
        self.supervisor: EventWriter = self.attempt.writer("supervisor")
        self.trainer: EventWriter = self.attempt.writer("trainer")
        self.max_steps = max_steps
        self.step = 0
        self._random = random.Random(7)
        self.attempt.beat()
        self.supervisor.status(status="running")
        self.trainer.status(stage=kind, max_steps=max_steps, epochs=2)

    @property
    def run(self) -> str:
        """Its id."""
        return self.folder.run

    def preflight(self) -> None:
        """What a worker finds in the data."""
        self.trainer.report("preflight", PREFLIGHT)
        self.trainer.log("Read sample:movie-sentiment: 4,000 train, 1,000 validation, 2,000 test rows")
        self.trainer.log("3 rows are in both train and test", level="warning")
        self.trainer.log("Training in bf16 on CPU: the processor has AVX-512 bf16", level="info")

    def train(self, steps: int = 1) -> None:
        """That many steps further, evaluated at every hundredth."""
        for _ in range(steps):
            self.step += 1
            done = self.step / self.max_steps
            noise = self._random.gauss(0, 1)
            values = {
                "loss": 0.32 + 0.4 * math.exp(-4 * done) + 0.022 * noise,
                "learning_rate": 2e-4 * min(1, done / 0.1) * (1 - 0.95 * max(0, done - 0.1)),
                "tokens_per_second": 1450 + 60 * self._random.gauss(0, 1),
                "samples_per_second": 56 + 2 * self._random.gauss(0, 1),
                "memory_mb": 1180 + 90 * (1 - math.exp(-9 * done)),
            }
            if self.step % 50 == 0:
                values |= {
                    "eval_loss": 0.4 + 0.28 * math.exp(-5 * done) + 0.006 * noise,
                    "eval_accuracy": 0.84 - 0.3 * math.exp(-5 * done) + 0.006 * noise,
                    "eval_f1": 0.832 - 0.31 * math.exp(-5 * done) + 0.006 * noise,
                }
            self.trainer.metric(self.step, values, epoch=round(2 * done, 3))
        self.attempt.beat()

    def end(self, status: str = "succeeded", **body: Any) -> None:
        """Its last status."""
        if status == "succeeded" and self.step:
            metrics = {"test_accuracy": 0.8365, "test_f1": 0.8341, "majority": 0.5145, "test_rows": 2000}
            self.trainer.report("metrics", metrics)
            self.trainer.log("Saved model/ (safetensors, 90 MB)")
            body = {"metrics": metrics, **body}
        self.supervisor.status(status=status, **body)
        self.folder.finish(status, **body)


PARENT = "abcd2345"

TRIALS: tuple[tuple[str, float | None, float, int], ...] = (
    ("complete", 0.7421, 3.1e-4, 8),
    ("complete", 0.8365, 1.2e-4, 16),
    ("pruned", 0.5310, 7.9e-3, 4),
    ("failed", None, 9.6e-3, 16),
    ("complete", 0.8210, 6.4e-5, 8),
    ("running", 0.7893, 1.5e-4, 16),
    ("queued", None, 9.1e-5, 8),
)
"""State, value, learning rate and rank of the trials of a sweep."""

_MESSAGES = {
    "pruned": "pruned after evaluation 1: accuracy 0.531",
    "failed": "run tr4tr4tr failed: the loss is not a number any more. Set a smaller --lr.",
}


def search(written: WrittenRun, trials: int) -> None:
    """The report and the events of a sweep that has begun so many of :data:`TRIALS`."""
    rows: list[dict[str, Any]] = []
    best: dict[str, Any] | None = None
    for number, (state, value, rate, rank) in enumerate(TRIALS[:trials], 1):
        row = {"trial": number, "run": f"tr{number}" * 2 + "ab", "state": state, "value": value, "evaluations": 2}
        row |= {"parameters": {"learning_rate": rate, "lora_r": rank}}
        rows.append(row | ({"message": _MESSAGES[state]} if state in _MESSAGES else {}))
        if state == "complete" and (best is None or float(value or 0) > best["value"]):
            best = row
        if state not in ("running", "queued") and number > written.step:
            written.step = number
            known = {"value": value, "best_value": best["value"] if best else None}
            written.trainer.metric(number, {name: each for name, each in known.items() if each is not None})
    report = {"metric": "accuracy", "direction": "maximize", "total": 12, "trials": rows, "best": best}
    written.trainer.report("sweep", report | {"importance": {"learning_rate": 0.81, "lora_r": 0.19}})
    written.attempt.beat()


def measure(written: WrittenRun, requests: int = 400) -> None:
    """Latencies of a benchmark, one event a request."""
    chance = random.Random(3)
    for step in range(1, requests + 1):
        values = {}
        for who, middle in (("eager", 21.0), ("compiled", 11.5)):
            for length, factor in ((32, 1.0), (128, 2.7)):
                latency = middle * factor * (1 + abs(chance.gauss(0, 0.06)) + (0.5 if chance.random() < 0.02 else 0))
                values[f"latency_ms.{who}.b1.l{length}"] = latency
        written.trainer.metric(step, values)
    written.attempt.beat()


@contextlib.contextmanager
def going_on(act: Callable[[], None], every_seconds: float = 0.05) -> Iterator[None]:
    """Do something again and again, on a thread, while the block runs."""
    is_over = threading.Event()

    def loop() -> None:
        while not is_over.is_set():
            act()
            time.sleep(every_seconds)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
