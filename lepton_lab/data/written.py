"""Data frames that a request wrote down, so that one which is refused leaves none behind. Standard library only."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

_written: ContextVar[list[tuple[Path, int]] | None] = ContextVar("written", default=None)


@contextlib.contextmanager
def frames_of_request(keeps: bool = True) -> Iterator[None]:
    """Frames that are first written within are removed if the block raises, unless another request uses them too.

    Where it only looks (``keeps`` is False) they are removed in any case. A block within such a block is part of it.
    """
    if _written.get() is not None:
        yield
        return
    written: list[tuple[Path, int]] = []
    token = _written.set(written)
    is_wanted = False
    try:
        yield
        is_wanted = keeps
    finally:
        _written.reset(token)
        for path, made_ns in () if is_wanted else written:
            with contextlib.suppress(OSError):
                if path.stat().st_mtime_ns == made_ns:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def note_written(path: Path, made_ns: int) -> None:
    """Say that the request made ``path``. Whoever wants the same rows meanwhile gives it a new time."""
    written = _written.get()
    if written is not None:
        written.append((path, made_ns))
