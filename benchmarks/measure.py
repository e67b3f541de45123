"""What every benchmark shares: interleaved pairs, ratios with intervals, a table, one JSON line, raw samples."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

Goal = tuple[float, str, float]
"""(figure, comparison, bound)"""

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda figure, bound: figure <= bound,
    ">=": lambda figure, bound: figure >= bound,
    "<": lambda figure, bound: figure < bound,
    ">": lambda figure, bound: figure > bound,
    "==": lambda figure, bound: figure == bound,
}


def arguments(description: str, **extra: Any) -> argparse.Namespace:
    """``--quick`` and ``--out``, and what ``extra`` adds (name → default)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it runs, not to quote")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the raw samples")
    for name, default in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    return parser.parse_args()


@contextmanager
def own_lab(*samples: str, spare: bool = False) -> Iterator[str]:
    """A folder with a home and a state of its own and these samples; its cluster is stopped at the end.

    Without ``spare`` nothing but the contestants uses the machine. Under /tmp because the paths
    of Unix sockets are limited to about 100 bytes.
    """
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="lepton-", ignore_cleanup_errors=True) as folder:
        os.environ |= {"LEPTON_HOME": f"{folder}/h", "LEPTON_STATE_DIR": f"{folder}/s", "LEPTON_SPARE": str(int(spare))}
        for name in samples:
            lepton("samples", "install", name)
        try:
            yield folder
        finally:
            lepton("cluster", "stop", "--force")


def lepton(*words: str) -> str:
    """What a command of ours prints. Raises :class:`SystemExit` with its error if it fails."""
    done = subprocess.run([sys.executable, "-m", "lepton_lab", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"lepton {' '.join(words)} exited {done.returncode}\n{done.stderr}")
    return done.stdout


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """(median, low, high): bootstrap percentile interval of the median, 10,000 resamples, fixed seed."""
    values = np.asarray(samples, dtype=float)
    draws = np.random.default_rng(0).choice(values, size=(10_000, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), [50 * (1 - confidence), 50 * (1 + confidence)])
    return float(np.median(values)), float(low), float(high)


def interleave(
    contestants: Mapping[str, Callable[[int], float]], rounds: int, say: Callable[[str], None] | None = None
) -> dict[str, list[float]]:
    """``rounds`` measurements of each contestant, taking turns, the order reversed every other round."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        names = list(contestants) if number % 2 == 0 else list(contestants)[::-1]
        for name in names:
            samples[name].append(contestants[name](number))
        if say:
            say(f"round {number + 1}/{rounds}: " + ", ".join(f"{name} {samples[name][-1]:.4g}" for name in contestants))
    return samples


def ratios(samples: Mapping[str, Sequence[float]], of: str, over: str) -> list[float]:
    """The ratio of each pair."""
    return [a / b for a, b in zip(samples[of], samples[over], strict=True)]


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows under headings, aligned."""
    texts = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(headings), *texts]) for column in range(len(headings))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in [list(headings), *texts]
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def finish(
    name: str, figures: Mapping[str, float], goals: Mapping[str, Goal], raw: Any, out: Path, quick: bool
) -> None:
    """Write the raw samples and end with the one JSON line."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}{'-quick' if quick else ''}.json"
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    path.write_text(json.dumps({"benchmark": name, "time": time.time(), "machine": machine, "raw": raw}, indent=1))
    print(f"raw samples: {path}")
    met = {
        goal: [float(figure), comparison, bound, bool(_COMPARISONS[comparison](figure, bound))]
        for goal, (figure, comparison, bound) in goals.items()
    }
    rounded = {key: round(float(value), 5) for key, value in figures.items()}
    print(json.dumps({"benchmark": name, "quick": quick, "figures": rounded, "goals": met}), flush=True)


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)
