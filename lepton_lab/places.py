"""Where things live on this machine. Read from the environment at each call, never cached.

``LEPTON_HOME``
    Runs, models, written data frames and caches. Default ``~/.lepton``. A URL (``s3://bucket/prefix``)
    names an object store that hosts share; then each works in a local home of its own below
    ``LEPTON_STATE_DIR``, and runs are copied between the two.
``LEPTON_STATE_DIR``
    Keys, sockets, the scheduler file, indexes: always a local disk, mode 0700, one
    folder for each host, boot and interpreter. Default ``~/.local/state/lepton-lab``.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path


def store_url() -> str:
    """The object store that ``LEPTON_HOME`` names, or an empty string when it names a folder."""
    word = os.environ.get("LEPTON_HOME", "")
    return word.rstrip("/") if "://" in word else ""


def lepton_home() -> Path:
    """The local folder that holds runs and models (not created here)."""
    if url := store_url():
        return state_root() / "homes" / hashlib.sha256(url.encode()).hexdigest()[:12]
    return Path(os.environ.get("LEPTON_HOME") or Path.home() / ".lepton").expanduser().absolute()


def runs_dir() -> Path:
    """``LEPTON_HOME/runs``: one folder a run."""
    return lepton_home() / "runs"


def data_dir() -> Path:
    """``LEPTON_HOME/data``: data frames written by digest, as Parquet."""
    return lepton_home() / "data"


def aliases_dir() -> Path:
    """``LEPTON_HOME/aliases``: which run each alias names, and named before."""
    return lepton_home() / "aliases"


def tracking_dir() -> Path:
    """``LEPTON_HOME/tracking``: what was mirrored to which tracking server, and the database of our own."""
    return lepton_home() / "tracking"


def samples_dir() -> Path:
    """``LEPTON_HOME/samples``: samples that were unpacked or converted."""
    return lepton_home() / "samples"


def cache_dir() -> Path:
    """``LEPTON_HOME/cache``: everything that can be made again."""
    return lepton_home() / "cache"


def state_root() -> Path:
    """The folder above every host's state (not created here)."""
    default = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lepton-lab"
    return Path(os.environ.get("LEPTON_STATE_DIR") or default).expanduser().absolute()


def boot_id() -> str:
    """What changes when this machine restarts; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def state_dir() -> Path:
    """This host's, boot's and interpreter's state folder, created with mode 0700.

    Keyed by the interpreter prefix so that two environments never share a worker.
    The name is short because Unix socket paths are limited to about 100 bytes.
    """
    key = "\n".join((platform.node(), boot_id(), sys.prefix, str(lepton_home())))
    folder = state_root() / hashlib.sha256(key.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder
