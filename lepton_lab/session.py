"""What ``last`` means: the newest training run submitted by this kernel or shell."""

from __future__ import annotations

import os
from pathlib import Path

from . import places
from .errors import Problem, RunNotFound
from .record import RunFolder, find_run, newest_training

_last_here: str | None = None
_is_shell_command = False


def join_shell() -> None:
    """Say that this process is one command of a shell, which shares ``last`` with the next one."""
    global _is_shell_command
    _is_shell_command = True


def remember(run: str) -> None:
    """Make ``run`` the ``last`` of this kernel or shell."""
    global _last_here
    _last_here = run
    if _is_shell_command:
        path = _shell_file()
        path.parent.mkdir(exist_ok=True, mode=0o700)
        path.write_text(run, encoding="utf-8")


def resolve_run(word: str) -> RunFolder:
    """The run that ``word`` names: ``last``, an id, an alias, a name, or an unambiguous prefix; in this order.

    Raises :class:`RunNotFound`.
    """
    if word != "last":
        return find_run(word)
    here = _last_here or (_read(_shell_file()) if _is_shell_command else None)
    if here and (places.runs_dir() / here / "run.json").is_file():
        return RunFolder(places.runs_dir() / here)
    folder = newest_training()
    if folder is None:
        raise RunNotFound(Problem("there is no last run", "no training run yet", "Start one with: lepton train"))
    return folder


def _shell_file() -> Path:
    """One file a shell; its start time tells it from an earlier process of the same number."""
    import psutil  # not by who asks for a run by name

    parent = os.getppid()
    try:
        started = int(psutil.Process(parent).create_time())
    except psutil.Error:
        started = 0
    return places.state_dir() / "shells" / f"{parent}-{started}"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
