"""Latency: fair turns, percentiles, intervals."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lepton_lab.work.evaluation.latency import histogram, interleave, ratio_of_medians, summarise, timed


def test_turns_are_interleaved_and_reported() -> None:
    told: list[str] = []
    found = interleave(
        {name: (lambda: 1.0) for name in "abc"}, 20, on_request=lambda name, _: told.append(name), seed=1
    )
    assert {name: len(values) for name, values in found.items()} == {"a": 20, "b": 20, "c": 20}
    rounds = [told[start : start + 3] for start in range(0, 60, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 2


def test_a_clock_times_one_request_after_others() -> None:
    calls: list[float] = []

    def request() -> None:
        calls.append(0)
        time.sleep(0.01)

    assert 10 <= timed(request, settle=2)() < 30
    assert len(calls) == 3


def test_it_stops_when_asked_or_late() -> None:
    assert len(interleave({"a": lambda: 1.0}, 50, should_stop=lambda: True)["a"]) == 0
    assert len(interleave({"a": lambda: 1.0}, 50, seconds=0)["a"]) == 5


def test_percentiles_lie_in_their_intervals() -> None:
    values = np.random.default_rng(0).lognormal(1, 0.3, 400)
    timing = summarise(list(values))
    for name in ("p50", "p95", "p99"):
        low, middle, high = (getattr(timing, f"{name}{part}_ms") for part in ("_low", "", "_high"))
        assert low <= middle <= high
        assert low < high
    assert timing.p50_ms == pytest.approx(np.median(values))


def test_disturbance_of_both_cancels_in_the_ratio() -> None:
    random = np.random.default_rng(0)
    trouble = 1 + random.exponential(1.0, 60)
    ratio, low, high = ratio_of_medians(list(20 * trouble), list(10 * trouble))
    assert ratio == pytest.approx(2.0)
    assert low == pytest.approx(2.0)
    assert high == pytest.approx(2.0)


def test_a_histogram_holds_every_request() -> None:
    found = histogram([1.0] * 10 + [2.0] * 5 + [500.0])
    assert sum(found["counts"]) == 16
    assert len(found["edges"]) == len(found["counts"]) + 1
