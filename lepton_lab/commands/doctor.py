"""``doctor``: what this machine can do, and what to install. Nothing heavy is imported."""

from __future__ import annotations

from typing import Any

from .command import LeptonCommand, json_option
from .results import Column, Rows, width_of


def _doctor(as_json: bool) -> Rows:
    from .checks import every_check

    rows: list[dict[str, Any]] = [each.to_dict() for each in every_check()]
    warnings = sum(not row["ok"] for row in rows)
    columns = [
        Column("ok", "", lambda value: "ok" if value else "warn"),
        Column("check", "check"),
        Column("found", "found"),
        Column("do", "to do"),
    ]
    below = "Everything is in order." if not warnings else f"{warnings} of {len(rows)} lines ask for something."
    return _Findings(rows, columns, below=below, as_json=as_json)


class _Findings(Rows):
    """Findings whose advice stands below them: side by side they would be wider than a terminal."""

    def text(self) -> str:
        """One finding a line, advice indented below it."""
        width = max(width_of(row["check"]) for row in self)
        lines = []
        for row in self:
            lines.append(f"{'ok  ' if row['ok'] else 'WARN'}  {row['check'].ljust(width)}  {row['found']}")
            if row["do"]:
                lines.append(f"      {' ' * width}  → {row['do']}")
        return "\n".join([*lines, "", self.below])


doctor = LeptonCommand(
    "doctor",
    callback=_doctor,
    params=[json_option("Print a JSON array: check, ok, found, do.")],
    short_help="Say what this machine can do and what to install.",
    help="Say what this machine can do and what to install: Python, torch, processor, GPU, memory, disk, backends, "
    "samples, places, cluster, notebook.",
)
