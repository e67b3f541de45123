"""Taking over what a former agent left: the unfinished runs of a cluster that were submitted from this host."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator, Mapping

from ..errors import Fenced
from ..record import RunFolder, unfinished_runs
from .endings import end_attempt
from .job import Job
from .order import order_of


def unfinished_jobs(cluster: str, environment: Mapping[str, str]) -> Iterator[Job]:
    """Jobs of runs that an agent of ``cluster`` on this host has to see through.

    They are tried again in ``environment``, which is that of who woke the agent. A run whose
    folder cannot be read ends ``lost``, with the reason.
    """
    for folder in unfinished_runs():
        try:
            order = order_of(folder, environment)
        except (OSError, ValueError, KeyError, TypeError) as error:
            _give_up(folder, f"Its order.json cannot be read: {type(error).__name__}: {error}.")
            continue
        if order is not None and (order.cluster, order.host) == (cluster, platform.node()):
            yield Job(folder, order)


def _give_up(folder: RunFolder, message: str) -> None:
    with contextlib.suppress(OSError, ValueError, KeyError, Fenced):
        if folder.header().get("host") != platform.node():
            return
        attempts = folder.attempts()
        if attempts and attempts[-1].ended() is None:
            attempt = attempts[-1]
        else:
            attempt = folder.take_lease(len(attempts) + 1)
        end_attempt(folder, attempt, {"status": "lost", "reason": "record", "message": message})
