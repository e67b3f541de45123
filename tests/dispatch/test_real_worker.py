"""The whole way with the real worker: cold, then with a warm spare, then cancelled."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from lepton_lab import samples
from lepton_lab.dispatch import cluster_status, collect_environment, hand_over, request_cancel
from lepton_lab.recipe import build_recipe
from lepton_lab.recipe.defaults import resolve_defaults
from lepton_lab.record import RunFolder, view_of


def first_step_seconds(folder: RunFolder, since: float) -> float:
    return next(event.time for event in folder.events() if event.kind == "metric") - since


def start(dataset: Path, **options: Any) -> tuple[RunFolder, float]:
    plan = {"task": "text-classification", "model": "sample:minilm", "dataset": str(dataset), "logging_steps": 1}
    recipe = resolve_defaults(build_recipe("train", {**plan, "batch_size": 4, **options}))
    folder = RunFolder.create(recipe)
    since = time.time()
    hand_over(folder, recipe, collect_environment(), [])
    return folder, since


@pytest.mark.slow
def test_training_starts_cold_and_warm_and_stops_when_cancelled(spare_lab: Any, wait_until: Any) -> None:
    samples.install("minilm")
    rows = [f"a {word} film number {number},{word}" for number in range(30) for word in ("fine", "dull")]
    reviews = spare_lab.folder / "reviews.csv"
    reviews.write_text("\n".join(["text,label", *rows]))
    cold, since = start(reviews, max_steps=3)
    assert wait_until(cold.final, 200)["status"] == "succeeded", view_of(cold).message
    cold_seconds = first_step_seconds(cold, since)
    wait_until(lambda: cluster_status()["spare"] == "ready", 100)
    warm, since = start(reviews, max_steps=3)
    assert wait_until(warm.final, 200)["status"] == "succeeded"
    assert first_step_seconds(warm, since) < cold_seconds
    assert view_of(warm).step == 3
    endless, _ = start(reviews, epochs=500)
    wait_until(endless.attempts)
    request_cancel(endless)
    assert wait_until(endless.final, 60)["status"] == "cancelled"
