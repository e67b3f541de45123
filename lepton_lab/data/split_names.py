"""What people call their splits."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .notes import Notes, name_values
from .splits import SPLIT_NAMES

_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development", "eval"),
    "test": ("test", "testing"),
}


def split_of(name: str) -> str | None:
    """``train``, ``validation`` or ``test`` if ``name`` (``dev``, ``train-00000-of-00002``) is one, else None."""
    words = re.split(r"[^a-z]+", name.casefold())
    for word in words:
        for split, known in _WORDS.items():
            if word in known:
                return split
    return None


def map_splits(names: Iterable[str], notes: Notes, where: str) -> dict[str, str]:
    """Split → its name in the data. One name alone is the training split; others that fit nothing are left out."""
    names = list(names)
    found: dict[str, str] = {}
    for split in SPLIT_NAMES:
        fits = [name for name in names if split_of(name) == split]
        if fits:
            found[split] = split if split in fits else fits[0]
    if not found and len(names) == 1:
        return {"train": names[0]}
    unused = [name for name in names if name not in found.values()]
    if unused:
        notes.warn(
            "some splits of the data set are not used",
            name_values(unused),
            "Give one with --validation-dataset or --test-dataset if it is meant.",
            where,
        )
    return found
