"""A scheduler and a worker on this machine, in the agent's own process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...recipe.option import option
from .provider import LiveCluster, Provider, ProviderOptions

if TYPE_CHECKING:
    from ..renewal import HostCertificates


class LocalOptions(ProviderOptions):
    """The machine that submits has few."""

    dashboard: bool = option(False, "Serve Dask's pages on a free loopback port, without a password.")


@dataclass(frozen=True)
class _LocalCluster:
    scheduler: Any
    worker: Any
    certificates: HostCertificates

    @property
    def address(self) -> str:
        return str(self.scheduler.address)

    @property
    def security(self) -> Any:
        return self.scheduler.security

    async def close(self) -> None:
        await self.worker.close(executor_wait=False)
        await self.scheduler.close()

    async def scale(self, workers: int, idle: Sequence[str] = (), busy: int = 0) -> None:
        """One worker is all there is."""

    def info(self) -> dict[str, Any]:
        return {"dashboard": getattr(self.scheduler, "lepton_dashboard", "")}


class Local(Provider):
    """The machine that submits."""

    name = "local"
    summary = "this machine: a scheduler and a worker that start by themselves and stop when idle"
    options = LocalOptions
    example = "local"

    async def open(self, options: LocalOptions) -> LiveCluster:
        """Start both on loopback, under TLS with certificates of their own."""
        from ..dask_servers import start_scheduler, start_worker
        from ..renewal import HostCertificates

        scheduler = await start_scheduler(options.dashboard)
        return _LocalCluster(scheduler, await start_worker(scheduler.address), HostCertificates())

    def render(self, options: LocalOptions) -> str:
        """Nothing is submitted anywhere."""
        return "# a Dask scheduler and one worker, on loopback and under TLS, in a process of this machine"
