"""Brings files and folders of a run on a worker into ours, in chunks, and goes on where a break stopped it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from ...errors import ClusterError
from ...record import COMPLETE_MARK, AttemptFolder, RunFolder
from .blobs import hex_digest
from .dock import below
from .port import LinkDown, WorkerPort

INCOMING = ".incoming"
"""Where things are, in the attempt's folder, until they are whole."""

_PAUSE_SECONDS = 0.5
_TRIES = 3
_MANIFEST_SECONDS = 600.0  # the worker reads everything once for its digests


class Carrier:
    """Fetches what one attempt made."""

    def __init__(self, port: WorkerPort, folder: RunFolder, attempt: AttemptFolder) -> None:
        self._port = port
        self._folder = folder
        self._incoming = attempt.path / INCOMING

    async def fetch(self, path: str) -> bool:
        """Bring ``path`` (a file or folder, relative to the run's) here: whole, under its name, or not at all.

        False when the worker has it no more. Survives breaks of the link. Raises
        :class:`ClusterError` when what arrives is not what left, and :class:`OSError` for our disk.
        """
        target = below(self._folder.path, path)
        if target.exists():
            return True
        manifest = await self._port.insist("manifest", _MANIFEST_SECONDS, run=self._folder.run, path=path)
        if manifest is None:
            return False
        draft = self._incoming / path.replace("/", "+")
        # The mark of completeness is the last file here too.
        for name, size, digest in sorted(manifest, key=lambda row: row[0].rpartition("/")[2] == COMPLETE_MARK):
            there = f"{path}/{name}" if name else path
            if not await self._fetch_file(there, below(draft, name) if name else draft, int(size), str(digest)):
                await asyncio.to_thread(_remove, draft)
                return False
        if not manifest:
            draft.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(target)
        return True

    async def _fetch_file(self, there: str, here: Path, size: int, digest: str) -> bool:
        here.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            with here.open("ab") as file:
                if file.tell() > size:
                    file.truncate(0)
                while (offset := file.tell()) < size:
                    data = await self._read(there, offset, min(self._port.pace.size, size - offset))
                    if not data:
                        return False
                    file.write(data)
                    file.flush()
            if await asyncio.to_thread(hex_digest, here) == digest:
                return True
            here.unlink()
        raise ClusterError(f"{there} of run {self._folder.run} arrived with a wrong digest {_TRIES} times")

    async def _read(self, there: str, offset: int, size: int) -> bytes | None:
        while True:
            try:
                found: bytes | None = await self._port.transfer(
                    "read", size, run=self._folder.run, path=there, offset=offset, size=size
                )
                return found
            except LinkDown:
                await asyncio.sleep(_PAUSE_SECONDS)
                size = min(size, self._port.pace.size)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
