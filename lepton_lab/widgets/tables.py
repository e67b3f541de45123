"""Which tables a run's reports hold: compile candidates, benchmark results, metrics, preflight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..record import RunView
from .wording import clip, facts, label, number, problem

ROWS_SHOWN = 40
_COLUMNS_SHOWN = 10
_COLUMNS_FIRST = (
    *("trial", "run", "state", "value"),
    *("backend", "name", "model", "precision", "status", "verdict", "picked", "batch_size", "length"),
    *("latency_ms", "speedup", "p50_ms", "p95_ms", "p99_ms", "rows_per_second", "tokens_per_second"),
    *("metric", "difference_points", "bound_points", "agreement", "max_logit_difference"),
    *("peak_memory_mb", "reason", "error", "message"),
)


@dataclass(frozen=True)
class Table:
    """Text cells, a heading, and which row is the pick."""

    heading: str
    columns: list[str]
    rows: list[list[str]]
    picked: int | None = None
    left_out: int = 0


def metrics_table(view: RunView) -> Table | None:
    """The final numbers; before the end, the newest of each curve."""
    numbers: dict[str, Any] = {key: value for key, value in view.metrics.items() if _is_plain(value)}
    if not numbers:
        wanted = [name for name in view.series if not name.startswith("latency_ms.")]
        numbers = {name: view.series[name].values[-1] for name in wanted if view.series[name].values}
    if not numbers:
        return None
    rows = [[label(key), number(value)] for key, value in list(numbers.items())[:ROWS_SHOWN]]
    return Table("Metrics" if view.metrics else "Latest", ["metric", "value"], rows, None, len(numbers) - len(rows))


def report_tables(view: RunView) -> list[Table]:
    """Every candidate of a compilation, every case of a benchmark, and the trials of a sweep, the best first."""
    found = []
    compiled = view.reports.get("compile")
    if isinstance(compiled, Mapping):
        rows = _rows_of(compiled, "candidates")
        if rows:
            found.append(_table("Candidates", rows, _place_of(compiled.get("pick"), rows)))
    measured = view.reports.get("benchmark")
    if isinstance(measured, Mapping):
        rows = _rows_of(measured, "results")
        if rows:
            found.append(_table("Benchmark", rows, None))
    searched = view.reports.get("sweep")
    if isinstance(searched, Mapping):
        trials = trial_rows(searched)
        if trials:
            found.append(_table("Trials", trials, 0 if searched.get("best") else None))
    return found


def trial_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trials of a sweep, the best first, each with its parameters beside its value."""
    sign = -1 if report.get("direction") == "maximize" else 1
    rows = []
    for row in _rows_of(report, "trials"):
        shown = {key: row.get(key) for key in ("trial", "run", "state", "value")}
        given = row.get("parameters")
        rows.append({**shown, **(given if isinstance(given, Mapping) else {})})
    places = {"complete": 0, "running": 1, "queued": 2, "pruned": 3}

    def order(row: Mapping[str, Any]) -> tuple[int, float, int]:
        value = row["value"] if isinstance(row["value"], (int, float)) else math.inf
        return places.get(str(row["state"]), len(places)), sign * value, int(row["trial"] or 0)

    return sorted(rows, key=order)


def conclusions(view: RunView) -> list[tuple[str, str]]:
    """(heading, text): what a compilation picked and how it did on fresh rows; what mattered to a sweep."""
    compiled = view.reports.get("compile")
    found = []
    searched = view.reports.get("sweep")
    if isinstance(searched, Mapping) and searched.get("importance"):
        shares = [f"{label(name)} {100 * share:.0f} %" for name, share in searched["importance"].items()]
        found.append(("What mattered", clip(", ".join(shares), 600)))
    if isinstance(compiled, Mapping):
        for key, heading in (("pick", "Pick"), ("test", "On the test rows")):
            part = compiled.get(key)
            if isinstance(part, Mapping):
                text = "; ".join(f"{name}: {value}" for name, value in facts(part))
                found.append((heading, clip(text, 600)))
    return [pair for pair in found if pair[1]]


def warnings_of(view: RunView) -> list[str]:
    """What the preflight and other reports warn of."""
    found: list[str] = []
    for report in view.reports.values():
        warnings = report.get("warnings") if isinstance(report, Mapping) else None
        if isinstance(warnings, (list, tuple)):
            found += [clip(problem(each), 400) for each in warnings]
    return list(dict.fromkeys(found))[:12]


def text_table(table: Table, indent: str = "  ") -> list[str]:
    """The table as lines of plain text; the pick has a star."""
    body = [table.columns, *([clip(cell, 28) for cell in row] for row in table.rows)]
    widths = [max(len(row[place]) for row in body) for place in range(len(table.columns))]
    lines = []
    for place, row in enumerate(body):
        mark = "* " if table.picked is not None and place == table.picked + 1 else "  "
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append((indent + (mark if table.picked is not None else "") + cells).rstrip())
    if table.left_out:
        lines.append(f"{indent}and {table.left_out} more")
    return lines


def _table(heading: str, rows: Sequence[Mapping[str, Any]], picked: int | None) -> Table:
    names = list(dict.fromkeys(key for row in rows for key, value in row.items() if _is_plain(value)))
    names = [name for name in names if any(row.get(name) not in (None, "") for row in rows)]
    order = {name: place for place, name in enumerate(_COLUMNS_FIRST)}
    names = sorted(names, key=lambda name: order.get(name, len(order)))[:_COLUMNS_SHOWN]
    cells = [
        [clip(number(row.get(name)), 120) if _is_plain(row.get(name)) else "…" for name in names]
        for row in rows[:ROWS_SHOWN]
    ]
    return Table(heading, [label(name) for name in names], cells, picked, max(0, len(rows) - ROWS_SHOWN))


def _rows_of(report: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = report.get(key)
    rows = value if isinstance(value, (list, tuple)) else []
    return [row for row in rows if isinstance(row, Mapping)]


def _place_of(pick: object, rows: Sequence[Mapping[str, Any]]) -> int | None:
    if isinstance(pick, Mapping):
        wanted = {key: pick[key] for key in ("backend", "precision", "name") if key in pick}
        for place, row in enumerate(rows[:ROWS_SHOWN]):
            if wanted and all(row.get(key) == value for key, value in wanted.items()):
                return place
    return None


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))
