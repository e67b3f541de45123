"""``cluster``: the scheduler and worker that runs go through."""

from __future__ import annotations

from typing import Any

from .command import LeptonCommand, LeptonGroup, json_option, option
from .records import when
from .results import Facts, pairs_text, seconds_text


def _status(as_json: bool) -> Facts:
    from .. import dispatch

    return _facts(dispatch.cluster_status(), as_json)


def _start(dashboard: bool, as_json: bool) -> Facts:
    from .. import dispatch

    return _facts(dispatch.start_cluster(dashboard=dashboard), as_json)


def _stop(force: bool, as_json: bool) -> Facts:
    from .. import dispatch

    return _facts(dispatch.stop_cluster(force=force), as_json)


def _facts(values: dict[str, Any], as_json: bool) -> Facts:
    shown = {name.replace("_", " "): _said(name, value) for name, value in values.items()}
    return Facts(values, pairs_text(shown.items()), as_json=as_json)


def _said(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name == "started":
        return when(float(value))
    return seconds_text(float(value)) if name.endswith("_seconds") else str(value)


cluster = LeptonGroup(
    "cluster",
    help="The local scheduler and worker that runs go through. They start by themselves with the first run, listen "
    "on this machine only, and stop after half an hour without work.",
    short_help="Show, start or stop the local scheduler and worker.",
    commands={
        "status": LeptonCommand(
            "status",
            callback=_status,
            params=[json_option()],
            help="Say whether the local cluster runs, and what it does.",
        ),
        "start": LeptonCommand(
            "start",
            callback=_start,
            params=[
                option("--dashboard", is_flag=True, help="With Dask's dashboard, on this machine only."),
                json_option(),
            ],
            help="Start the local cluster now.",
        ),
        "stop": LeptonCommand(
            "stop",
            callback=_stop,
            params=[
                option("--force", is_flag=True, help="Also when runs are going on: they save and stop."),
                json_option(),
            ],
            help="Stop the local cluster.",
        ),
    },
)
