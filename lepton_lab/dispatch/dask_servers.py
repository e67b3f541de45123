"""Dask's scheduler and worker as this package runs them: loopback, TLS, no web pages, no configuration of others."""

from __future__ import annotations

from typing import Any

import dask
from distributed import Scheduler, Worker

from .. import places
from .devices import host_devices
from .security import ensure_certificates, security

_LOOPBACK = "127.0.0.1"
_SPARE_THREADS = 16  # beside those that watch a device's run

SETTINGS: dict[str, Any] = {
    # A suspended laptop is no dead worker, and nothing here is worth stealing or spilling.
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    # Then a worker that left may be asked for again.
    "distributed.deploy.lost-worker-timeout": "5s",
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "60s",
    "distributed.diagnostics.nvml": False,
    "distributed.version": 2,
}


class _WithoutPages:
    """No HTTP server: everybody on the machine could read its pages."""

    def start_http_server(self, *arguments: Any, **options: Any) -> None:
        """Dask calls this when it starts."""


class QuietScheduler(_WithoutPages, Scheduler):  # type: ignore[misc]
    pass


class _QuietWorker(_WithoutPages, Worker):  # type: ignore[misc]
    pass


def configure(with_users: bool = False) -> None:
    """Dask's own defaults and :data:`SETTINGS`.

    The user's files (preloads!) are for their clusters: ``with_users`` where this process starts one of those.
    """
    if not with_users:
        dask.config.refresh(paths=[], env={})
    dask.config.set(SETTINGS)


async def start_scheduler(dashboard: bool) -> Any:
    """A scheduler that listens on this machine only; pages on a free loopback port if asked for."""
    ensure_certificates()
    options: dict[str, Any] = {"protocol": "tls", "host": _LOOPBACK, "port": 0, "security": security()}
    if not dashboard:
        return await QuietScheduler(dashboard=False, **options)
    scheduler = await Scheduler(dashboard=True, dashboard_address=f"{_LOOPBACK}:0", **options)
    scheduler.lepton_dashboard = f"http://{_LOOPBACK}:{scheduler.http_server.port}/status"
    return scheduler


async def start_worker(address: str) -> Any:
    """A worker with threads enough to watch a run on each device of this host."""
    folder = places.state_dir() / "dask"
    return await _QuietWorker(
        address,
        nthreads=len(host_devices()) + _SPARE_THREADS,
        name="local",
        host=_LOOPBACK,
        protocol="tls",
        security=security(),
        memory_limit=0,
        local_directory=str(folder),
        dashboard=False,
        lifetime=None,
    )
