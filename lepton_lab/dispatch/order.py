"""What a front end asks for when it hands a run over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .environment import JobEnvironment


@dataclass(frozen=True)
class RunOrder:
    """How to try a run. ``environment`` reaches the worker and no disk."""

    created: float
    cpus: int | None
    grace_seconds: float
    after: tuple[str, ...]
    parent: str
    use_spare: bool
    worker_module: str
    environment: JobEnvironment = field(default_factory=lambda: JobEnvironment({}))

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> RunOrder:
        """The order in a line on the control socket."""
        return cls(
            created=float(request["created"]),
            cpus=request["cpus"],
            grace_seconds=float(request["grace_seconds"]),
            after=tuple(request["after"]),
            parent=request["parent"],
            use_spare=bool(request["use_spare"]),
            worker_module=request["worker_module"],
            environment=JobEnvironment(request["environment"]),
        )
