"""Machines that Coiled starts in somebody's cloud account.

Coiled ends a cluster two minutes after its last client has gone. The agent is a client that stays; should it die,
the cluster must live until the next agent finds it by its name. So ``shutdown_on_close`` is off, which turns those
two minutes off too, and ``idle_timeout`` ends what nobody uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ...errors import Problem
from ...recipe.option import option
from ...telemetry import NO_TELEMETRY
from .provider import LiveCluster, Provider, StartedOptions
from .started import StartedCluster, finished, name_of

# Coiled's service needs to know of its machines, not of the code that runs there.
_SILENT = {
    "coiled.analytics.disabled": True,
    "coiled.analytics.client-spans.transmit": False,
    "coiled.analytics.computation.code.transmit": False,
}


class CoiledOptions(StartedOptions):
    """Coiled's own words."""

    workspace: str | None = option(None, "Coiled workspace, whose cloud account pays. Default: yours.")
    region: str | None = option(None, "Region of the machines. Default: the workspace's.")
    vm_type: str | None = option(None, "Machine type of the workers, such as g5.xlarge.")
    cores: int | None = option(None, "Cores of each worker, where no machine type is given.", ge=1)
    memory: str | None = option(None, "Memory of each worker, as in 16GiB.")
    gpu: bool = option(False, "Workers with a GPU.")
    container: str | None = option(None, "Container image. Default: the packages of this environment are copied.")
    software: str | None = option(None, "Coiled software environment, instead of either.", advanced=True)
    spot: bool = option(False, "Cheaper machines that may be taken away; runs go on from their last checkpoint.")


class Coiled(Provider):
    """Coiled."""

    name = "coiled"
    summary = "machines that Coiled starts in a cloud account"
    extra = "coiled"
    packages = ("coiled",)
    options = CoiledOptions
    start_seconds = 1200.0
    environment = ("COILED_*", "DASK_COILED__*")
    is_paid = True
    example = "coiled --vm-type g5.xlarge --workers 2"

    def check(self, options: CoiledOptions) -> list[Problem]:
        """Options that exclude each other."""
        if options.vm_type and (options.cores or options.memory):
            do = "Leave --vm-type out, or --cores and --memory."
            got = f"--vm-type {options.vm_type} and cores or memory"
            return [Problem("a machine type says what a machine has", got, do, where="resources.cluster")]
        return []

    async def open(self, options: CoiledOptions) -> LiveCluster:
        """Start the cluster, or find the one of this name that runs."""
        import coiled
        import dask

        dask.config.set(_SILENT)
        cluster = await coiled.Cluster(**cluster_arguments(options), asynchronous=True)
        return _CoiledCluster(cluster, {"name": cluster.name})

    def render(self, options: CoiledOptions) -> str:
        """What Coiled is asked for."""
        return yaml.safe_dump({"coiled.Cluster": cluster_arguments(options)}, sort_keys=False)

    def machines(self, options: CoiledOptions) -> dict[str, int]:
        """Workers and the scheduler; Coiled chooses the scheduler's type, and the workers' where none is given."""
        return {options.vm_type or "workers chosen by Coiled": options.workers, "the scheduler's machine": 1}


@dataclass(frozen=True)
class _CoiledCluster(StartedCluster):
    async def scale(self, workers: int, idle: Sequence[str] = (), busy: int = 0) -> None:
        """By number; never fewer than are busy."""
        await finished(self.cluster.scale(max(workers, busy)))

    async def close(self) -> None:
        await finished(self.cluster.close(force_shutdown=True, reason="idle, or stopped by its user"))


def cluster_arguments(options: CoiledOptions) -> dict[str, Any]:
    """Arguments of ``coiled.Cluster``."""
    found: dict[str, Any] = {
        "name": name_of("coiled", options),
        "n_workers": options.workers,
        "workspace": options.workspace,
        "region": options.region,
        "worker_vm_types": [options.vm_type] if options.vm_type else None,
        "worker_cpu": options.cores,
        "worker_memory": options.memory,
        "worker_gpu": True if options.gpu else None,
        "container": options.container,
        "software": options.software,
        "spot_policy": "spot_with_fallback" if options.spot else None,
    }
    always = {
        "shutdown_on_close": False,
        "no_client_timeout": None,
        "idle_timeout": f"{60 * options.idle_minutes:g}s",
        "credentials": None,  # a run brings its own; the submitter's cloud login stays here
        "send_dask_config": False,
        "environ": {**NO_TELEMETRY, "DASK_COILED__ANALYTICS__DISABLED": "True"},
        "allow_ingress_from": "me",
        "show_widget": False,
    }
    return {**{name: value for name, value in found.items() if value is not None}, **always}
