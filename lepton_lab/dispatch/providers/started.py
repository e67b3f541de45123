"""Cluster objects of Dask's own kind, as the agent wants them."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .provider import ProviderOptions
from .words import plain_options

if TYPE_CHECKING:
    from ..renewal import HostCertificates


@dataclass(frozen=True)
class StartedCluster:
    """A ``SpecCluster`` or one that behaves like it: SSH, job queues, virtual machines."""

    cluster: Any
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return str(self.cluster.scheduler_address)

    @property
    def security(self) -> Any:
        return self.cluster.security

    @property
    def certificates(self) -> HostCertificates | None:
        """The library makes its own."""
        return None

    async def scale(self, workers: int, idle: Sequence[str] = (), busy: int = 0) -> None:
        """Grow by number. Shrink by name: Dask itself would end whichever worker came last, busy or not."""
        spec = self.cluster.worker_spec
        if workers >= len(spec):
            await finished(self.cluster.scale(workers))
            return
        connected = {str(info["name"]) for info in self.cluster.scheduler_info["workers"].values()}
        unborn = [name for name in spec if str(name) not in connected]
        free = [name for name in spec if str(name) in connected and str(name) in set(idle)]
        await finished(self.cluster.scale_down([*unborn, *free][: len(spec) - workers]))

    async def close(self) -> None:
        await finished(self.cluster.close())

    def info(self) -> dict[str, Any]:
        return dict(self.facts)


def name_of(provider: str, options: ProviderOptions) -> str:
    """The same name for the same options: a cluster that outlived its agent is found by it. A DNS label."""
    key = json.dumps([provider, plain_options(options)], sort_keys=True)
    return f"lepton-{provider}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


async def finished(value: Any) -> Any:
    """What an awaitable gives, or the value itself: Dask's cluster classes do not agree."""
    return await value if inspect.isawaitable(value) else value
