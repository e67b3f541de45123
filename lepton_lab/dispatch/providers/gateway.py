"""A cluster that a Dask Gateway server starts for its users, as on many shared hubs.

It must outlive the agent, so that the next one finds it (``shutdown_on_close`` is off); and it must not live for ever
when there is no next one, so its scheduler is told when to end, whatever the server says of idle clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from ... import places
from ...errors import Problem
from ...recipe.option import option
from ...record import read_json, write_json
from .connection import PlainOptions, check_plain, is_loopback
from .provider import LiveCluster, Provider, StartedOptions
from .started import finished, name_of


class GatewayOptions(StartedOptions, PlainOptions):
    """Which server, and what to ask it for. Tokens come from the hub's environment."""

    address: str | None = option(None, "Address of the gateway server. Default: what the hub's Dask settings say.")
    proxy_address: str | None = option(None, "Address of its proxy for schedulers, if another.", advanced=True)
    auth: str | None = option(None, "How to log in: jupyterhub or kerberos. Default: what the hub's settings say.")
    settings: list[str] = option([], "An option of that server's clusters, as NAME=VALUE.", flag="setting")


class Gateway(Provider):
    """Dask Gateway. The cluster outlives its client (``shutdown_on_close=False``) and is ended by name."""

    name = "gateway"
    summary = "a Dask Gateway server, as on many shared hubs"
    extra = "gateway"
    packages = ("dask_gateway",)
    options = GatewayOptions
    start_seconds = 600.0
    main_option = "address"
    paid_by = "whoever runs the gateway; its prices are not known here"
    environment = ("JUPYTERHUB_*", "DASK_GATEWAY__*", "KRB5*")
    example = "gateway --address https://gateway.example.org --setting worker_cores=4 --workers 2"

    def check(self, options: GatewayOptions) -> list[Problem]:
        """The address, and whether it is encrypted; settings by name and value."""
        problems = []
        parts = urlsplit(options.address or "https://hub")
        if parts.scheme not in ("http", "https"):
            do = "Write https://HOST."
            problems.append(Problem("a gateway has an address", repr(options.address), do, where="resources.cluster"))
        elif parts.scheme == "http":
            problems += check_plain(str(options.address), is_loopback(str(options.address)), options)
        if options.auth not in (None, "jupyterhub", "kerberos"):
            do = "Set --auth jupyterhub or --auth kerberos, or leave it out."
            problems.append(
                Problem("there is no such way to log in", repr(options.auth), do, where="resources.cluster")
            )
        for each in options.settings:
            if "=" not in each:
                do = "Write NAME=VALUE."
                problems.append(Problem("a setting has a name and a value", repr(each), do, where="resources.cluster"))
        return problems

    async def open(self, options: GatewayOptions) -> LiveCluster:
        """Find the cluster of an agent that died, or ask for a new one."""
        from dask_gateway import GatewayCluster
        from dask_gateway.client import ClusterStatus, Gateway

        memory = _memory(name_of(self.name, options))
        known = (read_json(memory) or {}).get("cluster")
        server = {**server_arguments(options), "asynchronous": True}
        if known:
            async with Gateway(**server) as gateway:
                alive = {each.name for each in await gateway.list_clusters(status=ClusterStatus.RUNNING)}
            known = known if known in alive else None
        if known:
            cluster = await GatewayCluster.from_name(known, shutdown_on_close=False, **server)
        else:
            cluster = await GatewayCluster(**cluster_arguments(options), asynchronous=True)
            write_json(memory, {"cluster": cluster.name}, mode=0o600)
            await cluster.scale(options.workers)  # one that was found may have runs on more than these
        await _sleep_when_idle(cluster, 60 * options.idle_minutes)
        return _GatewayCluster(cluster, memory)

    def render(self, options: GatewayOptions) -> str:
        """What the server is asked for."""
        return yaml.safe_dump({"GatewayCluster": cluster_arguments(options)}, sort_keys=False)


def server_arguments(options: GatewayOptions) -> dict[str, Any]:
    """Where the server is, as the library's classes take it."""
    return {"address": options.address, "proxy_address": options.proxy_address, "auth": options.auth}


def cluster_arguments(options: GatewayOptions) -> dict[str, Any]:
    """Arguments of ``GatewayCluster``."""
    pairs = (each.split("=", 1) for each in options.settings)
    settings = {name.strip(): yaml.safe_load(value) for name, value in pairs}
    return {**server_arguments(options), "shutdown_on_close": False, **settings}


async def _sleep_when_idle(cluster: Any, seconds: float) -> None:
    """Have the scheduler end when nobody uses it, as the server may not: should this agent die, nobody else would."""
    from distributed import Client

    options: dict[str, Any] = {"asynchronous": True, "set_as_default": False}
    async with Client(cluster.scheduler_address, security=cluster.security, **options) as client:
        await client.run_on_scheduler(idle_watch(seconds))


def idle_watch(seconds: float) -> Callable[..., None]:
    """What to run on a scheduler once. It travels by value: the gateway's scheduler need not have this package."""

    def watch(dask_scheduler: Any) -> None:
        from tornado.ioloop import PeriodicCallback

        dask_scheduler.idle_timeout = seconds
        former = dask_scheduler.periodic_callbacks.pop("idle-timeout", None)
        if former is not None:
            former.stop()
        callback = PeriodicCallback(dask_scheduler.check_idle, seconds * 1000 / 4)
        dask_scheduler.periodic_callbacks["idle-timeout"] = callback
        callback.start()

    return watch


def _memory(name: str) -> Path:
    """Which cluster is ours: the server chooses the names."""
    return places.state_dir() / f"{name}.json"


@dataclass(frozen=True)
class _GatewayCluster:
    cluster: Any
    memory: Path
    certificates: None = None
    """The gateway's server makes them."""

    @property
    def address(self) -> str:
        return str(self.cluster.scheduler_address)

    @property
    def security(self) -> Any:
        return self.cluster.security

    async def scale(self, workers: int, idle: Sequence[str] = (), busy: int = 0) -> None:
        """By number; the scheduler names idle workers first, so never fewer than are busy."""
        await finished(self.cluster.scale(max(workers, busy)))

    async def close(self) -> None:
        """By name and for good: closing alone would leave it running."""
        await finished(self.cluster.close(shutdown=True))
        self.memory.unlink(missing_ok=True)

    def info(self) -> dict[str, Any]:
        return {"name": self.cluster.name, "dashboard": self.cluster.dashboard_link}
