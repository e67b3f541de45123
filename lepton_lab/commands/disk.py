"""What this product keeps on disk, and what of it can go."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import places
from ..record import RunFolder, aliases, aliases_of, move_alias, read_json, run_folders

_DAY_SECONDS = 86_400.0
# A run folder that is being written has this age at most.
_LEFTOVER_SECONDS = 3600.0


@dataclass(frozen=True)
class DiskUse:
    """One thing on disk. ``what``: checkpoints, run, data, cache, leftover, sample. ``can_go``: prune takes it."""

    what: str
    name: str
    path: Path
    bytes: int
    can_go: bool
    why: str


def disk_uses(
    older_than_days: float | None = None, runs: Iterable[RunFolder] = (), with_promoted: bool = False
) -> list[DiskUse]:
    """Everything that takes room, the largest first.

    Can go: checkpoints of runs that succeeded (their model stays), caches, written data frames that no
    run refers to, leftovers of crashes; and whole runs that are named or ended ``older_than_days`` ago.
    Nothing of a run that has not ended can go, nor a run that an unfinished one builds on, nor, unless
    ``with_promoted``, one that an alias names.
    """
    named = {folder.run for folder in runs}
    folders = list(run_folders())
    living_parents = {folder.header().get("parent") for folder in folders if folder.final() is None}
    promoted = {} if with_promoted else {move.run: word for word, move in aliases().items()}
    found: list[DiskUse] = []
    for folder in folders:
        is_needed, alias = folder.run in living_parents, promoted.get(folder.run, "")
        found += _uses_of_run(folder, folder.run in named, older_than_days, is_needed, alias)
    found += _data_uses(folders)
    is_idle = all(folder.final() is not None for folder in folders)
    why = "made again when needed" if is_idle else "an unfinished run may be using it"
    found += _children(places.cache_dir(), "cache", is_idle, why)
    found += _children(places.samples_dir(), "sample", False, "samples stay")
    if places.runs_dir().is_dir():
        for path in places.runs_dir().glob(".new-*"):
            if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                found.append(DiskUse("leftover", path.name, path, size_of(path), True, "a submission that crashed"))
    return sorted((each for each in found if each.bytes), key=lambda each: -each.bytes)


def free(uses: Iterable[DiskUse], with_promoted: bool = False) -> int:
    """Delete what can go; returns bytes freed.

    A run that came back to life in between, or got an alias, is left alone; with ``with_promoted`` the
    aliases of a run that goes name none any more.
    """
    freed = 0
    for each in uses:
        if not each.can_go:
            continue
        if each.what == "run":
            if RunFolder(each.path).final() is None:
                continue
            words = aliases_of(each.path.name)
            if words and not with_promoted:
                continue
            for word in words:
                move_alias(word, None)
            if places.store_url():
                from ..record.remote import forget_run

                forget_run(each.path.name)
            # Renamed first: a reader sees the whole run or none.
            gone = each.path.with_name(f".old-{each.path.name}")
            each.path.rename(gone)
            shutil.rmtree(gone)
        elif each.path.is_dir() and not each.path.is_symlink():
            shutil.rmtree(each.path)
        else:
            each.path.unlink(missing_ok=True)
        freed += each.bytes
    return freed


def size_of(path: Path, counted: set[tuple[int, int]] | None = None) -> int:
    """Bytes of a file, or of everything in a folder; a hard link counts once.

    What is in ``counted`` (by device and inode) counts no more, and what counts joins it.
    """
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    seen = set() if counted is None else counted
    total = 0
    for parent, _, names in os.walk(path):
        for name in names:
            try:
                about = os.lstat(os.path.join(parent, name))
            except FileNotFoundError:
                continue  # gone while we looked
            if (about.st_dev, about.st_ino) not in seen:
                seen.add((about.st_dev, about.st_ino))
                total += about.st_size
    return total


def _uses_of_run(
    folder: RunFolder, is_named: bool, older_than_days: float | None, is_needed: bool, alias: str
) -> Iterator[DiskUse]:
    header = read_json(folder.path / "run.json") or {}
    final = folder.final()
    title = f"{folder.run} {header.get('kind', '')} {header.get('name') or ''}".strip()
    total = size_of(folder.path)
    if final is None:
        yield DiskUse("run", title, folder.path, total, False, "has not ended")
        return
    age_days = (time.time() - float(final["ended"])) / _DAY_SECONDS
    is_old = older_than_days is not None and age_days >= older_than_days
    if is_needed:
        yield DiskUse("run", title, folder.path, total, False, "another run waits for it")
        return
    if (is_named or is_old) and not alias:
        yield DiskUse("run", title, folder.path, total, True, "named" if is_named else f"ended {age_days:.0f} days ago")
        return
    # Attempts share checkpoints by hard links: the best one of an earlier attempt is linked into the next.
    counted: set[tuple[int, int]] = set()
    for attempt in folder.attempts():
        path = attempt.path / "checkpoints"
        if path.is_dir():
            size = size_of(path, counted)
            done = final["status"] == "succeeded"
            why = "the model is finished" if done else f"the run ended {final['status']}: a resume needs them"
            yield DiskUse("checkpoints", f"{title} attempt {attempt.number}", path, size, done, why)
    why = "its model and record stay" if final["status"] == "succeeded" else f"{final['status']}; its record stays"
    why = f"{alias} names it" if alias else why
    yield DiskUse("run", title, folder.path, size_of(folder.path, counted), False, why)


def _data_uses(folders: list[RunFolder]) -> Iterator[DiskUse]:
    recipes = "\n".join(
        (folder.path / "recipe.yaml").read_text(encoding="utf-8")
        for folder in folders
        if (folder.path / "recipe.yaml").is_file()
    )
    for path in sorted(places.data_dir().iterdir()) if places.data_dir().is_dir() else []:
        is_used = path.name in recipes
        is_fresh = time.time() - path.stat().st_mtime < _LEFTOVER_SECONDS
        why = "a run refers to it" if is_used else "written just now" if is_fresh else "no run refers to it"
        yield DiskUse("data", path.name, path, size_of(path), not is_used and not is_fresh, why)


def _children(folder: Path, what: str, can_go: bool, why: str) -> Iterator[DiskUse]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        yield DiskUse(what, path.name, path, size_of(path), can_go, why)
