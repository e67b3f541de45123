"""What it costs to hand a run over: to the first step, from the worker to the view, and the supervision itself.

The supervised contestant is a training under its supervisor, from that one's start to its end; the bare one is the
same worker process on the same recipe with the same environment, started by hand with nobody between. Both use one
thread and no spare.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import event_latency
import first_step
import numpy as np
from measure import arguments, finish, interleave, median_interval, own_lab, ratios, say, table

if TYPE_CHECKING:
    from lepton_lab.dispatch.attempt import AttemptPlan
    from lepton_lab.record import RunFolder

RATES = (10, 100, 1000)


def main() -> None:
    options = arguments(__doc__ or "")
    rounds = 2 if options.quick else 10
    figures: dict[str, float] = {}
    rows: list[list[object]] = []
    raw: dict[str, object] = {}
    with own_lab("movie-sentiment", "minilm", spare=True):
        first_step.cold(0)  # fills the caches of tokenised data
        starts = interleave({"cold": first_step.cold, "warm": first_step.warm}, rounds, say)
    with own_lab("movie-sentiment", "minilm"):
        bare(0)
        work = interleave({"supervised": supervised, "bare": bare}, rounds, say)
        for rate in RATES:
            latencies = event_latency.measure(rate, 2 if options.quick else 20, 0.05)
            raw[f"rate{rate}"] = [round(float(each), 2) for each in latencies[:2000]]
            figures |= percentiles(f"rate{rate}", latencies, "ms")
    for name, samples in {**starts, **work}.items():
        figures |= percentiles(name, np.asarray(samples), "s")
        rows.append([name, len(samples), *median_interval(samples)])
    print(table(["", "n", "median s", "low", "high"], rows))
    for name, over, under, samples in (
        ("cold_over_warm", "cold", "warm", starts),
        ("supervised_over_bare", "supervised", "bare", work),
    ):
        middle, low, high = median_interval(ratios(samples, over, under))
        print(f"{over} / {under}: {middle:.3f} ({low:.3f} to {high:.3f})")
        figures |= {name: middle, f"{name}_low": low, f"{name}_high": high}
    finish("dispatch", figures, {}, {**starts, **work, **raw}, options.out, options.quick)


def percentiles(name: str, samples: np.ndarray, unit: str) -> dict[str, float]:
    """The 50th, 95th and 99th."""
    parts = (50, 95, 99)
    values = np.percentile(samples, parts)
    return {f"{name}.p{part}_{unit}": float(value) for part, value in zip(parts, values, strict=True)}


def recipe() -> object:
    """A short training whose end does not depend on chance."""
    from lepton_lab.planning import prepare, read_recipe

    plan = {"task": "text-classification", "model": "sample:minilm", "dataset": "sample:movie-sentiment"}
    short = {"max_steps": 20, "batch_size": 8, "eval_strategy": "no", "save_strategy": "no", "logging_steps": 1}
    return prepare(read_recipe("train", {**plan, **short}))


def plan_of(folder: RunFolder) -> AttemptPlan:
    """The same for both."""
    from lepton_lab.dispatch import collect_environment
    from lepton_lab.dispatch.attempt import AttemptPlan
    from lepton_lab.dispatch.environment import JobEnvironment

    environment = JobEnvironment(collect_environment())
    return AttemptPlan(str(folder.path), 1, 30.0, cpus=1, use_spare=False, environment=environment)


def supervised(_: int) -> float:
    """Seconds from the supervisor's start to the worker's last word."""
    from lepton_lab.dispatch.attempt import run_attempt
    from lepton_lab.record import RunFolder

    folder = RunFolder.create(recipe())
    plan = plan_of(folder)
    began = time.perf_counter()
    run_attempt(plan)
    return checked(folder, time.perf_counter() - began)


def bare(_: int) -> float:
    """Seconds from the worker's start to its last word."""
    from lepton_lab.dispatch.environment import worker_environment
    from lepton_lab.record import RunFolder

    folder = RunFolder.create(recipe())
    attempt = folder.take_lease(1)
    job = plan_of(folder).job()
    environment = worker_environment(job["environment"], job["threads"])
    line = {"run_dir": str(folder.path), "attempt": 1, "threads": job["threads"], "env": environment}
    began = time.perf_counter()
    worker = subprocess.Popen(
        [sys.executable, "-m", "lepton_lab.work.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    if worker.stdin is None:
        raise RuntimeError("the worker was started without a pipe")
    worker.stdin.write(json.dumps(line).encode() + b"\n")
    worker.stdin.flush()  # and stays open: its end would be the supervisor's
    worker.wait()
    seconds = time.perf_counter() - began
    worker.stdin.close()
    return checked(attempt, seconds)


def checked(where: object, seconds: float) -> float:
    """``seconds``, if what they measured succeeded."""
    from lepton_lab.record import AttemptFolder, RunFolder

    attempt = where.attempt(1) if isinstance(where, RunFolder) else where
    outcome = attempt.outcome() if isinstance(attempt, AttemptFolder) else None
    if outcome is None or outcome["status"] != "succeeded":
        raise SystemExit(f"a measured training did not succeed: {outcome}")
    return seconds


if __name__ == "__main__":
    main()
