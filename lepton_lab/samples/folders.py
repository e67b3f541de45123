"""Folders that are there whole or not at all, although two processes may make one at once.

A folder is written beside its place under a name of its own and then renamed. Who comes
second finds the folder there and throws its own away.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import OutputError, Problem

_DRAFT = ".draft-"
_STALE_SECONDS = 24 * 3600


def make_folder(place: Path, fill: Callable[[Path], None]) -> Path:
    """``place``, filled by ``fill`` unless it is there already.

    Raises :class:`~lepton_lab.errors.OutputError` when the disk does not take it, and whatever
    ``fill`` raises; nothing is left behind then.
    """
    if place.is_dir():
        return place
    draft = place.with_name(f"{_DRAFT}{place.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        draft.mkdir(parents=True)
        _sweep(place.parent)
        fill(draft)
        _move(draft, place)
    except OSError as error:
        raise OutputError(
            Problem(
                f"{place} cannot be written",
                error.strerror or str(error),
                "Free some disk with `lepton prune`, or set LEPTON_HOME to a folder that you may write to.",
            )
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def _move(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError:
        if not place.is_dir():  # else somebody was quicker: theirs is as good
            raise


def _sweep(parent: Path) -> None:
    """Remove drafts of processes that were killed long ago."""
    for each in parent.glob(f"{_DRAFT}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - each.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(each, ignore_errors=True)
