"""How one attempt gets to one worker. There are two ways, by whether the worker shares our disk.

A way returns when the attempt is over as far as it can tell. The run folder, not the answer, says how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import ClusterError
from .attempt import AttemptPlan, run_attempt
from .workers import WorkerFacts

Way = Callable[[Any, WorkerFacts, AttemptPlan, asyncio.Event], Awaitable[None]]
"""``await way(client, worker, plan, left)``; ``left`` is set when the worker has left the cluster."""


def way_to(worker: WorkerFacts) -> Way:
    """How attempts get to this worker."""
    return run_shared if worker.shares_home else run_shipped


async def run_shared(client: Any, worker: WorkerFacts, plan: AttemptPlan, left: asyncio.Event) -> None:
    """The worker runs the attempt in the run folder itself. Raises what the task raised, which is our fault."""
    future = client.submit(
        run_attempt, plan, key=plan.key, pure=False, workers=[worker.address], allow_other_workers=False
    )
    task = asyncio.ensure_future(future.result())
    leaving = asyncio.ensure_future(left.wait())
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for each in (task, leaving):
            each.cancel()
        future.release()


async def run_shipped(client: Any, worker: WorkerFacts, plan: AttemptPlan, left: asyncio.Event) -> None:
    """The worker gets a copy of the run folder, and what it writes is fetched."""
    raise ClusterError(f"worker {worker.address} on {worker.host} does not share LEPTON_HOME with this machine")
