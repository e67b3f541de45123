"""The parity gate: does a candidate answer as well as its reference, and do the rows suffice to say so?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..tasks.task import ModelSpec, Task
from .paired import (
    FEWEST_ROWS,
    bootstrap_mean_bounds,
    bootstrap_metric_bounds,
    paired_share_bounds,
    rows_to_decide_share,
)
from .scoring import Scored, agreement, largest_difference, largest_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOSSLESS_DIFFERENCE = 1e-3
"""The largest difference of logits, as a share of the largest logit (at least 1), that fp32 in another order
of operations may make: a hundred times what the runtimes here show on a 6-layer encoder (under 1e-5)."""

_TOO_FEW = "too few rows"

POINTS = 100.0
"""A point is a hundredth of the metric: one per cent of accuracy or F1, 0.01 of R², 0.01 nats of loss."""


@dataclass(frozen=True)
class Verdict:
    """The gate's answer. Points are of the task's main metric; positive means that the candidate is worse.

    ``bound_points`` is the one-sided 95 % upper bound of the drop, ``lower_points`` the lower one; None where the
    rows prove nothing.
    ``rows_needed`` says how many rows would decide, if they differed as often; None if decided or unknown.
    """

    verdict: Literal["pass", "fail", "undecided"]
    metric: str
    reference: float
    candidate: float
    rows: int
    difference_points: float
    lower_points: float | None
    bound_points: float | None
    tolerance_points: float
    lossless: bool
    method: str
    reason: str
    agreement: float | None
    max_logit_difference: float
    rows_needed: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class ParityGate:
    """Compares a candidate with its reference on the same rows.

    ``pass`` when the one-sided bound of the paired drop is within ``tolerance`` points, or when the
    candidate calculates in fp32 too and no logit differs by more than rounding does; ``fail`` when the
    drop is over it with the same confidence; else ``undecided``.
    """

    tolerance: float
    confidence: float = 0.95
    seed: int = 0

    def judge(self, reference: Scored, candidate: Scored, task: Task, spec: ModelSpec, precision: str) -> Verdict:
        """The verdict on ``candidate``, which calculates in ``precision``. Both hold the same rows in order."""
        if reference.rows != candidate.rows or reference.rows == 0:
            raise ValueError(f"parity needs the same rows, got {reference.rows} and {candidate.rows}")
        metric, greater = task.metric_of(spec)
        sign = 1.0 if greater else -1.0
        drop = sign * (reference.metrics[metric] - candidate.metrics[metric])
        difference = largest_difference(reference, candidate)
        lossless = precision == "fp32" and difference <= LOSSLESS_DIFFERENCE * max(1.0, largest_value(reference))
        if not math.isfinite(drop) or not math.isfinite(difference):
            # A NaN compares as false with every bound: it must not slip through.
            drop, lower, upper, method, needed = 1.0, 1.0, 1.0, "not finite", None
            lossless = False
        else:
            lower, upper, method, needed = self._bounds(reference, candidate, task, spec, drop)
        limit = self.tolerance / POINTS
        if lossless and drop <= limit:
            verdict, needed = "pass", None
            reason = f"fp32 like the reference, logits differ by at most {difference:.1g}"
        elif upper <= limit:
            verdict, needed = "pass", None
            reason = f"at most {upper * POINTS:.2g} points worse on {reference.rows} rows (95 %)"
        elif lower > limit:
            verdict, needed = "fail", None
            reason = f"at least {max(lower, 0.0) * POINTS:.2g} points worse on {reference.rows} rows (95 %)"
            if method == "not finite":
                reason = "its answers are not finite numbers"
        else:
            verdict = "undecided"
            shown = (
                f"up to {upper * POINTS:.2g} points worse" if math.isfinite(upper) else "no difference, and no bound"
            )
            reason = f"{shown} on {reference.rows} rows (95 %); "
            reason += f"about {needed:,} rows would decide" if needed else "no sensible number of rows would decide"
            if method == _TOO_FEW:
                reason = f"{reference.rows} rows prove nothing; give {FEWEST_ROWS} at the very least"
        return Verdict(
            verdict=verdict,  # type: ignore[arg-type]
            metric=metric,
            reference=reference.metrics[metric],
            candidate=candidate.metrics[metric],
            rows=reference.rows,
            difference_points=drop * POINTS,
            lower_points=_points(lower),
            bound_points=_points(upper),
            tolerance_points=self.tolerance,
            lossless=lossless,
            method=method,
            reason=reason,
            agreement=agreement(reference, candidate),
            max_logit_difference=difference,
            rows_needed=needed,
        )

    def _bounds(
        self, reference: Scored, candidate: Scored, task: Task, spec: ModelSpec, drop: float
    ) -> tuple[float, float, str, int | None]:
        """(lower, upper, method, rows that would decide)."""
        import numpy as np

        metric, greater = task.metric_of(spec)
        sign = 1.0 if greater else -1.0
        first, second = reference.row_scores, candidate.row_scores
        if first is not None and second is not None and set(np.unique(first)) | set(np.unique(second)) <= {0.0, 1.0}:
            return self._share_bounds(first, second, 1.0)
        if reference.rows < FEWEST_ROWS:
            return -math.inf, math.inf, _TOO_FEW, None
        if first is not None and second is not None:
            lower, upper = bootstrap_mean_bounds(sign * (first - second), self.confidence, seed=self.seed)
            method = "BCa bootstrap of row scores"
        else:
            if self._is_same(reference, candidate):
                lower = upper = drop  # every resample would give the same
            else:
                lower, upper = bootstrap_metric_bounds(
                    self._resampled_drop(reference, candidate, task, spec, metric, sign),
                    reference.rows,
                    self.confidence,
                    seed=self.seed,
                )
            method = f"bootstrap of {metric} over rows"
        needed = self._rows_by_width(reference.rows, drop, lower, upper)
        if greater and any(len(each) for each in reference.decisions):
            # A bootstrap is blind to what did not happen in these rows; single decisions are not.
            right = [
                np.concatenate([a == b for a, b in zip(each.decisions, each.truth, strict=True)]).astype(float)
                for each in (reference, candidate)
            ]
            scale = reference.rows / len(right[0])
            _, floor, _, floor_needed = self._share_bounds(right[0], right[1], scale)
            if floor > upper:
                upper, needed, method = floor, floor_needed, method + ", and paired score bound of single decisions"
        elif lower == upper:
            # Nothing differed and nothing can be counted: these rows prove nothing.
            return -math.inf, math.inf, method, None
        return lower, upper, method, needed

    def _share_bounds(
        self, first: NDArray[np.float64], second: NDArray[np.float64], rows_a_decision: float
    ) -> tuple[float, float, str, int | None]:
        worse, better = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
        lower, upper = paired_share_bounds(worse, better, len(first), self.confidence)
        needed = None
        limit = self.tolerance / POINTS
        if not (upper <= limit or lower > limit):
            count = rows_to_decide_share(worse, better, len(first), limit, self.confidence)
            needed = None if count is None else math.ceil(count * rows_a_decision)
        return lower, upper, "paired score bound (Tango 1998)", needed

    def _rows_by_width(self, rows: int, drop: float, lower: float, upper: float) -> int | None:
        """The width of a bound shrinks with the square root of the rows."""
        limit = self.tolerance / POINTS
        width, room = (upper - drop, limit - drop) if drop < limit else (drop - lower, drop - limit)
        if width <= 0 or room <= 0:
            return None
        return math.ceil(rows * (width / room) ** 2)

    @staticmethod
    def _is_same(reference: Scored, candidate: Scored) -> bool:
        import numpy as np

        pairs = zip(reference.values, candidate.values, strict=True)
        if all(np.array_equal(first, second) for first, second in pairs):
            return True
        # A metric of decisions alone cannot tell models apart that decide alike.
        decisions = zip(reference.decisions, candidate.decisions, strict=True)
        return any(len(each) for each in reference.decisions) and (
            reference.metrics == candidate.metrics and all(np.array_equal(*pair) for pair in decisions)
        )

    @staticmethod
    def _resampled_drop(
        reference: Scored, candidate: Scored, task: Task, spec: ModelSpec, metric: str, sign: float
    ) -> Any:
        def drop(numbers: NDArray[np.int64]) -> float:
            labels = [reference.labels[number] for number in numbers]
            first, second = (
                task.metrics([each.values[number] for number in numbers], labels, spec)[metric]
                for each in (reference, candidate)
            )
            return sign * (first - second)

        return drop


def _points(share: float) -> float | None:
    return share * POINTS if math.isfinite(share) else None
