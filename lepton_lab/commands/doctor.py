"""``doctor``: what this machine can do, and what to install. Nothing heavy is imported."""

from __future__ import annotations

from typing import Any

from .command import LeptonCommand, json_option
from .results import Column, Rows


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
    return Rows(rows, columns, below=below, as_json=as_json)


doctor = LeptonCommand(
    "doctor",
    callback=_doctor,
    params=[json_option("Print a JSON array: check, ok, found, do.")],
    short_help="Say what this machine can do and what to install.",
    help="Say what this machine can do and what to install: Python, torch, processor, GPU, memory, disk, backends, "
    "samples, places, cluster, notebook.",
)
