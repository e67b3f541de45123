"""``cluster``: the scheduler and worker that runs go through."""

from __future__ import annotations

from typing import Any

from .command import LeptonCommand, LeptonGroup, json_option, option
from .results import Facts


def _status(as_json: bool) -> Facts:
    from .. import dispatch

    return _facts(dispatch.cluster_status(), as_json)


def _start(as_json: bool) -> Facts:
    from .. import dispatch

    return _facts(dispatch.start_cluster(), as_json)


def _stop(force: bool, as_json: bool) -> Facts:
    from .. import dispatch

    return _facts(dispatch.stop_cluster(force=force), as_json)


def _facts(values: dict[str, Any], as_json: bool) -> Facts:
    return Facts(values, as_json=as_json)


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
        "start": LeptonCommand("start", callback=_start, params=[json_option()], help="Start the local cluster now."),
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
