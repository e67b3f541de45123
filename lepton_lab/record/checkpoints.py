"""Checkpoints that are either whole or not there.

A checkpoint counts once ``complete.json`` lies in it, written last, with the size of every file.
Standard library only.
"""

from __future__ import annotations

from pathlib import Path

from .files import read_json, write_json
from .folder import RunFolder

COMPLETE_MARK = "complete.json"


def checkpoint_step(path: Path) -> int:
    """The step at which a checkpoint was written; -1 if it is not one."""
    word = path.name.rpartition("-")[2]
    return int(word) if path.name.startswith("checkpoint-") and word.isdigit() else -1


def mark_complete(path: Path) -> None:
    """Declare a checkpoint whole."""
    sizes = {
        each.relative_to(path).as_posix(): each.stat().st_size
        for each in sorted(path.rglob("*"))
        if each.is_file() and each.name != COMPLETE_MARK
    }
    write_json(path / COMPLETE_MARK, {"files": sizes})


def is_complete(path: Path) -> bool:
    """Whether every file that was there when the checkpoint was finished is still there, in full."""
    mark = read_json(path / COMPLETE_MARK)
    if mark is None:
        return False
    return all((path / name).is_file() and (path / name).stat().st_size == size for name, size in mark["files"].items())


def checkpoints_in(folder: Path) -> list[Path]:
    """Checkpoints of one attempt, oldest step first, whole or not."""
    if not folder.is_dir():
        return []
    return sorted((each for each in folder.iterdir() if checkpoint_step(each) >= 0), key=checkpoint_step)


def last_complete(folder: RunFolder) -> Path | None:
    """The newest whole checkpoint of any attempt of a run: where the next attempt goes on."""
    for attempt in reversed(folder.attempts()):
        for path in reversed(checkpoints_in(attempt.path / "checkpoints")):
            if is_complete(path):
                return path
    return None
