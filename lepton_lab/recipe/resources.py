"""What a run may use, and where."""

from __future__ import annotations

from .option import option
from .section import Section

_TRAINING = ("train", "sweep")


class ResourcesConfig(Section):
    """Place, cores and patience of a run."""

    cluster: str = option(
        "local",
        "Where the run goes: local, an address, a cluster of yours or a provider. Default: what cluster use chose.",
    )
    gpu: bool = option(False, "The run needs a GPU: refuse a cluster whose workers have none.")
    check_workers: bool = option(
        True, "Look at the workers of a cluster before the run leaves: versions, packages, data.", advanced=True
    )
    cpus: int | None = option(None, "Cores (threads) of the run. Default: all that the worker has.", ge=1)
    processes: int = option(
        1,
        "Processes that train the model together on one machine, such as one a GPU. Each takes a whole batch.",
        ge=1,
        kinds=_TRAINING,
    )
    workers: int = option(
        1,
        "Machines that train the model together, with --processes each. What they say to each other is not encrypted.",
        flag="machines",
        ge=1,
        advanced=True,
        kinds=_TRAINING,
    )
    grace_seconds: float = option(30.0, "Time a cancelled run has to save before it is killed.", ge=0, advanced=True)
    orphan_grace_seconds: float = option(
        60.0, "Time a run goes on without its supervisor before it saves and leaves.", ge=0, advanced=True
    )
    max_attempts: int = option(
        4,
        "Attempts in a row that may come to no new checkpoint, because a process or machine was taken away; then the "
        "run fails.",
        ge=1,
        advanced=True,
    )
