"""The way to a cluster's scheduler, which may die and come back, or another one in its place."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from ..redaction import redact
from .providers import LiveCluster, Provider, ProviderOptions
from .renewal import Renewal

_CONNECT_SECONDS = 10.0
"""For a scheduler to answer. One that falls silent is given up after so long, and the provider asked anew."""

_PAUSE_SECONDS = 1.0


class SchedulerAway(ConnectionError):
    """No scheduler answers, for now."""


class Link:
    """The cluster and a client of it, as they are now. Who keeps this, and no client, survives a scheduler."""

    def __init__(self, provider: Provider, options: ProviderOptions) -> None:
        self._provider = provider
        self._options = options
        self._client: Any = None
        self._error = ""
        self._renewal = Renewal()
        self.live: LiveCluster | None = None
        """None as long as there never was one."""

    @property
    def is_up(self) -> bool:
        """Whether a scheduler answers."""
        return self._client is not None and self._client.status == "running"

    @property
    def client(self) -> Any:
        """An asynchronous :class:`distributed.Client`. Raises :class:`SchedulerAway`."""
        if not self.is_up:
            raise SchedulerAway(self.problem)
        return self._client

    @property
    def where(self) -> str:
        """The scheduler's address, or where it is looked for."""
        return self.live.address if self.live is not None else str(getattr(self._options, "path", self._provider.name))

    @property
    def problem(self) -> str:
        """What to say while no scheduler answers."""
        why = f" ({self._error})" if self._error else ""
        return f"no scheduler answers at {self.where}{why}: start one there; runs that wait go on then"

    async def connect(self) -> None:
        """Ask the provider for the cluster, and its scheduler for an answer. Raises what they raise."""
        from distributed import Client

        try:
            if self.live is not None:
                await self.live.close()
            self._renewal = Renewal()
            self.live = await self._provider.open(self._options)
            self._client = await Client(
                self.live.address,
                security=self.live.security,
                asynchronous=True,
                set_as_default=False,
                name="lepton-lab",
                timeout=_CONNECT_SECONDS,
            )
        except Exception as error:
            self._error = redact(f"{type(error).__name__}: {error}")
            raise
        self._error = ""

    async def stay(self) -> None:
        """Connect again whenever a scheduler has been given up, for ever."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            if self._client is None or self._client.status == "closed":
                try:
                    await self.connect()
                except Exception:  # noqa: BLE001  whatever the provider raises, it is tried again
                    print(self.problem, file=sys.stderr)

    async def look_after_certificates(self) -> None:
        """See that the cluster shows certificates that are good, as far as they are ours. Never raises."""
        if self.is_up and self.live is not None:
            await self._renewal.look(self.live.certificates, self._client)

    async def close(self) -> None:
        """Let client and cluster go."""
        if self._client is not None:
            await self._client.close()
        if self.live is not None:
            await self.live.close()
