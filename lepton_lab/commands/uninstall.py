"""``uninstall``: leave nothing running and nothing behind."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import click
import psutil

from .. import places
from .command import LeptonCommand, json_option, option
from .disk import size_of
from .results import Facts, bytes_text
from .seat import seat_of

_STATE_FOLDER = re.compile(r"[0-9a-f]{12}")
_CANCEL_SECONDS = 40.0


@click.pass_context
def _uninstall(context: click.Context, yes: bool, runs: bool, as_json: bool) -> Facts:
    from .. import dispatch, lab, tracking

    seat = seat_of(context)
    state = _state_folders()
    home = _home_folders() if runs else []
    unfinished = [lab.attach(row["run"]) for row in lab.runs() if row["status"] in ("queued", "running", "cancelling")]
    unfinished = [run for run in unfinished if not run.folder.is_pulled]
    question = f"Stop the local cluster and {len(unfinished)} unfinished runs"
    question += f", and delete keys and state in {places.state_root()}"
    if runs:
        question += f" and {bytes_text(sum(map(size_of, home)))} of runs, models and data in {places.lepton_home()}"
    if not yes and not seat.confirm(question + "?"):
        return Facts({"removed": []}, "Nothing was removed.", as_json=as_json)
    for run in unfinished:
        run.cancel()
    deadline = time.monotonic() + _CANCEL_SECONDS
    for run in unfinished:
        seat.say(f"Waiting for run {run.id} to save and stop …")
        while not run.view().is_over and time.monotonic() < deadline:
            time.sleep(0.1)
    dispatch.stop_cluster(force=True)
    tracking.stop_mirrors()
    removed = []
    for path in (*state, *home):
        if path.exists():
            shutil.rmtree(path)
            removed.append(str(path))
    devices = places.state_root() / "devices"  # locks that all environments share
    if devices.is_dir() and not any(_STATE_FOLDER.fullmatch(each.name) for each in places.state_root().iterdir()):
        shutil.rmtree(devices)
        removed.append(str(devices))
    for folder in (places.state_root(), *([places.lepton_home()] if runs else [])):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            removed.append(str(folder))
    kept = "" if runs else f"\nRuns and models stay in {places.lepton_home()}; with --runs they go too."
    text = "\n".join(f"Removed {path}" for path in removed) or "There was nothing to remove."
    return Facts({"removed": removed}, f"{text}{kept}\nLast: pip uninstall lepton-lab", as_json=as_json)


def _state_folders() -> list[Path]:
    """This environment's state folder, and those of others that no process uses (an earlier boot's).

    Only names that we give: the root may hold other things.
    """
    root, own = places.state_root(), places.state_dir()
    found = [each for each in sorted(root.iterdir()) if _STATE_FOLDER.fullmatch(each.name)]
    words = "\n".join(" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"]))
    return [each for each in found if each == own or str(each) not in words]


def _home_folders() -> list[Path]:
    """What we keep in LEPTON_HOME, not the folder itself."""
    return [
        each
        for each in (
            places.runs_dir(),
            places.aliases_dir(),
            places.tracking_dir(),
            places.data_dir(),
            places.samples_dir(),
            places.cache_dir(),
        )
        if each.is_dir()
    ]


uninstall = LeptonCommand(
    "uninstall",
    callback=_uninstall,
    params=[
        option("--yes", is_flag=True, help="Do not ask."),
        option("--runs", is_flag=True, help="Delete runs, models, data and samples as well."),
        json_option(),
    ],
    short_help="Remove processes, keys and state of this product.",
    help="Stop what runs and remove processes, keys and state. Runs and models stay unless --runs is given.",
)
