"""What a training will take: numbers that can be counted by hand."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.recipe import build_recipe
from lepton_lab.work.estimate import Rows, estimate, measure_flops

ROWS = Rows(train=1000, scored=200, usual_tokens=20, long_tokens=60)
SHAPES = {"embeddings.weight": [1000, 64], "layer.0.query.weight": [64, 64], "layer.0.query.bias": [64]}
WEIGHTS = 1000 * 64 + 64 * 64 + 64


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the header of a model; nobody reads its numbers."""
    header = json.dumps(
        {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in SHAPES.items()}
    )
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header.encode())
    sizes = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 1000}
    (tmp_path / "config.json").write_text(json.dumps({**sizes, "max_position_embeddings": 128}))
    return tmp_path


def of(model: Path, rows: Rows = ROWS, speed: float | None = None, flops: float | None = None, **options: Any) -> Any:
    base = {"task": "text-classification", "model": "m", "dataset": "d", "batch_size": 8}
    return estimate(build_recipe("train", {**base, **options}), model, rows, speed, flops)


def test_memory_is_counted_by_what_needs_it(model: Path) -> None:
    full = of(model).memory
    assert (full["weights"], full["gradients"], full["optimiser"]) == (4 * WEIGHTS, 4 * WEIGHTS, 8 * WEIGHTS)
    assert of(model, optim="sgd").memory["optimiser"] == 0
    lora = of(model, peft="lora", lora_r=4).memory
    assert lora["gradients"] == 4 * 4 * (64 + 64)
    assert of(model, batch_size=16).memory["one batch"] == 2 * full["one batch"]
    assert of(model, gradient_checkpointing=True).memory["one batch"] < full["one batch"] / 10
    assert of(model, max_length=30).memory["one batch"] < full["one batch"] / 2
    assert of(model, task="text-generation").memory["one batch"] > full["one batch"]


def test_time_follows_the_rows_and_the_speed(model: Path) -> None:
    low, high = of(model, speed=100.0, epochs=3).seconds
    assert low < 3000 / 100 * 1.2 < high
    assert of(model, speed=100.0, max_steps=10).seconds[1] < high / 30
    once, fast = of(model, flops=1e9).seconds, of(model, flops=2e9).seconds
    assert fast[0] == pytest.approx(once[0] / 2)
    assert once[1] == pytest.approx(9 * once[0]), "a factor of three to either side"
    assert of(model).seconds is None
    assert measure_flops(0.01) > 1e7
