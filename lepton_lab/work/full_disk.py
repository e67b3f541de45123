"""Disks that are full."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import DiskFull, Problem

# A file system that cannot take this cannot take anything.
_NOTHING_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: BaseException) -> bool:
    """Whether an error says, by its number, that the disk or the quota is full."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextlib.contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn whatever a writer raises when the disk is full into :class:`DiskFull`.

    The writers of weights and tensors each say it in their own words; the disk itself is asked.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFull):
            raise
        written = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) if folder.is_dir() else 0
        free = shutil.disk_usage(folder if folder.is_dir() else folder.parent).free
        if not is_full(error) and free >= _NOTHING_BYTES:
            raise
        raise disk_full(folder, written) from error


def disk_full(folder: Path, written: int = 0) -> DiskFull:
    """What to say. ``written`` bytes were before it was full."""
    return DiskFull(
        Problem(
            "the disk is full; the last complete checkpoint stays",
            f"no space at {folder} after {written / 2**20:.1f} MB" if written else f"no space at {folder}",
            "Free some space or move LEPTON_HOME to another disk, then run it again: it goes on from that checkpoint.",
        )
    )
