"""The flusher: the one thread of a process that draws. It stops when nothing is live.

Everything else only hands it things to do: comm callbacks and training code never draw.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from typing import Protocol

PERIOD_SECONDS = 0.22
"""Between two looks at what is live: 4 to 5 a second."""

log = logging.getLogger(__name__)


class Follower(Protocol):
    """Something that is drawn while it lives."""

    def step(self) -> bool:
        """Draw what is new; False when there will be nothing more."""


class Flusher:
    """Steps its followers on a thread that lives as long as any of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followers: list[tuple[Follower, contextvars.Context]] = []
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether anything is being followed."""
        return self._thread is not None

    def follow(self, follower: Follower) -> None:
        """Step ``follower`` until it says that it is done, as the cell that asked for it."""
        # A kernel finds the cell of an output through context variables.
        with self._lock:
            self._followers.append((follower, contextvars.copy_context()))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lepton-flusher", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._lock:
                if not self._followers:
                    self._thread = None
                    return
                followers = list(self._followers)
            done = [pair for pair in followers if not _step(*pair)]
            with self._lock:
                self._followers = [pair for pair in self._followers if pair not in done]
            pause.wait(PERIOD_SECONDS)


def _step(follower: Follower, context: contextvars.Context) -> bool:
    try:
        return context.run(follower.step)
    except FileNotFoundError:
        return False  # the run was deleted; its last card stands
    except Exception:
        log.exception("Lepton Lab stopped drawing a run")
        return False


FLUSHER = Flusher()
"""The flusher of this process."""
