"""How one attempt gets to one worker. There are two ways, by whether the worker shares our disk.

A way returns when the attempt is over as far as it can tell, or when the worker has left and it can do no
more. The run folder, not the answer, says how things stand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from .attempt import AttemptPlan, run_attempt
from .shipping.shipment import run_shipped
from .workers import WorkerFacts

Way = Callable[[Any, WorkerFacts, AttemptPlan, asyncio.Event], Awaitable[None]]
"""``await way(client, worker, plan, left)``; ``left`` is set when the worker has left the cluster."""


def way_to(worker: WorkerFacts) -> Way:
    """How attempts get to this worker."""
    return run_shared if worker.shares_home else run_shipped


async def run_shared(client: Any, worker: WorkerFacts, plan: AttemptPlan, left: asyncio.Event) -> None:
    """The worker runs the attempt in the run folder itself.

    Raises what the task raised, which is our fault, and what Dask raises when it loses the worker or itself.
    """
    future = client.submit(
        run_attempt, plan, key=plan.key, pure=False, workers=[worker.address], allow_other_workers=False
    )
    result = asyncio.ensure_future(future.result())
    leaving = asyncio.ensure_future(left.wait())
    try:
        await asyncio.wait((result, leaving), return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            result.result()
        else:
            await future.cancel(force=True)  # or Dask would keep it for a worker of the same address
    finally:
        result.cancel()
        leaving.cancel()
        future.release()
