"""A scheduler and a worker on this machine, in the agent's own process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .provider import LiveCluster, ProviderOptions


class LocalOptions(ProviderOptions):
    """``dashboard``: serve Dask's pages on a free loopback port."""

    dashboard: bool = False


@dataclass(frozen=True)
class _LocalCluster:
    scheduler: Any
    worker: Any

    @property
    def address(self) -> str:
        return str(self.scheduler.address)

    @property
    def security(self) -> Any:
        return self.scheduler.security

    async def close(self) -> None:
        await self.worker.close(executor_wait=False)
        await self.scheduler.close()

    async def scale(self, workers: int) -> None:
        """One worker is all there is."""

    def info(self) -> dict[str, Any]:
        return {"dashboard": getattr(self.scheduler, "lepton_dashboard", "")}


class Local:
    """The machine that submits."""

    name = "local"
    extra = ""
    summary = "this machine: a scheduler and a worker that start by themselves and stop when idle"

    def parse(self, word: str) -> LocalOptions | None:
        """Options for ``local``."""
        return LocalOptions() if word == self.name else None

    def missing(self) -> list[str]:
        """Nothing: this package needs Dask anyway."""
        return []

    async def open(self, options: LocalOptions) -> LiveCluster:
        """Start both on loopback, under TLS with certificates of their own."""
        from ..dask_servers import start_scheduler, start_worker

        scheduler = await start_scheduler(options.dashboard)
        return _LocalCluster(scheduler, await start_worker(scheduler.address))

    def render(self, options: LocalOptions) -> str:
        """Nothing is submitted anywhere."""
        return "A Dask scheduler and one worker, on loopback and under TLS, in a process of this machine."
