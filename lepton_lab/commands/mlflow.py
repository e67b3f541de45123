"""``mlflow``: how the mirror stands, and catching up by hand."""

from __future__ import annotations

import time

import click

from ..errors import ClusterError
from .command import LeptonCommand, LeptonGroup, json_option, option
from .records import when
from .results import Facts, pairs_text
from .seat import seat_of
from .values import RunValue

_POLL_SECONDS = 0.2


def _status(as_json: bool) -> Facts:
    from .. import tracking

    target = tracking.Target.here()
    state = target.state()
    values = {
        "tracking_uri": target.shown,
        "waiting": tracking.open_runs(target),
        "mirrored": len(tracking.done_runs(target)),
        "as_of": state.get("time"),
        "error": state.get("error") or "",
    }
    facts = {
        "tracking server": target.shown,
        "mirrored whole": values["mirrored"],
        "waiting": ", ".join(tracking.open_runs(target)) or "none",
        "as of": when(state["time"]) if state else "never",
        "error": values["error"],
    }
    return Facts(values, pairs_text(facts.items()), as_json=as_json)


@click.pass_context
def _sync(context: click.Context, run: tuple[str, ...], every: bool, as_json: bool) -> Facts:
    from .. import lab, tracking

    tracking.check_mlflow()
    target = tracking.Target.here()
    named = [lab.resolve_run(word).run for word in run]
    runs = [row["run"] for row in reversed(lab.runs())] if every else named or tracking.open_runs(target)
    began = time.time()
    for each in runs:
        tracking.mark(target, each)
    tracking.wake(target)
    waiting = {each for each in runs if lab.attach(each).view().is_over}
    living = len(runs) - len(waiting)
    if waiting:
        seat_of(context).say(f"Sending {len(waiting)} runs to {target.shown} …")
    while waiting.intersection(tracking.open_runs(target)):
        state = target.state()
        if state.get("error") and state["time"] > began:
            raise ClusterError(
                f"{target.shown} did not take everything: {state['error']}\n"
                "The runs stay marked and are tried again; to try now: lepton mlflow sync"
            )
        time.sleep(_POLL_SECONDS)
    text = f"{len(waiting)} runs are mirrored whole to {target.shown}."
    text += f" {living} are going on, and followed." if living else ""
    return Facts({"mirrored": sorted(waiting), "followed": living, "tracking_uri": target.shown}, text, as_json=as_json)


mlflow = LeptonGroup(
    "mlflow",
    help="The mirror of runs in MLflow: at MLFLOW_TRACKING_URI, or in a SQLite file under LEPTON_HOME. It is kept by "
    "a process of its own for runs with --report-to mlflow (or all, with LEPTON_REPORT_TO=mlflow), and catches up by "
    "itself when the tracking server was away.",
    short_help="Show how the mirror in MLflow stands, or catch up by hand.",
    commands={
        "status": LeptonCommand(
            "status",
            callback=_status,
            params=[json_option()],
            help="Say where runs are mirrored to, and which still wait.",
        ),
        "sync": LeptonCommand(
            "sync",
            callback=_sync,
            params=[
                click.Argument(["run"], type=RunValue(), nargs=-1, metavar="[RUN]..."),
                option("--all", "every", is_flag=True, help="Every run, also those that nobody asked to mirror."),
                json_option(),
            ],
            help="Send now what the tracking server lacks: of these runs, or of those that wait. Old runs, too; "
            "none appears there twice.",
            examples=["lepton mlflow sync", "lepton mlflow sync champion", "lepton mlflow sync --all"],
        ),
    },
)
