"""Handing a run over, and asking for its end."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import places
from ..errors import Fenced
from ..record import LOST_AFTER_SECONDS, RunFolder, children_of, read_json
from .door import AgentDoor, spare_wanted
from .endings import end_attempt
from .environment import JobEnvironment, credential_names
from .order import RunOrder
from .providers import find_provider
from .starting import CONTROLLERS, WORKER_MODULE
from .watching import supervisor_of

if TYPE_CHECKING:
    from ..recipe import Recipe


def hand_over(
    folder: RunFolder,
    recipe: Recipe,
    environment: dict[str, str],
    after: Sequence[str],
    worker_module: str = "",
) -> None:
    """Give a written run to the cluster, which starts it after the runs ``after`` are over.

    ``environment`` reaches the worker and no disk. ``worker_module`` (default: by the kind of run) is for tests.
    Raises :class:`RequestError` for a cluster this version does not know, and
    :class:`ClusterError` when the cluster cannot take the run.
    """
    resources, header = recipe.resources, folder.header()
    find_provider(resources.cluster)
    order = RunOrder(
        cluster=resources.cluster,
        host=platform.node(),
        created=header["created"],
        cpus=resources.cpus,
        workers=1 if recipe.kind in CONTROLLERS else recipe.hosts,
        processes=resources.processes if recipe.kind == "train" else 1,
        gpu=resources.gpu,
        grace_seconds=resources.grace_seconds,
        orphan_grace_seconds=resources.orphan_grace_seconds,
        max_attempts=resources.max_attempts,
        after=tuple(after),
        parent=recipe.parent or "",
        use_spare=spare_wanted(),
        worker_module=worker_module or CONTROLLERS.get(recipe.kind, WORKER_MODULE),
        needs_device=recipe.kind not in CONTROLLERS,
        credentials=tuple(credential_names(environment)),
        environment=JobEnvironment(environment),
    )
    order.write(folder)
    body = {"run_dir": str(folder.path), "order": order.to_dict(), "environment": environment}
    AgentDoor(resources.cluster).ask("submit", body)


def hand_over_again(folder: RunFolder, recipe: Recipe, environment: dict[str, str], after: Sequence[str]) -> None:
    """Let a run that has ended go on with another attempt. Raises what :func:`hand_over` does, and :class:`Fenced`."""
    attempt = folder.reopen()
    if attempt is None:
        raise Fenced(f"run {folder.run} is being resumed by somebody else")
    try:
        events = attempt.writer("dispatch")
        events.status(status="queued", stage="", reason="resumed", message="somebody resumed it", problems=[])
        events.close()
        known = read_json(folder.path / "order.json") or {}
        hand_over(folder, recipe, environment, after, known.get("worker_module", WORKER_MODULE))
    except BaseException:
        folder.close_again(attempt)
        raise


def request_cancel(folder: RunFolder, **why: str) -> None:
    """Ask a run, and those that it controls, to save and stop. A run that nobody looks after ends here and now.

    ``why`` may say the ``reason`` and the ``message`` that the run ends with.
    """
    if folder.final() is not None:
        return
    folder.ask("cancel", **why)
    if folder.header()["kind"] in CONTROLLERS:
        cancel_children(folder)  # its controller may be dead, and would do this only in its next attempt
    attempts = folder.attempts()
    if not attempts or attempts[-1].ended() is not None:
        _cancel_waiting(folder, len(attempts) + 1)
        return
    supervisor = supervisor_of(attempts[-1])
    beat = attempts[-1].heartbeat_time() or float(attempts[-1].lease().get("time", time.time()))
    is_silent = time.time() - beat > LOST_AFTER_SECONDS
    if is_silent and (supervisor is None or not supervisor.is_alive()):
        message = "its supervisor had been lost"
        end_attempt(folder, attempts[-1], {"status": "cancelled", "reason": "cancelled", "message": message})


def cancel_children(folder: RunFolder) -> None:
    """Ask the runs that a run controls to save and stop. The reason that they end with is that run's kind."""
    for child in children_of(folder.run):
        request_cancel(child, reason=str(folder.header()["kind"]), message=f"run {folder.run} was cancelled")


def _cancel_waiting(folder: RunFolder, number: int) -> None:
    """End a run that waits for its first or next attempt, unless that begins right now: then it sees the request."""
    try:
        attempt = folder.take_lease(number)
    except Fenced:
        return
    message = "never started" if number == 1 else "it was waiting for its next attempt"
    end_attempt(folder, attempt, {"status": "cancelled", "reason": "cancelled", "message": message})
    _fail_children(folder)


def _fail_children(parent: RunFolder) -> None:
    """End the runs that wait for a run which will never succeed."""
    cluster = parent.recipe().resources.cluster
    answer = AgentDoor(cluster).ask_if_there("children", {"run": parent.run}) or {}
    for run in answer.get("children", []):
        folder = RunFolder(places.runs_dir() / run)
        try:
            attempt = folder.take_lease(1)
        except (Fenced, FileNotFoundError):
            continue
        message = f"its parent run {parent.run} ended cancelled"
        end_attempt(folder, attempt, {"status": "failed", "reason": "parent", "message": message})
        _fail_children(folder)
