"""How one host gets its part of an attempt. There are two ways, by whether its worker shares our disk.

The run folder, not what a way returns, says how things stand.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from .attempt import AttemptPlan, run_attempt
from .link import Link
from .shipping.shipment import Shipment
from .workers import WorkerFacts


class Way(Protocol):
    """Four steps. On the hosts of a gang each is done everywhere before the next begins anywhere.

    The first two raise :class:`GivenUp` when the worker has left or nobody wants the run any more.
    """

    async def clear(self) -> None:
        """End what earlier attempts left there, and take it home."""
        ...

    async def send(self) -> None:
        """Bring what the attempt needs."""
        ...

    async def run(self) -> None:
        """Begin; return when it is over as far as this can tell, or when the worker has left.

        Raises what the task raised, which is our fault, and what Dask raises when it loses the worker or itself.
        """
        ...

    async def forget(self) -> None:
        """Leave nothing behind."""
        ...


def way_to(link: Link, worker: WorkerFacts, plan: AttemptPlan, left: asyncio.Event) -> Way:
    """How an attempt gets to this worker; ``left`` is set when that has left the cluster."""
    kind = SharedDisk if worker.shares_home else Shipment
    return kind(link, worker, plan, left)


class SharedDisk:
    """The worker runs the attempt in the run folder itself."""

    def __init__(self, link: Link, worker: WorkerFacts, plan: AttemptPlan, left: asyncio.Event) -> None:
        self._link = link
        self._worker = worker
        self._plan = plan
        self._left = left

    async def clear(self) -> None:
        """Earlier attempts see on the disk that they have ended."""

    async def send(self) -> None:
        """All of it is there."""

    async def run(self) -> None:
        """As of :meth:`Way.run`."""
        future = self._link.client.submit(
            run_attempt, self._plan, key=self._plan.key, pure=False, workers=[self._worker.address],
            allow_other_workers=False,
        )  # fmt: skip
        result = asyncio.ensure_future(future.result())
        leaving = asyncio.ensure_future(self._left.wait())
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

    async def forget(self) -> None:
        """The run folder stays."""
