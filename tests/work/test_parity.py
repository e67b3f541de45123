"""The parity gate: its promise in numbers, and failures that were planted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lepton_lab.registry import load_task
from lepton_lab.work.evaluation.paired import (
    FEWEST_ROWS,
    bootstrap_mean_bounds,
    bootstrap_metric_bounds,
    paired_share_bounds,
    rows_to_decide_share,
)
from lepton_lab.work.evaluation.parity import ParityGate
from lepton_lab.work.evaluation.scoring import Scored
from lepton_lab.work.tasks.task import ModelSpec

TEXT = load_task("text-classification")
TWO = ModelSpec("text-classification", "single_label", ["no", "yes"])


def scored(logits: np.ndarray, labels: np.ndarray) -> Scored:
    """What a text classifier with these logits is scored."""
    values = [row.astype(np.float64) for row in logits]
    answers = [int(each) for each in labels]
    return Scored(
        values,
        [row.argmax(0, keepdims=True) for row in values],
        [np.asarray([each]) for each in answers],
        answers,
        TEXT.metrics(values, answers, TWO),
        TEXT.row_scores(values, answers, TWO),
    )


def two_class(rows: int, wrong: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a good classifier and the right answers."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 4, (rows, 2))
    labels = logits.argmax(1)
    flipped = random.random(rows) < wrong
    return logits, np.where(flipped, 1 - labels, labels)


def passes(worse: Any, better: Any, rows: int, tolerance: float) -> Any:
    """Whether the gate passes, by worse × better; each pair is asked once."""
    return paired_share_bounds(int(worse), int(better), rows)[1] <= tolerance


@pytest.mark.parametrize("rows", [100, 200, 300, 635, 1000, 2000, 3000])
@pytest.mark.parametrize("tolerance", [0.005, 0.01, 0.03])
def test_a_model_at_the_tolerance_passes_at_most_once_in_twenty(rows: int, tolerance: float) -> None:
    """Summed over all outcomes, not sampled: worse and better rows are trinomial."""
    most = int(2 * rows * tolerance + 60)
    # For each number of better rows, the most worse ones that pass: found by bisection, as it rises.
    limits, worst = [], -1
    for better in range(most + 1):
        while worst + 1 <= most and worst + 1 + better <= rows and passes(worst + 1, better, rows, tolerance):
            worst += 1
        limits.append(worst)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, rows + 1)))])
    for expected_better in (0, 0.1, 0.5, 1, 2, 5, 12, 20):
        share = expected_better / rows
        if tolerance + 2 * share >= 1:
            continue
        logs = np.log([tolerance + share, share or 1.0, 1 - tolerance - 2 * share])
        total = 0.0
        for better, limit in enumerate(limits):
            if (share == 0 and better) or limit < 0 or better > rows:
                continue
            worse = np.arange(min(limit, rows - better) + 1)
            rest = rows - better - worse
            exponent = log_factorial[rows] - log_factorial[worse] - log_factorial[better] - log_factorial[rest]
            total += float(np.exp(exponent + worse * logs[0] + better * logs[1] + rest * logs[2]).sum())
        assert total <= 0.05, (expected_better, total)


def test_the_score_bound_has_width_where_nothing_differs() -> None:
    low, high = paired_share_bounds(0, 0, 20)
    assert high > 0.1
    assert low == pytest.approx(-high)
    assert paired_share_bounds(0, 0, 634)[1] > 0.005 >= paired_share_bounds(0, 0, 635)[1]
    assert paired_share_bounds(0, 0, 0) == (-1.0, 1.0)
    # Without the correction Tango's bound for 0 of n is z² / (n + z²), and ours lies a little above.
    z2 = 1.6448536269514722**2
    assert z2 / (500 + z2) < paired_share_bounds(0, 0, 500)[1] < 1.4 * z2 / (500 + z2)


def test_the_bounds_of_many_rows_are_those_of_the_normal_approximation() -> None:
    worse, better, rows = 400, 300, 10_000
    mean = (worse - better) / rows
    half = 1.6448536 * math.sqrt(((worse + better) / rows - mean**2) / rows)
    assert paired_share_bounds(worse, better, rows) == pytest.approx((mean - half, mean + half), abs=2e-4)


def test_the_rows_that_would_decide_do_decide() -> None:
    needed = rows_to_decide_share(0, 0, 100, 0.005)
    assert needed is not None
    assert paired_share_bounds(0, 0, needed)[1] <= 0.005 < paired_share_bounds(0, 0, needed - 1)[1]
    needed = rows_to_decide_share(2, 0, 900, 0.005)
    assert needed is not None
    assert 1800 < needed < 2000
    assert rows_to_decide_share(5, 0, 1000, 0.005) is None  # exactly at the tolerance


def test_bootstrap_bounds_cover_what_they_promise() -> None:
    random = np.random.default_rng(0)
    above = sum(
        bootstrap_mean_bounds(random.exponential(1.0, 80), resamples=400, seed=number)[1] < 1.0 for number in range(400)
    )
    assert above / 400 == pytest.approx(0.05, abs=0.035)
    values = random.normal(0, 1, 200)
    low, high = bootstrap_metric_bounds(lambda numbers: float(values[numbers].mean()), 200, resamples=2000)
    half = 1.645 * values.std() / math.sqrt(200)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


@pytest.mark.parametrize("rows", [FEWEST_ROWS, 8])
def test_bootstrap_bounds_of_few_rows_cover_too(rows: int) -> None:
    """Without Student's correction 10 % of these bounds are too low, not 5 %."""
    random = np.random.default_rng(1)
    too_low = {"mean": 0, "metric": 0}
    for number in range(400):
        drops = random.normal(0, 1, rows)
        too_low["mean"] += bootstrap_mean_bounds(drops, resamples=500, seed=number)[1] < 0
        found = bootstrap_metric_bounds(lambda chosen, drops=drops: float(drops[chosen].mean()), rows, seed=number)  # type: ignore[misc]
        too_low["metric"] += found[1] < 0
    assert max(too_low.values()) / 400 < 0.075, too_low


