"""Names of objects."""

from __future__ import annotations

from collections.abc import Iterable

REQUESTS = ("cancel", "save")


def key_of(run: str, relative: str) -> str:
    """The object of a file of a run folder."""
    return f"runs/{run}/{relative}"


def manifest_key(run: str, relative: str) -> str:
    """What says that the artifact at ``relative`` is whole, and of which files."""
    return f"runs/{run}/manifests/{relative}.json"


def segment_key(folder: str, start: int) -> str:
    """The segment of an event file that begins at byte ``start``."""
    return f"{folder}/{start:012d}.jsonl"


def segment_starts(names: Iterable[str]) -> list[int]:
    """Where segments begin, by their names, rising."""
    stems = (name.removesuffix(".jsonl") for name in names)
    return sorted(int(stem) for stem in stems if stem.isdigit())
