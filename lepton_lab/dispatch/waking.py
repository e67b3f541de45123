"""Seeing that somebody looks after the unfinished runs of this host, after a crash or a restart."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable

from ..record import RunFolder, read_json

_PAUSE_SECONDS = 10.0
_woken: dict[str, float] = {}


def wake(folder: RunFolder) -> bool:
    """Start the agent that has to see this run through, unless it runs; whether there is one to expect.

    Returns at once. False for a run that is over, was never handed over, or was submitted elsewhere.
    """
    return bool(wake_all([folder]))


def wake_all(folders: Iterable[RunFolder]) -> list[str]:
    """:func:`wake` for many runs; the ids of those that an agent of this host sees through."""
    looked_after: list[str] = []
    clusters: set[str] = set()
    for folder in folders:
        order = read_json(folder.path / "order.json") if folder.final() is None else None
        if not order or order.get("host") != platform.node():
            continue
        cluster = str(order["cluster"])
        if cluster not in clusters:
            clusters.add(cluster)
            _start_unless_there(cluster)
        looked_after.append(folder.run)
    return looked_after


def _start_unless_there(cluster: str) -> None:
    from .door import AgentDoor, spare_wanted
    from .environment import collect_environment

    door = AgentDoor(cluster)
    now = time.monotonic()
    # One that was started a moment ago is not to be heard yet.
    if door.is_open() or now - _woken.get(str(door.control), -_PAUSE_SECONDS) < _PAUSE_SECONDS:
        return
    _woken[str(door.control)] = now
    door.start_soon({"environment": collect_environment(), "use_spare": spare_wanted()})
