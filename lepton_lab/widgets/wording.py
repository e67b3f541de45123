"""Numbers, times and headings in words, the same in every view."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..errors import Problem
from ..record import RunView

LABELS = {
    "rows": "rows",
    "loss": "loss",
    "best_value": "best so far",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
    "latency_ms": "latency, ms",
    "p50_ms": "p50, ms",
    "p95_ms": "p95, ms",
    "p99_ms": "p99, ms",
    "difference_points": "difference, points",
    "max_logit_difference": "largest logit difference",
    "samples_per_second": "rows/s",
    "tokens_per_second": "tokens/s",
    "rows_per_second": "rows/s",
    "memory_mb": "memory, MB",
    "peak_memory_mb": "peak memory, MB",
    "seconds": "seconds",
}


def label(name: str) -> str:
    """A field's name for people."""
    return LABELS.get(name) or clip(name.replace("_", " "), 60)


def clip(value: object, most: int = 200) -> str:
    """Text of at most ``most`` characters, on one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def number(value: object) -> str:
    """A number with the digits that matter; other values as clipped text."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        if value == 0 or 0.001 <= abs(value) < 100_000:
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value + 0.0:.4g}"  # never -0
        return f"{value:.3g}"
    return clip(value)


def duration(seconds: float | None) -> str:
    """``1.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(when: float) -> str:
    """A time of this machine's clock, with its zone."""
    return datetime.fromtimestamp(when).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z").strip()


def title(view: RunView) -> str:
    """The name that people gave, or the id."""
    return clip(view.name or view.run, 80)


def names_of(views: Sequence[RunView]) -> list[str]:
    """A word for each of several runs: its name, or its id where it has none or shares it."""
    given = Counter(view.name for view in views)
    return [clip(view.name, 60) if view.name and given[view.name] == 1 else view.run for view in views]


def subject(view: RunView) -> str:
    """``train · text-classification · sample:minilm``."""
    parts = [view.kind, view.task, view.model]
    return " · ".join(clip(part, 100) for part in parts if part)


def condition(view: RunView) -> str:
    """The status with what it rests on; a run that is not over is never said to be simply running."""
    if view.is_over:
        spent = f" after {duration(view.seconds)}" if view.seconds is not None else ""
        return f"{view.status}{spent}"
    steps = f" at step {view.step:,} of {view.max_steps:,}" if view.max_steps else ""
    if view.kind == "sweep" and view.max_steps:
        steps = f", {view.step:,} of {view.max_steps:,} trials done,"
    if not steps and view.stage:
        steps = f" ({clip(view.stage, 40)})"
    return f"{view.status}{steps} as of {moment(view.as_of or view.created)}"


def explanation(view: RunView) -> list[str]:
    """Why the run ended as it did, a line each; empty when there is nothing to explain."""
    if view.problems:
        return [clip(problem(each), 600) for each in view.problems[:10]]
    text = view.message or (view.reason if view.status in ("failed", "lost") else "")
    return [clip(text, 1200)] if text else []


def problem(found: object) -> str:
    """A problem of a report, which may be a dict or a text."""
    if isinstance(found, Mapping):
        known = {key: str(found.get(key) or "") for key in ("what", "got", "do")}
        return str(Problem(**known)) if known["what"] else clip(dict(found))
    return str(found)


def facts(content: Mapping[str, Any], most: int = 24) -> list[tuple[str, str]]:
    """(label, text) of what can be said in a line; tables, texts and warnings are left to others."""
    found = []
    for key, value in content.items():
        text = _in_a_line(value)
        if text and key not in ("warnings", "problems"):
            found.append((label(str(key)), text))
    return found[:most]


def _in_a_line(value: object, depth: int = 0) -> str:
    if isinstance(value, Mapping):
        told = [_named(key, each, depth) for key, each in value.items()] if depth < 3 else []
        told = [text for text in told if text]
        shown = told[:10]
        more = f", and {len(told) - 10} more" if len(told) > 10 else ""
        return clip(", ".join(shown) + more, 600)
    if isinstance(value, (list, tuple)):
        if not value or not all(isinstance(each, (str, int, float)) for each in value):
            return ""
        more = f" and {len(value) - 8} more" if len(value) > 8 else ""
        return ", ".join(clip(number(each), 40) for each in value[:8]) + more
    return "" if value is None or value == "" else number(value)


def _named(key: object, value: object, depth: int) -> str:
    text = _in_a_line(value, depth + 1)
    if not text:
        return ""
    if isinstance(value, Mapping):
        return f"{clip(key, 40)} ({text})"
    return f"{clip(key, 40)}: {text}" if isinstance(value, str) else f"{clip(key, 40)} {text}"
