"""Files known by their SHA-256, kept on a host so that they travel to it once.

::

    LEPTON_HOME/cache/blobs/
      ab/abcdef…           a whole file; its name is its digest
      partial/abcdef…      one that is arriving

Runs get hard links (or copies), so what is evicted here is never taken from under a run.
Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_DIGEST = re.compile(r"[0-9a-f]{64}")
_BLOCK_BYTES = 1 << 20

LINKED_FROM_BYTES = 1 << 16
"""Smaller files are copied into a run: somebody may append to a file of a run, nobody to a blob."""

KEPT_BYTES = 50 * 2**30
"""Beyond so much, blobs unused for the longest time go. ``LEPTON_BLOBS_BYTES`` says otherwise."""

_FRESH_SECONDS = 3600.0  # what just came is about to be used
_ABANDONED_SECONDS = 7 * 86_400.0


class BlobStore:
    """The blobs of one host."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "cache" / "blobs"

    def path(self, digest: str) -> Path:
        """Where the whole file is, or would be. Raises :class:`ValueError` for what is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"not a SHA-256 digest: {digest[:80]!r}")
        return self._folder / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Whether the whole file is here; if so, it counts as used now."""
        try:
            os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        return True

    def arrived(self, digest: str) -> int:
        """Bytes of an unfinished file that are here."""
        try:
            return self._partial(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def put(self, digest: str, size: int, offset: int, data: bytes) -> int:
        """Take the bytes from ``offset`` on; how many bytes of the file are here now.

        ``size`` once it is whole and its digest was right, 0 if it was wrong: then it starts again.
        Bytes that do not go on where the file ends are dropped: two senders may send one file.
        """
        if self.has(digest):
            return size
        partial = self._partial(digest)
        partial.parent.mkdir(parents=True, exist_ok=True)
        with _locked(partial) as file:
            here = file.seek(0, os.SEEK_END)
            if offset == here and here < size:
                file.write(data)
                file.flush()
                here += len(data)
            if here < size:
                return here
            if here > size or _hex_digest(file) != digest:
                file.truncate(0)
                return 0
            os.fsync(file.fileno())
            whole = self.path(digest)
            whole.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another sender was quicker
                partial.rename(whole)
        return size

    def link(self, digest: str, target: Path) -> None:
        """Put the file at ``target``, which need not exist. Raises :class:`FileNotFoundError` without the blob."""
        blob = self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            if blob.stat().st_size >= LINKED_FROM_BYTES:
                os.link(blob, draft)
            else:
                shutil.copyfile(blob, draft)
        except FileNotFoundError:
            raise
        except OSError:  # another disk, or one without links
            shutil.copyfile(blob, draft)
        draft.replace(target)

    def keep(self, digest: str, path: Path) -> None:
        """Take a file that is here already, whose digest is known, so that it need not travel."""
        blob = self.path(digest)
        if path.stat().st_size < LINKED_FROM_BYTES or blob.exists():
            return
        blob.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # it is only a saving
            os.link(path, blob)

    def evict(self, room: int | None = None) -> int:
        """Let blobs go, longest unused first, until at most ``room`` bytes are kept; bytes freed."""
        if room is None:
            room = int(os.environ.get("LEPTON_BLOBS_BYTES") or KEPT_BYTES)
        now = time.time()
        found = []
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                limit = _ABANDONED_SECONDS if path.parent.name == "partial" else _FRESH_SECONDS
                found.append((about.st_mtime, about.st_size, path, now - about.st_mtime > limit))
        total, freed = sum(size for _, size, _, _ in found), 0
        for _, size, path, may_go in sorted(found):
            if may_go and (total - freed > room or path.parent.name == "partial"):
                path.unlink(missing_ok=True)
                freed += size
        return freed

    def _partial(self, digest: str) -> Path:
        self.path(digest)
        return self._folder / "partial" / digest


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _hex_digest(file: BinaryIO) -> str:
    file.seek(0)
    hasher = hashlib.sha256()
    while block := file.read(_BLOCK_BYTES):
        hasher.update(block)
    return hasher.hexdigest()


def hex_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return _hex_digest(file)
