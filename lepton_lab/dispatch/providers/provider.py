"""What a provider is: it turns a word that a user typed into a Dask cluster that runs can go to.

A provider is one small file and one line in :data:`lepton_lab.registry.PROVIDERS`; a third
party adds one through the entry-point group ``lepton_lab.providers``. Importing one imports
neither Dask nor the library of its cluster: front ends ask providers what a word means.
"""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict


class ProviderOptions(BaseModel):
    """What a word says of a cluster. Providers add their fields. Holds no secret: it is shown and logged."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LiveCluster(Protocol):
    """A scheduler that can be connected to. Its workers may come and go."""

    @property
    def address(self) -> str:
        """Of the scheduler: ``tls://host:port``, ``tcp://host:port`` …"""
        ...

    @property
    def security(self) -> Any:
        """The :class:`distributed.security.Security` to connect with, or None."""
        ...

    async def close(self) -> None:
        """Let go of the cluster; end it if this provider started it. Never raises for one that is gone."""
        ...

    async def scale(self, workers: int) -> None:
        """Ask for so many workers; does nothing where others decide that."""
        ...

    def info(self) -> dict[str, Any]:
        """What a user wants to know of it, by name, as JSON values: ``dashboard``, ``price``, ``job_ids`` …"""
        ...


class Provider(Protocol):
    """Where workers come from."""

    name: str
    """The word that names it: ``local``, ``slurm`` …"""
    extra: str
    """The extra of this package that brings what it needs; empty if nothing."""
    summary: str
    """One line for ``lepton cluster`` and the documents."""

    def parse(self, word: str) -> ProviderOptions | None:
        """The options that ``word`` says, or None if it is a word of another provider.

        Raises :class:`~lepton_lab.errors.RequestError` for a word of this one that is wrong.
        """
        ...

    def missing(self) -> list[str]:
        """Packages it needs that are not installed."""
        ...

    async def open(self, options: Any) -> LiveCluster:
        """Start the cluster, or connect to it. Called in the agent's event loop, once.

        Raises :class:`~lepton_lab.errors.ClusterError`, or what the library raises.
        """
        ...

    def render(self, options: Any) -> str:
        """What ``open`` would submit, as text: a job script, a manifest; a sentence where there is nothing."""
        ...
