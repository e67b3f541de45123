"""Which checkpoints a training keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...record import COMPLETE_MARK, checkpoints_in


def drop_old(folder: Path, limit: int, best: str | None) -> None:
    """Keep the newest ``limit`` checkpoints; the best one always stays and counts."""
    found = checkpoints_in(folder)
    kept = [each for each in found if best and each == Path(best)]
    for each in reversed(found):
        if each not in kept and len(kept) < max(limit, 1 + (each == found[-1])):
            kept.append(each)
    for each in found:
        if each not in kept:
            (each / COMPLETE_MARK).unlink(missing_ok=True)
            shutil.rmtree(each, ignore_errors=True)
