"""Which runs live on this machine: what must not be culled."""

from __future__ import annotations

import platform
import time

from ..record import LOST_AFTER_SECONDS, RunFolder, run_folders


class LiveRuns:
    """Looks for live runs; one that has ended is not looked at again."""

    def __init__(self) -> None:
        self._ended: set[str] = set()

    def any(self) -> bool:
        """Whether a supervisor on this machine gave a sign of life of late.

        A queued run alone is no reason to stay: nothing runs, and it is kept on disk.
        """
        return any(self._lives(folder) for folder in run_folders() if folder.run not in self._ended)

    def _lives(self, folder: RunFolder) -> bool:
        try:
            if folder.final() is not None:
                self._ended.add(folder.run)
                return False
            attempts = folder.attempts()
            if not attempts or attempts[-1].lease().get("host", platform.node()) != platform.node():
                return False
            beat = attempts[-1].heartbeat_time()
        except FileNotFoundError:
            return False  # pruned while we looked
        return beat is not None and time.time() - beat < LOST_AFTER_SECONDS
