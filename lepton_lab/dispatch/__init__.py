"""Where runs go: one agent a cluster, workers from a provider, and one supervisor process a run.

::

    hand_over ──socket──> agent.py (one process a cluster: control server, Dask client, queue of runs;
                            │       of the local cluster also Dask's scheduler and worker)
                            └─ attempt.py (a Dask task)  takes the lease, watches
                                 └─ supervisor.py (own session)  heartbeats, cancels, ends the run
                                      └─ python -m lepton_lab.work.worker

Front ends speak to the detached process over a private Unix socket, so that a
notebook never imports Dask, holds no connection to lose, and can be interrupted,
forked or killed at any time. Importing this package imports no Dask.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cluster import check_readiness, cluster_status, scale_cluster, start_cluster, stop_cluster
    from .environment import collect_environment
    from .handing import cancel_children, hand_over, hand_over_again, request_cancel
    from .waking import wake, wake_all

_HOMES = {
    "cancel_children": "handing",
    "check_readiness": "cluster",
    "cluster_status": "cluster",
    "collect_environment": "environment",
    "hand_over": "handing",
    "hand_over_again": "handing",
    "request_cancel": "handing",
    "scale_cluster": "cluster",
    "start_cluster": "cluster",
    "stop_cluster": "cluster",
    "wake": "waking",
    "wake_all": "waking",
}

__all__ = [
    "cancel_children",
    "check_readiness",
    "cluster_status",
    "collect_environment",
    "hand_over",
    "hand_over_again",
    "request_cancel",
    "scale_cluster",
    "start_cluster",
    "stop_cluster",
    "wake",
    "wake_all",
]


def __getattr__(name: str) -> Any:
    # The supervisor is in this package too, and has no time for what it does not use.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