def test_a_handful_of_rows_proves_nothing_of_a_loss() -> None:
    task, spec = load_task("text-generation"), ModelSpec("text-generation")
    labels = [[-100, 3, 4]] * 4
    losses = [np.asarray([0.0, 1.0, 1.0])] * 4

    def of(values: list[np.ndarray]) -> Scored:
        nothing = [np.zeros(3, dtype=np.int64)] * len(values)
        return Scored(values, nothing, nothing, labels, task.metrics(values, labels, spec), None)

    gate = ParityGate(0.5)
    verdict = gate.judge(of(losses), of([row * 1.0001 for row in losses]), task, spec, "bf16")
    assert (verdict.verdict, verdict.bound_points) == ("undecided", None)
    assert "4 rows prove nothing" in verdict.reason
    assert gate.judge(of(losses), of(losses), task, spec, "fp32").verdict == "pass"


def test_the_same_model_in_fp32_is_lossless_on_any_number_of_rows() -> None:
    logits, labels = two_class(8)
    verdict = ParityGate(0.5).judge(scored(logits, labels), scored(logits + 1e-6, labels), TEXT, TWO, "fp32")
    assert (verdict.verdict, verdict.lossless, verdict.agreement) == ("pass", True, 1.0)


def test_identical_answers_on_few_rows_prove_nothing_for_another_format() -> None:
    logits, labels = two_class(50)
    verdict = ParityGate(0.5).judge(scored(logits, labels), scored(logits, labels), TEXT, TWO, "bf16")
    assert verdict.verdict == "undecided"
    assert verdict.difference_points == 0
    assert verdict.rows_needed is not None
    assert 600 < verdict.rows_needed < 700
    assert "50 rows" in verdict.reason
    logits, labels = two_class(700)
    assert ParityGate(0.5).judge(scored(logits, labels), scored(logits, labels), TEXT, TWO, "bf16").verdict == "pass"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "failure", ["swapped labels", "dropped adapter", "constant", "not a number", "transposed rows"]
)
def test_planted_failures_fail(failure: str, precision: str) -> None:
    logits, labels = two_class(400)
    random = np.random.default_rng(1)
    broken = {
        "swapped labels": logits[:, ::-1],
        # What an adapter taught is gone: much of the margin, with the rest as it was.
        "dropped adapter": logits
        - 0.9 * np.where(labels[:, None] == np.arange(2), 5.0, 0.0)
        + random.normal(0, 1, logits.shape),
        "constant": np.zeros_like(logits),
        "not a number": np.full_like(logits, np.nan),
        "transposed rows": np.roll(logits, 1, axis=0),
    }[failure]
    verdict = ParityGate(0.5).judge(scored(logits, labels), scored(broken, labels), TEXT, TWO, precision)
    assert verdict.verdict == "fail", verdict
    assert not verdict.lossless


