"""How long an event takes from the worker's write to the view: 10, 100 and 1,000 events a second.

A writer process appends metric events as a trainer does; this process reads them as
every viewer does (a tail of the run's files, folded), polled as the live view polls.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import arguments, finish, say, table

WRITER = """
import sys, time
from lepton_lab.record import RunFolder
from pathlib import Path
folder, rate, count = RunFolder(Path(sys.argv[1])), float(sys.argv[2]), int(sys.argv[3])
writer = folder.attempt(1).writer("trainer")
start = time.perf_counter()
for step in range(count):
    while time.perf_counter() < start + step / rate:
        time.sleep(0.0002)
    writer.metric(step, {"loss": 1.0, "learning_rate": 1e-4})
"""


def measure(rate: int, seconds: float, poll_seconds: float) -> np.ndarray:
    """Latencies in ms of all events at ``rate`` a second."""
    from lepton_lab.recipe import build_recipe
    from lepton_lab.record import RunFolder, RunTail

    recipe = build_recipe("train", {"task": "text-classification", "model": "m", "dataset": "d"})
    folder = RunFolder.create(recipe)
    folder.take_lease(1)
    count = int(rate * seconds)
    tail = RunTail(folder)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder.path), str(rate), str(count)])
    latencies = []
    while len(latencies) < count:
        for event in tail.read():
            latencies.append((time.time() - event.time) * 1000)
        time.sleep(poll_seconds)
    writer.wait()
    return np.asarray(latencies)


def main() -> None:
    options = arguments(__doc__ or "")
    rows, figures, raw = [], {}, {}
    with tempfile.TemporaryDirectory() as home:
        os.environ["LEPTON_HOME"] = home
        os.environ["LEPTON_STATE_DIR"] = str(Path(home) / "state")
        for rate in (10, 100, 1000):
            latencies = measure(rate, 2 if options.quick else 20, 0.05)
            p50, p95, p99 = np.percentile(latencies, [50, 95, 99])
            rows.append([f"{rate}/s", len(latencies), p50, p95, p99])
            figures |= {f"rate{rate}.p50_ms": p50, f"rate{rate}.p95_ms": p95, f"rate{rate}.p99_ms": p99}
            raw[str(rate)] = [round(float(each), 2) for each in latencies[:2000]]
            say(f"{rate}/s done")
    print(table(["events", "n", "p50 ms", "p95 ms", "p99 ms"], rows))
    finish(
        "event_latency",
        figures,
        {"p95 at 1000/s": (figures["rate1000.p95_ms"], "<=", 250.0)},
        raw,
        options.out,
        options.quick,
    )


if __name__ == "__main__":
    main()
