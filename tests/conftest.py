"""Homes of their own for tests, and one real local cluster that they share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["pytest_jupyter.jupyter_server"]


def lepton(
    *words: str, timeout: float = 600, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The real command in a real process."""
    done = subprocess.run(
        [sys.executable, "-m", "lepton_lab", *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )
    if check and done.returncode != 0:
        raise AssertionError(f"lepton {' '.join(words)} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Path]:
    """``LEPTON_HOME`` with a cluster that all integration tests of a session share; stopped at the end.

    Under /tmp because the paths of Unix sockets are limited to about 100 bytes.
    """
    before = {name: os.environ.get(name) for name in ("LEPTON_HOME", "LEPTON_STATE_DIR")}
    with tempfile.TemporaryDirectory(prefix="lepton-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        os.environ["LEPTON_HOME"] = f"{folder}/home"
        os.environ["LEPTON_STATE_DIR"] = f"{folder}/state"
        try:
            lepton("samples", "install", "movie-sentiment")
            yield Path(folder) / "home"
            lepton("cluster", "stop", "--force")
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