def test_a_few_lost_rows_are_a_matter_of_their_number() -> None:
    logits, labels = two_class(2000, wrong=0.0)
    worse = logits.copy()
    worse[:4] = worse[:4, ::-1]
    gate = ParityGate(0.5)
    assert gate.judge(scored(logits, labels), scored(worse, labels), TEXT, TWO, "bf16").verdict == "pass"
    worse[:8] = logits[:8, ::-1]
    assert gate.judge(scored(logits, labels), scored(worse, labels), TEXT, TWO, "bf16").verdict == "undecided"
    worse[:30] = logits[:30, ::-1]
    assert gate.judge(scored(logits, labels), scored(worse, labels), TEXT, TWO, "bf16").verdict == "fail"
    assert ParityGate(3.0).judge(scored(logits, labels), scored(worse, labels), TEXT, TWO, "bf16").verdict == "pass"


def words(rows: int, changed: int, seed: int = 0) -> tuple[Scored, Scored, Any, ModelSpec]:
    """A tagger of 6 words a row and a candidate that tags ``changed`` words otherwise."""
    task, spec = load_task("token-classification"), ModelSpec("token-classification", None, ["A", "B", "C"])
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (rows, 8, 3))
    labels = np.where(random.random((rows, 8)) < 0.05, 0, logits.argmax(-1))
    labels[:, [0, -1]] = -100
    other = logits.copy()
    for number in range(changed):
        other[number, 1 + number % 6] = np.roll(other[number, 1 + number % 6], 1)

    def of(values: np.ndarray) -> Scored:
        kept = [np.flatnonzero(row != -100) for row in labels]
        return Scored(
            list(values),
            [row[places].argmax(-1) for row, places in zip(values, kept, strict=True)],
            [row[places] for row, places in zip(labels, kept, strict=True)],
            list(labels),
            task.metrics(list(values), list(labels), spec),
            task.row_scores(list(values), list(labels), spec),
        )

    return of(logits), of(other), task, spec


def test_a_metric_of_entities_is_judged_too() -> None:
    gate = ParityGate(0.5)
    first, second, task, spec = words(60, 0)
    verdict = gate.judge(first, second, task, spec, "bf16")
    assert verdict.verdict == "undecided"  # 360 words, none of them changed
    first, second, task, spec = words(150, 0)
    assert gate.judge(first, second, task, spec, "bf16").verdict == "pass"
    first, second, task, spec = words(150, 100)
    verdict = gate.judge(first, second, task, spec, "bf16")
    assert verdict.verdict == "fail"
    assert verdict.metric == "f1"
    assert verdict.agreement == pytest.approx(1 - 100 / 900)


def test_a_loss_that_rises_is_worse() -> None:
    task, spec = load_task("text-generation"), ModelSpec("text-generation", options={"completion_only_loss": True})
    random = np.random.default_rng(0)
    labels = [[-100, -100, *random.integers(0, 9, 6).tolist()] for _ in range(80)]
    losses = [np.concatenate([[0, 0], random.exponential(1.0, 6)]) for _ in labels]

    def of(values: list[np.ndarray]) -> Scored:
        nothing = [np.zeros(6, dtype=np.int64)] * len(values)
        return Scored(values, nothing, nothing, labels, task.metrics(values, labels, spec), None)

    gate = ParityGate(0.5)
    assert gate.judge(of(losses), of([row * 1.1 for row in losses]), task, spec, "bf16").verdict == "fail"
    assert (
        gate.judge(of(losses), of([row + random.normal(0, 1e-3, 8) for row in losses]), task, spec, "bf16").verdict
        == "pass"
    )
    verdict = gate.judge(of(losses), of([row.copy() for row in losses]), task, spec, "bf16")
    assert (verdict.verdict, verdict.rows_needed) == ("undecided", None)


def test_other_rows_are_no_comparison() -> None:
    logits, labels = two_class(10)
    with pytest.raises(ValueError, match="same rows"):
        ParityGate(0.5).judge(scored(logits, labels), scored(logits[:9], labels[:9]), TEXT, TWO, "fp32")
