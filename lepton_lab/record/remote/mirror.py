"""The process of a host that copies its runs to the store: ``python -m lepton_lab.record.remote.mirror``.

It ends when there has been nothing to carry for a while, and is started again by whoever next
submits or looks. A store that is away is asked again until it is back.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time

from ... import places, telemetry
from ..folder import RunFolder
from .bucket import Bucket, BucketError, open_bucket
from .enlisting import LOCK_NAME, enlist_all, enlisted, mark_pushed
from .pull import awaited_folders, forget_run, refresh_run
from .push import Push

_PERIOD_SECONDS = 0.5
_IDLE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 15.0
_TURN_SECONDS = 20.0


def main() -> None:
    """Carry runs until there are none."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    telemetry.switch_off()
    if not _take_turn():
        return
    bucket = open_bucket()
    pushes: dict[str, Push] = {}
    last_used, pause = time.monotonic(), _PERIOD_SECONDS
    while time.monotonic() - last_used < _IDLE_SECONDS:
        try:
            if _carry(bucket, pushes):
                last_used = time.monotonic()
            pause = _PERIOD_SECONDS
        except BucketError as error:
            last_used = time.monotonic()
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {error}\n")
            sys.stderr.flush()
        time.sleep(pause)


def _carry(bucket: Bucket, pushes: dict[str, Push]) -> bool:
    """One round over all runs; whether there were any."""
    enlist_all()
    runs = enlisted()
    for run in runs:
        folder = RunFolder(places.runs_dir() / run)
        try:
            is_whole = pushes.setdefault(run, Push(bucket, folder)).step()
        except FileNotFoundError:
            if not folder.path.is_dir():  # deleted before it was wholly there
                pushes.pop(run, None)
                forget_run(run)
            continue
        if is_whole:
            pushes.pop(run, None)
            mark_pushed(run)
    for folder in awaited_folders():
        refresh_run(folder)
    return bool(runs)


def _take_turn() -> bool:
    """Whether this process is the one of this host; one that is about to end is waited for."""
    descriptor = os.open(places.state_dir() / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _TURN_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.5)
    return False


if __name__ == "__main__":
    main()
