"""Clusters as users see them: status, start, stop."""

from __future__ import annotations

import importlib.util
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import places
from ..errors import ClusterError, Problem, RequestError
from ..record import RunFolder, read_json
from .door import ANSWER_SECONDS, AgentDoor, spare_wanted
from .environment import collect_environment
from .processes import ProcessMark
from .providers import LOCAL, find_provider
from .providers.provider import StartedOptions
from .readiness import Question, check_workers, report
from .starting import WORKER_MODULE

if TYPE_CHECKING:
    from ..recipe import Recipe

PATIENCE_SECONDS = 10.0


def cluster_status(cluster: str = LOCAL) -> dict[str, Any]:
    """What a cluster's agent does; ``cluster`` is ``not running``, and little else is there, when there is none."""
    door = AgentDoor(cluster)
    answer = door.ask_if_there("status")
    if answer is None:
        return {"cluster": "not running", "state": str(places.state_dir())}
    if answer.get("outdated"):
        state = str(places.state_dir())
        return {"cluster": "outdated", "pid": answer["pid"], "running": answer["busy"], "state": state}
    if answer.get("error"):
        raise ClusterError(f"{door} has no status: {answer['error']}. Its log: {door.log}")
    return _shown(door, answer)


def start_cluster(cluster: str = LOCAL, dashboard: bool = False) -> dict[str, Any]:
    """Start a cluster's agent unless it runs; its status. Raises :class:`ClusterError`.

    ``dashboard`` serves Dask's pages of the local cluster on a free port of this machine:
    no password, so everybody who works on this machine can read them.
    """
    find_provider(cluster)
    if dashboard and importlib.util.find_spec("bokeh") is None:
        raise RequestError(
            Problem("Dask's dashboard needs the package bokeh", "none installed", "Run: pip install bokeh")
        )
    door = AgentDoor(cluster)
    door.ask("spare", _spare_wish(collect_environment()), {"dashboard": True} if dashboard else {})
    status = cluster_status(cluster)
    away = status.get("problems", {}).get("scheduler")
    if away:
        raise ClusterError(f"{door} is not there: {away}. Its log: {door.log}")
    if dashboard and not status.get("dashboard"):
        raise ClusterError(f"{door} runs without a dashboard. Stop it first: {door.stop_command}")
    return status


def stop_cluster(force: bool = False, cluster: str = LOCAL) -> dict[str, Any]:
    """Stop a cluster's agent and wait until it is gone.

    With runs going on it refuses (:class:`ClusterError`), unless ``force``: then they
    are cancelled, and it waits until they have saved.
    """
    door = AgentDoor(cluster)
    stopped: list[str] = []
    with door.locked():
        while True:
            try:
                answer = door.ask_if_there("stop")
            except ClusterError:
                if not force:
                    raise
                answer = None
            if answer is None:
                _end_silent(door, force)
                return {"cluster": "stopped", "cancelled": stopped}
            if answer.get("error"):
                raise ClusterError(f"{door} could not stop: {answer['error']}")
            if answer.get("stopping"):
                ProcessMark.of(int(answer["pid"])).wait(ANSWER_SECONDS)
                continue
            runs = answer["busy"]
            if not force:
                raise ClusterError(
                    f"{door} has {len(runs)} unfinished run(s): {', '.join(runs[:5])}. "
                    f"Wait for them, or stop them too with: {door.stop_command} --force"
                )
            _cancel_all([run for run in runs if run not in stopped])
            stopped += [run for run in runs if run not in stopped]
            time.sleep(0.05)


def scale_cluster(workers: int, cluster: str = LOCAL) -> dict[str, Any]:
    """Ask a running cluster for so many workers; those with a run are kept. Raises :class:`ClusterError`."""
    door = AgentDoor(cluster)
    answer = door.ask_if_there("scale", {"workers": workers})
    if answer is None:
        raise ClusterError(f"{door} does not run. Start it first: lepton cluster start {cluster}")
    if answer.get("error"):
        raise ClusterError(f"{door} could not scale: {answer['error']}. Its log: {door.log}")
    return answer


def check_readiness(recipe: Recipe, question: Question) -> None:
    """Ask a cluster's workers whether they can do what ``recipe`` asks; the cluster is started if need be.

    Workers that are still to come cannot be asked; a cluster that others started must have one.
    Raises :class:`RequestError` with everything that is wrong, and :class:`ClusterError`.
    """
    cluster = recipe.resources.cluster
    _, options = find_provider(cluster)
    if cluster == LOCAL and recipe.hosts > 1:
        what, do = f"the run needs {recipe.hosts} machines", "Use --processes, or another --cluster."
        raise RequestError(Problem(what, "the cluster local is this one", do, where="resources.workers"))
    if cluster == LOCAL or not recipe.resources.check_workers:
        return
    answer = AgentDoor(cluster).ask("check", {"question": question.to_dict()})
    here = report({})
    to_come = options.hosts_to_come if isinstance(options, StartedOptions) else 0
    problems = check_workers(recipe, answer["reports"], here, question, to_come)
    for address, text in answer["problems"].items():
        do = "Install Lepton Lab there, of the same version, and start the worker again."
        problems.append(Problem(f"worker {address} cannot take runs", text, do, where="resources.cluster"))
    if not answer["reports"] and not problems and not isinstance(options, StartedOptions):
        do = "Start one, for example: dask worker " + str(getattr(options, "address", "ADDRESS"))
        problems.append(Problem(f"the cluster {cluster} has no worker", "none", do, where="resources.cluster"))
    if problems:
        raise RequestError(*problems)


def _spare_wish(environment: Mapping[str, str]) -> dict[str, Any]:
    return {"environment": dict(environment), "use_spare": spare_wanted(), "worker_module": WORKER_MODULE}


def _end_silent(door: AgentDoor, force: bool) -> None:
    """End a detached process that has lost its socket or never answered."""
    found = read_json(door.identity)
    if not found:
        return
    mark = ProcessMark.from_dict(found)
    mark.send(signal.SIGTERM)
    if not mark.wait(PATIENCE_SECONDS) and force:
        mark.send(signal.SIGKILL)
        mark.wait(PATIENCE_SECONDS)
    for path in (door.identity, door.control):
        path.unlink(missing_ok=True)


def _cancel_all(runs: list[str]) -> None:
    from .handing import request_cancel

    for run in runs:
        folder = RunFolder(places.runs_dir() / run)
        if folder.path.is_dir() and folder.final() is None:
            request_cancel(folder)


def _shown(door: AgentDoor, answer: dict[str, Any]) -> dict[str, Any]:
    keys = (
        "provider",
        "pid",
        "address",
        "devices",
        "free_devices",
        "workers",
        "problems",
        "running",
        "queued",
        "spare",
        "dashboard",
    )
    shown = {key: answer[key] for key in (*keys, "worker_hours", "idle_seconds", "python") if key in answer}
    return {
        "cluster": "running",
        **shown,
        "started": answer["since"],
        "version": str(answer["build"]).partition("-")[0],
        "state": str(places.state_dir()),
        "log": str(door.log),
    }
