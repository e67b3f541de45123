"""Writing checkpoints so that the older one stays until the new one is whole, and keeping only some."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ...record import COMPLETE_MARK, WRITING, checkpoints_in, is_complete, read_json, remove_checkpoint, write_json


@contextlib.contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A fresh folder in ``folder`` to write checkpoints into; it is gone afterwards, with what was not taken out."""
    aside = folder / WRITING
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def put_in_place(path: Path, folder: Path) -> Path:
    """Move a whole checkpoint into ``folder``; an older one of the same step goes only then."""
    place, old = folder / path.name, path.with_name(f"old-{path.name}")
    if place.exists():
        place.rename(old)
    path.rename(place)
    sync_folder(folder)
    shutil.rmtree(old, ignore_errors=True)
    return place


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def adopt(path: Path, folder: Path) -> Path:
    """The same checkpoint in ``folder``: links to its files where the file system has them, else copies."""
    if path.parent == folder:
        return path
    place = folder / path.name
    if is_complete(place):
        return place
    with written_aside(folder) as aside:
        copy = aside / path.name
        shutil.copytree(path, copy, copy_function=_link_or_copy, ignore=shutil.ignore_patterns(COMPLETE_MARK))
        mark = read_json(path / COMPLETE_MARK)
        write_json(copy / COMPLETE_MARK, mark)
        return put_in_place(copy, folder)


def drop_old(folder: Path, limit: int, best: str | None) -> None:
    """Keep the newest ``limit`` checkpoints; the best one always stays and counts."""
    found = checkpoints_in(folder)
    kept = [each for each in found if best and each == Path(best)]
    for each in reversed(found):
        if each not in kept and len(kept) < max(limit, 1 + (each == found[-1])):
            kept.append(each)
    for each in found:
        if each not in kept:
            remove_checkpoint(each)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
