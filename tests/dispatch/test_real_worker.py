"""The whole way with the real worker: cold, then with a warm spare."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lepton_lab import samples
from lepton_lab.dispatch import cluster_status, collect_environment, hand_over, request_cancel
from lepton_lab.record import RunFolder, view_of


def first_step_seconds(folder: RunFolder, since: float) -> float:
    return next(event.time for event in folder.events() if event.kind == "metric") - since


@pytest.mark.slow
def test_training_goes_cold_and_warm_and_can_be_cancelled(spare_lab: Any, wait_until: Any) -> None:
    for name in ("minilm", "movie-sentiment"):
        samples.install(name)

    def start(**options: Any) -> tuple[RunFolder, float]:
        folder = spare_lab.write("real", max_steps=3, logging_steps=1, **options)
        since = time.time()
        hand_over(folder, folder.recipe(), collect_environment(), [])
        return folder, since

    cold, since = start()
    assert wait_until(cold.final, 120)["status"] == "succeeded", view_of(cold).message
    cold_seconds = first_step_seconds(cold, since)
    wait_until(lambda: cluster_status()["spare"] == "ready", 60)
    warm, since = start()
    assert wait_until(warm.final, 120)["status"] == "succeeded"
    assert first_step_seconds(warm, since) < cold_seconds
    assert view_of(warm).step == 3
    long, _ = start(epochs=50)
    wait_until(long.attempts, 10)
    request_cancel(long)
    assert wait_until(long.final, 60)["status"] == "cancelled"
