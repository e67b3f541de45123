"""What a front end asks for when it hands a run over, and what of it may be on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..record import RunFolder, read_json, write_json
from .environment import JobEnvironment

_FILE = "order.json"


@dataclass(frozen=True)
class RunOrder:
    """How to try a run. ``environment`` reaches the worker and no disk."""

    cluster: str
    host: str
    """Of the submitter: its agent answers for the run."""
    created: float
    cpus: int | None
    grace_seconds: float
    orphan_grace_seconds: float
    max_attempts: int
    after: tuple[str, ...]
    parent: str
    use_spare: bool
    worker_module: str
    workers: int = 1
    """Hosts that it needs at once."""
    processes: int = 1
    """On each of them."""
    gpu: bool = False
    """Whether it goes to no worker without a GPU."""
    needs_device: bool = True
    """False: it runs beside the agent, whatever the devices do."""
    credentials: tuple[str, ...] = ()
    """Names of variables that the submitter had and that look like credentials."""
    environment: JobEnvironment = field(default_factory=lambda: JobEnvironment({}))

    def with_environment(self, environment: Mapping[str, str]) -> RunOrder:
        """The same order from somebody with these variables."""
        return replace(self, environment=JobEnvironment(dict(environment)))

    def missing_credentials(self) -> list[str]:
        """Credentials that the submitter had and this environment has not."""
        return [name for name in self.credentials if name not in self.environment.values]

    def to_dict(self) -> dict[str, Any]:
        """The order without the values of the environment."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "environment"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], environment: Mapping[str, str]) -> RunOrder:
        """The order that :meth:`to_dict` gave, in this environment."""
        lists = {name: tuple(values[name]) for name in ("after", "credentials")}
        return cls(**{**values, **lists, "environment": JobEnvironment(dict(environment))})

    def write(self, folder: RunFolder) -> None:
        """Keep the order in the run's folder, for the next agent."""
        write_json(folder.path / _FILE, self.to_dict())


def order_of(folder: RunFolder, environment: Mapping[str, str]) -> RunOrder | None:
    """The order of a run that was handed over, in this environment; None for a run that was not.

    Raises ValueError, KeyError or TypeError for a file that is broken.
    """
    found = read_json(folder.path / _FILE)
    return RunOrder.from_dict(found, environment) if found else None
