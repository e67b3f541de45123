"""Disks that are full."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import DiskFull

# A file system that cannot take this cannot take anything.
_NOTHING_BYTES = 1 << 20


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
        if not DiskFull.is_meant_by(error) and free >= _NOTHING_BYTES:
            raise
        raise DiskFull(folder, written) from error
