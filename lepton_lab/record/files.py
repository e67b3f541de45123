"""Small files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Write ``value`` to ``path`` in one step: readers see the old file or the new one."""
    with _written(path, value, mode) as temporary:
        os.replace(temporary, path)


def create_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Write ``value`` to ``path``, whole, or raise :class:`FileExistsError`: of several writers one succeeds."""
    with _written(path, value, mode) as temporary:
        os.link(temporary, path)
        temporary.unlink()


@contextlib.contextmanager
def _written(path: Path, value: Any, mode: int) -> Iterator[Path]:
    """A file beside ``path`` that is on the disk; gone if what is done with it fails."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def read_json(path: Path) -> Any:
    """What :func:`write_json` wrote, or None when there is no such file."""
    try:
        with open(path, "rb") as file:
            return json.loads(file.read())
    except FileNotFoundError:
        return None


def digest_of(path: Path) -> tuple[str, int]:
    """(``sha256:…``, bytes) of a file, or of a folder by its sorted names and contents."""
    total = 0
    if path.is_file():
        hasher = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
                total += len(block)
        return f"sha256:{hasher.hexdigest()}", total
    hasher = hashlib.sha256()
    for each in sorted(path.rglob("*")):
        if each.is_file():
            inner, size = digest_of(each)
            hasher.update(f"{each.relative_to(path).as_posix()}\0{inner}\n".encode())
            total += size
    return f"sha256:{hasher.hexdigest()}", total
