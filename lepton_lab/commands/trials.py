"""The trials of a sweep as text: a table, and a line for one that ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .results import number_text, shorten, table_text

ENDED = ("complete", "pruned", "failed", "cancelled", "lost")
"""States of a trial of which nothing more is to be expected."""

_MESSAGES = 3


def trials_text(report: Mapping[str, Any], most: int | None = None) -> str:
    """The trials as a table, in their order; the best one has a star.

    ``most`` leaves the best one and the last ones, so many in all.
    """
    best = _best_of(report)
    rows = list(report["trials"])
    left_out = max(0, len(rows) - most) if most else 0
    if left_out:
        winner = [row for row in rows[:left_out] if row["trial"] == best]
        rows = [*winner, *rows[left_out + len(winner) :]]
    names = list(dict.fromkeys(name for row in report["trials"] for name in row["parameters"]))
    cells = [
        [
            f"{row['trial']}{' *' if row['trial'] == best else ''}",
            row["run"] or "",
            row["state"],
            _value(row),
            *(number_text(row["parameters"].get(name, "")) for name in names),
        ]
        for row in rows
    ]
    lines = [table_text(["trial", "run", "state", str(report["metric"]), *names], cells)]
    lines += [f"… and {left_out} earlier"] if left_out else []
    wrong = [row for row in rows if row["state"] not in ("complete", "pruned") and row.get("message")]
    lines += [f"trial {row['trial']}: {shorten(row['message'], 160)}" for row in wrong[:_MESSAGES]]
    return "\n".join(lines)


def trial_text(row: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """One trial in a line."""
    given = ", ".join(f"{name} {number_text(value)}" for name, value in row["parameters"].items())
    how = f"{row['state']}, " if row["state"] != "complete" else ""
    value = f"{report['metric']} {_value(row)}" if row["value"] is not None else "no result"
    best = " · best so far" if row["trial"] == _best_of(report) else ""
    return f"trial {row['trial']}: {how}{value} with {given}{best}"


def standing_text(report: Mapping[str, Any]) -> str:
    """How the search stands, in a few words: what runs, and the best so far."""
    running = sum(row["state"] in ("running", "cancelling") for row in report["trials"])
    parts = [f"{running} running"] if running else []
    best = report.get("best")
    if best:
        parts.append(f"best {report['metric']} {_value(best)} (trial {best['trial']})")
    return " · ".join(parts)


def _best_of(report: Mapping[str, Any]) -> int | None:
    best = report.get("best")
    return best["trial"] if best else None


def _value(row: Mapping[str, Any]) -> str:
    return number_text(row["value"]) if row["value"] is not None else ""
