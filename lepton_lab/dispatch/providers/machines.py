"""What the three clouds share: one virtual machine for the scheduler and one a worker, through dask-cloudprovider.

Machines run one container and shut themselves down when Dask in it ends: the scheduler after ``idle_minutes``
without a task, workers when they lose the scheduler. So they stop even when this machine is gone.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from typing import Any, ClassVar

from ...errors import Problem
from ...recipe.option import option
from .provider import LiveCluster, Provider, StartedOptions
from .started import StartedCluster

_CONFIGURATION = re.compile(r'DASK_INTERNAL_INHERIT_CONFIG="[^"]*"')


class MachineOptions(StartedOptions):
    """Machines and what they run."""

    image: str = option("", "Docker image with this package. docs/clusters.md shows how to make it.")
    disk_gb: int = option(100, "Disk of each machine, in GB.", ge=20, le=1000)


class Machines(Provider):
    """Core of the three. A provider names its cluster class and its own arguments."""

    extra = "cloud"
    is_paid = True
    options = MachineOptions
    start_seconds = 1200.0
    cluster_class: ClassVar[str]
    """``module:Class`` of dask-cloudprovider."""

    def arguments(self, options: Any) -> dict[str, Any]:
        """Arguments of the library's class that this cloud alone has."""
        raise NotImplementedError

    def check(self, options: Any) -> list[Problem]:
        """An image there must be."""
        if options.image:
            return []
        do = "Set --image to one that has this package; docs/clusters.md shows how to make it."
        return [Problem("the machines need a Docker image", "none", do, where="resources.cluster")]

    async def open(self, options: Any) -> LiveCluster:
        """Start the machines. The library makes TLS certificates and hands them over in the machines' user data."""
        return StartedCluster(await self._make(options), {"machines": self.machines(options)})

    def render(self, options: Any) -> str:
        """The cloud-init of the scheduler and of a worker, without the certificates."""
        return asyncio.run(self._render(options))

    def for_rendering(self, options: Any) -> dict[str, Any]:
        """Further arguments where the library wants an account even to write a text."""
        return {}

    def has_gpu(self, options: Any) -> tuple[bool, bool]:
        """Whether the scheduler's machine has a GPU, and whether the workers' have."""
        raise NotImplementedError

    async def _render(self, options: Any) -> str:
        cluster = self._make(options, **self.for_rendering(options))
        try:
            scheduler = cluster.scheduler_class(**cluster.scheduler_options)
            cluster.scheduler_internal_ip, cluster.scheduler_port = "SCHEDULER", 8786
            worker = cluster.worker_class("tls://SCHEDULER:8786", **cluster.worker_options)
            parts = [cluster.render_process_cloud_init(each) for each in (scheduler, worker)]
        finally:
            await cluster.close()
        hidden = [_CONFIGURATION.sub('DASK_INTERNAL_INHERIT_CONFIG="[certificates]"', part).strip() for part in parts]
        return f"# scheduler\n{hidden[0]}\n\n# each worker\n{hidden[1]}\n"

    def _make(self, options: Any, **further: Any) -> Any:
        module, _, name = self.cluster_class.partition(":")
        idle = f"{60 * options.idle_minutes:g}s"
        cluster = getattr(importlib.import_module(module), name)(
            **self.arguments(options),
            **further,
            n_workers=options.workers,
            docker_image=options.image,
            auto_shutdown=True,
            security=True,
            asynchronous=True,
            scheduler_options={"idle_timeout": idle, "dashboard_address": "127.0.0.1:0"},
            worker_options={"death_timeout": "120s", "dashboard": False},
        )
        # The library looks at one machine type for both: drivers would be missing on the workers, or a container
        # that asks for a GPU would never start on the scheduler.
        roles = (cluster.scheduler_options, cluster.worker_options)
        for role, has_gpu in zip(roles, self.has_gpu(options), strict=True):
            role["gpu_instance"] = has_gpu
        return cluster
