"""What was mirrored of one run. Its being there says that the run is to be mirrored.

::

    tracking/KEY/open/RUN.json    to be mirrored, or being mirrored
    tracking/KEY/done/RUN.json    mirrored whole

It is written behind what it tells of. So after a crash something may be there that it does not know of;
whoever goes on asks the server which run, which steps and which version it has.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..record import read_json, write_json
from .target import Target


@dataclass
class Cursor:
    """``mlflow_run`` is the run's id there, empty before it has one; ``sent`` are the digests of artifacts by name.

    ``state`` is the last status that was sent, ``has_params`` whether the recipe was.
    """

    run: str
    experiment: str
    mlflow_run: str = ""
    has_params: bool = False
    state: str = ""
    sent: dict[str, str] = field(default_factory=dict)

    def write(self, target: Target) -> None:
        """Keep it."""
        path = target.folder / "open" / f"{self.run}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(self))

    def close(self, target: Target) -> None:
        """Say that the run is mirrored whole."""
        self.write(target)
        done = target.folder / "done"
        done.mkdir(exist_ok=True)
        os.replace(target.folder / "open" / f"{self.run}.json", done / f"{self.run}.json")

    @classmethod
    def read(cls, target: Target, run: str) -> Cursor | None:
        """The cursor of a run, or None where it was never to be mirrored."""
        found: Any = read_json(target.folder / "open" / f"{run}.json")
        found = found or read_json(target.folder / "done" / f"{run}.json")
        return cls(**found) if found else None

    @classmethod
    def reopen(cls, target: Target, run: str) -> bool:
        """Mirror again a run that was mirrored whole: something about it changed. Whether there was one."""
        (target.folder / "open").mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.replace(target.folder / "done" / f"{run}.json", target.folder / "open" / f"{run}.json")
        return (target.folder / "open" / f"{run}.json").is_file()


def open_runs(target: Target) -> list[str]:
    """Runs that are not mirrored whole."""
    return _runs_in(target.folder / "open")


def done_runs(target: Target) -> list[str]:
    """Runs that are mirrored whole."""
    return _runs_in(target.folder / "done")


def _runs_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("[!.]*.json")) if folder.is_dir() else []
