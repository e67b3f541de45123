"""Brings what a run needs to a worker's host: each file once a host, by its digest, in chunks."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from ...errors import ClusterError
from .blobs import hex_digest
from .freight import Freight
from .port import LinkDown, WorkerPort

_TRIES = 5
_PAUSE_SECONDS = 0.5
_PLACE_SECONDS = 300.0

_digests: dict[tuple[str, int, int], str] = {}
"""SHA-256 of files of ours, by path, size and time of change."""


class Outbox:
    """Sends freight through one port."""

    def __init__(self, port: WorkerPort) -> None:
        self._port = port
        self.sent_bytes = 0

    async def send(self, freight: list[Freight]) -> None:
        """Make all of it be there. Survives breaks of the link; cancel it to give up.

        Raises :class:`ClusterError` for what cannot be taken there (a full disk), :class:`OSError` for
        files that are not here.
        """
        for each in freight:
            if each.sample and await self._port.insist("has_sample", name=each.sample):
                continue
            await self._send(each)

    async def _send(self, freight: Freight) -> None:
        contents = {name: await asyncio.to_thread(_digest, what) for name, what in freight.files.items()}
        for _ in range(_TRIES):
            sizes = dict(contents.values())
            missing = await self._port.insist("missing", sizes=sizes)
            sources = {contents[name][0]: what for name, what in freight.files.items()}
            for digest, arrived in missing.items():
                await self._put(digest, sizes[digest], int(arrived), sources[digest])
            answer = await self._port.insist(
                "place",
                _PLACE_SECONDS,
                folder=freight.folder,
                files={name: digest for name, (digest, _) in contents.items()},
                folders=list(freight.folders),
            )
            if not answer["missing"]:
                return
        raise ClusterError(f"what the run needs does not stay on {self._port.address}: is its disk full?")

    async def _put(self, digest: str, size: int, arrived: int, source: Path | bytes) -> None:
        offset, is_done, restarts = arrived, False, 0
        while not is_done:
            data = await asyncio.to_thread(_part, source, offset, min(self._port.pace.size, size - offset))
            try:
                here = int(
                    await self._port.transfer("put", len(data), digest=digest, size=size, offset=offset, data=data)
                )
            except LinkDown:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self.sent_bytes += max(0, here - offset)
            restarts += here < offset
            if restarts >= _TRIES:
                raise ClusterError(f"a file of the run arrives damaged at {self._port.address}, or changes here")
            offset, is_done = here, here >= size


def _digest(what: Path | bytes) -> tuple[str, int]:
    if isinstance(what, bytes):
        return hashlib.sha256(what).hexdigest(), len(what)
    about = what.stat()
    key = (str(what), about.st_size, about.st_mtime_ns)
    if key not in _digests:
        _digests[key] = hex_digest(what)
    return _digests[key], about.st_size


def _part(source: Path | bytes, offset: int, size: int) -> bytes:
    if isinstance(source, bytes):
        return source[offset : offset + size]
    with source.open("rb") as file:
        file.seek(offset)
        return file.read(size)
