"""How long a request takes: interleaved measurement, percentiles with intervals."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PERCENTILES = (50, 95, 99)
_RESAMPLES = 1000
_LEVEL = 0.95

Request = Callable[[], object]
"""Answers one request when called."""

Clock = Callable[[], float]
"""Answers one request when called, and says how many milliseconds it took."""


def timed(request: Request, settle: int = 1) -> Clock:
    """A clock around ``request``, which answers ``settle`` times untimed before each timed one.

    That brings its weights back into the caches and lets the threads of whoever was before go to sleep,
    as when it is alone.
    """

    def clock() -> float:
        for _ in range(settle):
            request()
        started = time.perf_counter_ns()
        request()
        return (time.perf_counter_ns() - started) / 1e6

    return clock


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one contestant's requests; intervals are 95 % by the percentile bootstrap over requests."""

    requests: int
    mean_ms: float
    p50_ms: float
    p50_low_ms: float
    p50_high_ms: float
    p95_ms: float
    p95_low_ms: float
    p95_high_ms: float
    p99_ms: float
    p99_low_ms: float
    p99_high_ms: float

    def to_dict(self) -> dict[str, float]:
        """The fields as a JSON object."""
        return asdict(self)


def interleave(
    contestants: Mapping[str, Clock],
    rounds: int,
    *,
    warmup: int = 0,
    seconds: float = float("inf"),
    seed: int = 0,
    on_request: Callable[[str, float], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, list[float]]:
    """Milliseconds of each contestant's requests, one a round, in a new order each round.

    What disturbs the machine for a while then disturbs all alike. Stops early after ``seconds``, but not
    before 5 rounds.
    """
    for clock in contestants.values():
        for _ in range(warmup):
            clock()
    found: dict[str, list[float]] = {name: [] for name in contestants}
    order, shuffle = list(contestants), random.Random(seed)  # noqa: S311 - an order, not a secret
    deadline = time.perf_counter() + seconds
    for number in range(rounds):
        if should_stop() or (number >= 5 and time.perf_counter() > deadline):
            break
        shuffle.shuffle(order)
        for name in order:
            found[name].append(contestants[name]())
            if on_request is not None:
                on_request(name, found[name][-1])
    return found


def summarise(samples: Sequence[float], seed: int = 0) -> Timing:
    """Percentiles of ``samples`` (milliseconds, at least one) with their intervals."""
    import numpy as np

    values = np.asarray(samples, dtype=np.float64)
    resampled = _resample(values, seed)
    fields: dict[str, float] = {}
    for each in PERCENTILES:
        low, high = np.quantile(np.percentile(resampled, each, axis=1), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        fields |= {
            f"p{each}_ms": float(np.percentile(values, each)),
            f"p{each}_low_ms": float(low),
            f"p{each}_high_ms": float(high),
        }
    return Timing(requests=len(values), mean_ms=float(values.mean()), **fields)


def ratio_of_medians(slow: Sequence[float], fast: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """(how many times faster, 95 % lower, upper), of requests that were timed in the same rounds.

    Rounds are resampled whole, so that what disturbed both cancels.
    """
    import numpy as np

    count = min(len(slow), len(fast))
    first, second = (np.asarray(each[:count], dtype=np.float64) for each in (slow, fast))
    numbers = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
    ratios = np.median(first[numbers], axis=1) / np.median(second[numbers], axis=1)
    low, high = np.quantile(ratios, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(np.median(first) / np.median(second)), float(low), float(high)


def histogram(samples: Sequence[float], bins: int = 30) -> dict[str, list[float]]:
    """``edges`` (milliseconds, one more than ``counts``) and ``counts``; the slowest 0.5 % lie in the last bin."""
    import numpy as np

    values = np.asarray(samples, dtype=np.float64)
    top = float(np.percentile(values, 99.5))
    counts, edges = np.histogram(np.minimum(values, top), bins=bins)
    return {"edges": [round(float(each), 4) for each in edges], "counts": [float(each) for each in counts]}


def _resample(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    import numpy as np

    numbers = np.random.default_rng(seed).integers(0, len(values), (_RESAMPLES, len(values)))
    drawn: NDArray[np.float64] = values[numbers]
    return drawn


def busy_elsewhere() -> float:
    """The share of the machine's cores that other processes used in the last 0.2 s: 0 is alone, 1 is all taken."""
    import psutil

    own = psutil.Process()
    before, started = sum(own.cpu_times()[:2]), time.perf_counter()
    share = psutil.cpu_percent(interval=0.2) / 100
    spent = (sum(own.cpu_times()[:2]) - before) / (time.perf_counter() - started)
    return max(0.0, share - spent / (os.cpu_count() or 1))


def conditions(threads: int) -> dict[str, Any]:
    """Where and how something was measured, for the report."""
    import platform

    from ..backends.hardware import find_hardware

    hardware = find_hardware()
    busy = busy_elsewhere()
    return {
        "cpu": hardware.cpu,
        "cores": hardware.cores,
        "threads": threads,
        "system": platform.platform(),
        "busy_elsewhere": round(busy, 3),
        "alone": busy < 0.2,
    }
