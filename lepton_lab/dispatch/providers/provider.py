"""What a provider is: it turns a word that a user typed into a Dask cluster that runs can go to.

A provider is one small file and one line in :data:`lepton_lab.registry.PROVIDERS`; a third
party adds one through the entry-point group ``lepton_lab.providers``. Its options are written
once, in its :class:`ProviderOptions`: the flags of ``lepton cluster use`` and the words after
its name derive from them. Importing one imports neither Dask nor the library of its cluster:
front ends ask providers what a word means.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ...errors import Problem
from ...recipe.option import option
from ...recipe.section import Section
from .words import read_options

if TYPE_CHECKING:
    from ..renewal import HostCertificates


class ProviderOptions(Section):
    """What a word says of a cluster. Providers add their fields. Holds no secret: it is saved, shown and logged."""


class StartedOptions(ProviderOptions):
    """Options of a provider that starts workers and stops them again."""

    workers: int = option(1, "Workers to start.", ge=1, le=10_000)
    idle_minutes: float = option(15.0, "Without a run for so long, the cluster stops by itself.", gt=0, le=10_080)

    @property
    def hosts_to_come(self) -> int:
        """How many hosts there may be once all have started."""
        return self.workers


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

    @property
    def certificates(self) -> HostCertificates | None:
        """How its processes get new certificates; None where they do not show those of this host."""
        ...

    async def close(self) -> None:
        """Let go of the cluster; end it if this provider started it. Never raises for one that is gone."""
        ...

    async def scale(self, workers: int, idle: Sequence[str] = (), busy: int = 0) -> None:
        """Ask for so many workers; does nothing where others decide that.

        ``idle`` are the names of workers without a run, of which alone some may be taken away; ``busy`` is how
        many have one.
        """
        ...

    def info(self) -> dict[str, Any]:
        """What a user wants to know of it, by name, as JSON values: ``dashboard``, ``price``, ``job_ids`` …"""
        ...


class Provider:
    """Where workers come from. A provider fills in what it needs of this."""

    name: ClassVar[str]
    """The word that names it: ``local``, ``slurm`` …"""
    summary: ClassVar[str]
    """One line for ``lepton cluster`` and the documents."""
    extra: ClassVar[str] = ""
    """The extra of this package that brings what it needs; empty if nothing."""
    packages: ClassVar[tuple[str, ...]] = ()
    """What it imports, by import name."""
    options: ClassVar[type[ProviderOptions]] = ProviderOptions
    main_option: ClassVar[str] = ""
    """The option that a value without a name means, as in ``ssh:node1,node2``."""
    environment: ClassVar[tuple[str, ...]] = ()
    """Variables that its library reads (``*`` for any ending). They reach the agent's memory and no disk."""
    start_seconds: ClassVar[float] = 60.0
    """How long starting may take."""
    is_found: ClassVar[bool] = False
    """Whether others start and stop its scheduler, which may be away for a while."""
    is_paid: ClassVar[bool] = False
    """Whether somebody pays for it by the hour."""
    paid_by: ClassVar[str] = ""
    """Who pays, where it is not the account that this machine's credentials belong to."""
    example: ClassVar[str] = ""
    """What to type after ``lepton cluster use``."""

    def parse(self, word: str) -> Any:
        """The options that ``word`` says, or None if it is a word of another provider.

        Raises :class:`~lepton_lab.errors.RequestError` for a word of this one that is wrong.
        """
        name, colon, rest = word.partition(":")
        if name != self.name:
            return None
        return read_options(self.options, rest if colon else "", self.main_option, f"the cluster {word!r}")

    def missing(self) -> list[str]:
        """Packages it needs that are not installed."""
        return [package for package in self.packages if _is_missing(package)]

    def install_command(self) -> str:
        """What brings the missing packages."""
        return f"pip install 'lepton-lab[{self.extra}]'"

    def check(self, options: Any) -> list[Problem]:
        """What is wrong with ``options`` beyond their schema: a missing file, a connection without TLS."""
        return []

    async def open(self, options: Any) -> LiveCluster:
        """Start the cluster, or connect to it. Called in the agent's event loop, once.

        Raises :class:`~lepton_lab.errors.ClusterError`, or what the library raises.
        """
        raise NotImplementedError

    def render(self, options: Any) -> str:
        """What ``open`` would submit, as text: a job script, a manifest; a sentence where there is nothing."""
        raise NotImplementedError

    def machines(self, options: Any) -> dict[str, int]:
        """Machine type → how many are paid for, by the names of the price table."""
        return {}


def _is_missing(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is None
    except ModuleNotFoundError:  # the parent of a dotted name
        return True
