"""Which runs live on this machine: what must not be culled."""

from __future__ import annotations

import platform
import time

from ..record import LOST_AFTER_SECONDS, RunFolder, unfinished_runs


def any_run_lives() -> bool:
    """Whether a supervisor on this machine gave a sign of life of late.

    A queued run alone is no reason to stay: nothing runs, and it is kept on disk.
    """
    return any(map(_lives, unfinished_runs()))


def _lives(folder: RunFolder) -> bool:
    try:
        attempts = folder.attempts()
        if not attempts or attempts[-1].lease().get("host", platform.node()) != platform.node():
            return False
        beat = attempts[-1].heartbeat_time()
    except FileNotFoundError:
        return False  # pruned while we looked
    return beat is not None and time.time() - beat < LOST_AFTER_SECONDS
