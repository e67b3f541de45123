"""A scheduler that runs already, by the file that ``dask scheduler --scheduler-file`` wrote."""

from __future__ import annotations

import json
from pathlib import Path

from ...errors import ClusterError, Problem
from ...recipe.option import option
from .address import by_hand
from .connection import ConnectionOptions, FoundCluster, check_address, security_for
from .provider import LiveCluster, Provider


class SchedulerFileOptions(ConnectionOptions):
    """Where the file is."""

    path: str = option("scheduler.json", "The file that dask scheduler --scheduler-file wrote.", aliases=("file",))


class SchedulerFile(Provider):
    """A running scheduler's file, on a disk that this machine reads too."""

    name = "scheduler-file"
    summary = "a scheduler that runs already, by the file that it wrote"
    options = SchedulerFileOptions
    main_option = "path"
    is_found = True
    example = "scheduler-file --path /shared/scheduler.json"

    def check(self, options: SchedulerFileOptions) -> list[Problem]:
        """Whether there is such a file, and whether one may connect to what it says."""
        try:
            return check_address(_address_in(options), options)
        except ClusterError as error:
            do = "Check the path; the scheduler writes it when it starts."
            return [Problem("there is no such scheduler file", str(error), do, where="resources.cluster")]

    async def open(self, options: SchedulerFileOptions) -> LiveCluster:
        """Read again: the scheduler may have been restarted elsewhere."""
        address = _address_in(options)
        return FoundCluster(address, security_for(address, options), {"file": options.path})

    def render(self, options: SchedulerFileOptions) -> str:
        """What to type where the scheduler and the workers are to run."""
        text = by_hand("tcp://0.0.0.0:8786", options)
        return text.replace(" --host", f" --scheduler-file {options.path} --host", 1).replace(
            "dask worker tcp://0.0.0.0:8786", f"dask worker --scheduler-file {options.path}"
        )


def _address_in(options: SchedulerFileOptions) -> str:
    path = Path(options.path).expanduser().absolute()
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["address"])
    except OSError as error:
        raise ClusterError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, KeyError, TypeError):
        raise ClusterError(f"{path} is no scheduler file") from None
