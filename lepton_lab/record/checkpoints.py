"""Checkpoints that are either whole or not there.

A checkpoint counts once ``complete.json`` lies in it, written last, with the size and the digest of
every file, and how many of its run to ``keep``. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from .files import digest_of, read_json, write_json
from .folder import AttemptFolder, RunFolder

COMPLETE_MARK = "complete.json"

WRITING = ".writing"
"""Beside the checkpoints of an attempt: where the next one is written until it is whole."""

_STATE_FILE = "trainer_state.json"


def checkpoint_step(path: Path) -> int:
    """The step at which a checkpoint was written; -1 if it is not one."""
    word = path.name.rpartition("-")[2]
    return int(word) if path.name.startswith("checkpoint-") and word.isdigit() else -1


def mark_complete(path: Path, **about: Any) -> None:
    """Declare a checkpoint whole, once all of it is on the disk; ``about`` is kept in the mark."""
    files = sorted(_files_of(path))
    sizes, digests = {}, {}
    for name in files:
        with (path / name).open("rb") as file:
            os.fsync(file.fileno())
        digests[name], sizes[name] = digest_of(path / name)
    write_json(path / COMPLETE_MARK, {"files": sizes, "digests": digests, **about})


def is_complete(path: Path) -> bool:
    """Whether every file that was there when the checkpoint was finished is still there, in full."""
    mark = read_json(path / COMPLETE_MARK)
    if mark is None:
        return False
    return all((path / name).is_file() and (path / name).stat().st_size == size for name, size in mark["files"].items())


def is_intact(path: Path) -> bool:
    """Whether every file is as it was when the checkpoint was finished: reads all of it."""
    if not is_complete(path):
        return False
    digests = read_json(path / COMPLETE_MARK).get("digests", {})
    return all(digest_of(path / name)[0] == digest for name, digest in digests.items())


def checkpoints_in(folder: Path) -> list[Path]:
    """Checkpoints of one attempt, oldest step first, whole or not."""
    if not folder.is_dir():
        return []
    return sorted((each for each in folder.iterdir() if checkpoint_step(each) >= 0), key=checkpoint_step)


def complete_checkpoints(folder: RunFolder) -> list[Path]:
    """Every whole checkpoint of any attempt, the highest step first; of one step the newest attempt's first."""
    found = [
        (checkpoint_step(path), attempt.number, path)
        for attempt in folder.attempts()
        for path in checkpoints_in(attempt.path / "checkpoints")
        if is_complete(path)
    ]
    return [path for _, _, path in sorted(found, reverse=True)]


def last_complete(folder: RunFolder) -> Path | None:
    """The whole checkpoint with the highest step of any attempt of a run: where the next attempt goes on."""
    return next(iter(complete_checkpoints(folder)), None)


def best_of(path: Path) -> Path | None:
    """The whole checkpoint that was the best one when ``path`` was written: where it was then, or beside it."""
    state = read_json(path / _STATE_FILE) or {}
    step = state.get("best_global_step")
    named = state.get("best_model_checkpoint")
    if step is None:
        return None
    places = [path.with_name(f"checkpoint-{step}"), *([Path(named)] if named else [])]
    # Another attempt's, in a run folder that has moved since.
    places += sorted(path.parent.parent.parent.glob(f"*/checkpoints/checkpoint-{step}"), reverse=True)
    return next((each for each in places if checkpoint_step(each) == step and is_complete(each)), None)


def checkpoints_to_resume(folder: RunFolder) -> list[Path]:
    """What the next attempt needs of the earlier ones: the last whole checkpoint, and the best if that is another."""
    last = last_complete(folder)
    if last is None:
        return []
    best = best_of(last)
    return [last] if best is None or best == last else [last, best]


def remove_checkpoint(path: Path) -> None:
    """Delete a checkpoint; from the first moment on it does not count."""
    (path / COMPLETE_MARK).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def drop_superseded(folder: RunFolder, attempt: AttemptFolder | None = None) -> None:
    """Delete what attempts before that of the newest whole checkpoint left and nobody needs.

    Of the run stay the newest checkpoints, as many as it keeps, and the best one; what was left half goes.
    ``attempt`` is the one that saved just now: it does nothing if it has ended. Whoever goes on after an end
    goes on from the newest checkpoint of that time, or a newer one, and these stay: so it does not matter
    when somebody dies or sleeps in the middle of this.
    """
    whole = complete_checkpoints(folder)
    keep = (read_json(whole[0] / COMPLETE_MARK) or {}).get("keep") if whole else None
    if keep is None:
        return
    newest_of_step: dict[int, Path] = {}
    for path in whole:
        newest_of_step.setdefault(checkpoint_step(path), path)
    kept = {*list(newest_of_step.values())[: max(1, int(keep))], best_of(whole[0])}
    limit = min([_attempt_number(whole[0]), *([attempt.number] if attempt else [])])
    if attempt is not None and attempt.ended() is not None:
        return
    for each in folder.attempts():
        if each.number >= limit:
            break
        for path in checkpoints_in(each.path / "checkpoints"):
            if path not in kept:
                with contextlib.suppress(OSError):  # a disk that is read-only now: it takes room, no more
                    remove_checkpoint(path)
        shutil.rmtree(each.path / "checkpoints" / WRITING, ignore_errors=True)


def _attempt_number(checkpoint: Path) -> int:
    return int(checkpoint.parent.parent.name)


def _files_of(path: Path) -> list[str]:
    return [
        each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file() and each.name != COMPLETE_MARK
    ]
