"""What a compilation or a benchmark found, as text: every candidate and every case, the losers too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .results import number_text, table_text

_CANDIDATES = {
    "verdict": "verdict",
    "latency_ms": "latency ms",
    "speedup": "speedup",
    "metric": "",
    "difference_points": "difference, points",
    "bound_points": "bound, points",
    "agreement": "agreement",
}
_CASES = {
    "model": "model",
    "batch_size": "batch size",
    "length": "length",
    "speedup": "speedup",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
    "rows_per_second": "rows/s",
    "peak_memory_mb": "memory MB",
}


def findings_text(reports: Mapping[str, Any]) -> str:
    """The tables of a run's reports; empty for a run that compiled and measured nothing."""
    parts = []
    if "compile" in reports:
        parts.append(_compilation_text(reports["compile"]))
    if "benchmark" in reports:
        parts.append(_table(_CASES, reports["benchmark"]["results"]))
    return "\n".join(parts)


def _compilation_text(report: Mapping[str, Any]) -> str:
    """The candidates with a star at the pick; below them why some do not answer, and the pick on the test rows."""
    pick = report["pick"]
    titles = {"candidate": "candidate", **_CANDIDATES, "metric": report["main_metric"]}
    rows, reasons = [], []
    for row in report["candidates"]:
        name, answers = _name(row), row["status"] == "ok"
        star = " *" if name == _name(pick) else ""
        rows.append({**row, "candidate": name + star, "verdict": row["verdict"] if answers else row["status"]})
        if not answers:
            reasons.append(f"{name}: {row['reason']}")
    lines = [_table(titles, rows), *reasons, f"Picked {_name(pick)}: {pick['reason']}"]
    test = report["test"]
    if test:
        lines.append(f"On {test['rows']:,} test rows: {test['verdict']}, {test['reason']}")
    return "\n".join(lines)


def _name(row: Mapping[str, Any]) -> str:
    return str(row["backend"]) if row["precision"] == "auto" else f"{row['backend']} {row['precision']}"


def _table(titles: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> str:
    """The columns in which any row has something."""
    rows = list(rows)
    used = {key: title for key, title in titles.items() if any(row.get(key) not in (None, "") for row in rows)}
    cells = [["" if row.get(key) is None else number_text(row[key]) for key in used] for row in rows]
    return table_text(list(used.values()), cells)
