"""Which runs of the local home go up and which came down, and that somebody carries them.

Beside ``runs/`` lie empty files by the run's id: ``outbox/RUN`` while a run of this host is not wholly
in the store, ``pushed/RUN`` when it is, ``pulled/RUN`` for a run of another host.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from ... import places

LOCK_NAME = "store.lock"


def outbox() -> Path:
    """Runs submitted here that are not wholly in the store."""
    return places.lepton_home() / "outbox"


def pushed() -> Path:
    """Runs of this host that are wholly in the store."""
    return places.lepton_home() / "pushed"


def pulled() -> Path:
    """Runs of other hosts."""
    return places.lepton_home() / "pulled"


def enlist(run: str) -> None:
    """Have a run of this host copied to the store while it goes on."""
    outbox().mkdir(parents=True, exist_ok=True)
    (outbox() / run).touch()
    keep_mirror()


def enlisted() -> list[str]:
    """Runs in the outbox."""
    return sorted(_names(outbox()))


def enlist_all() -> None:
    """Enlist runs that somebody wrote without a word, as a job does that submits others."""
    runs = _names(places.runs_dir())
    for run in runs - _names(outbox()) - _names(pushed()) - _names(pulled()):
        outbox().mkdir(parents=True, exist_ok=True)
        (outbox() / run).touch()


def mark_pushed(run: str) -> None:
    """Say that a run is wholly in the store."""
    pushed().mkdir(exist_ok=True)
    (pushed() / run).touch()
    (outbox() / run).unlink(missing_ok=True)


def is_pulled(run: str) -> bool:
    """Whether the run belongs to another host."""
    return bool(places.store_url()) and (pulled() / run).exists()


def keep_mirror() -> None:
    """Start this host's mirror if it has something to carry and does not run."""
    enlist_all()
    if not enlisted() or not _is_free():
        return
    state = places.state_dir()
    log = os.open(state / "store.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # Credentials of the store go with the environment, from memory to memory.
        subprocess.Popen(
            [sys.executable, "-m", "lepton_lab.record.remote.mirror"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=state,
            start_new_session=True,
        )
    finally:
        os.close(log)


def _names(folder: Path) -> set[str]:
    try:
        return {name for name in os.listdir(folder) if not name.startswith(".")}
    except FileNotFoundError:
        return set()


def _is_free() -> bool:
    descriptor = os.open(places.state_dir() / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
