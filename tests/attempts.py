"""Attempts that follow one another, as after a disturbance."""

from __future__ import annotations

from lepton_lab.record import DISTURBED, AttemptFolder, RunFolder


def next_attempt(folder: RunFolder) -> AttemptFolder:
    """The first attempt, or the one after the last, which was disturbed."""
    attempts = folder.attempts()
    if attempts:
        attempts[-1].end(DISTURBED, reason="killed", message="it was killed", checkpoint=None)
    return folder.take_lease(len(attempts) + 1)
