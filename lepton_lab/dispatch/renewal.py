"""New certificates for a cluster that runs: first everybody trusts them, then everybody shows them.

A TLS context takes further authorities, and another certificate, while it is in use. Connections
that are open do not notice; those that are made later use what is new. So nothing is restarted,
and no run is disturbed.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..redaction import redact
from .security import ensure_certificates, life_left, tls_files, valid_days

_LOOKS = 30  # in the life of a certificate …
_LONGEST_PAUSE_SECONDS = 600.0  # … and at least so often
_ANSWER_SECONDS = 60.0
PARTS = ("authority", "certificate")
"""What is taken up, in this order, everywhere."""

_LAST_MOMENT = 1 / 10  # of the life: who cannot be told by then is left behind


async def _nowhere() -> None:
    """Processes read this host's own files."""


@dataclass(frozen=True)
class HostCertificates:
    """How a cluster whose processes show this host's certificates gets new ones."""

    place: Callable[[], Awaitable[object]] = _nowhere
    """Puts the files where the cluster's processes read them, also those that start later."""
    connections: tuple[Any, ...] = ()
    """Objects of Dask's in this process, beside our client, that connect to the scheduler."""


class Renewal:
    """Looks after the certificates of one cluster. Made before the cluster is connected to."""

    def __init__(self) -> None:
        path = tls_files()["certificate"]
        self._shown = path.read_bytes() if path.is_file() else b""
        self._next_look = 0.0

    async def look(self, certificates: HostCertificates | None, client: Any) -> None:
        """Renew the files when it is time, and have the cluster use what was renewed, by whomever. Never raises."""
        if certificates is None or time.monotonic() < self._next_look:
            return
        try:
            files = await asyncio.to_thread(ensure_certificates)
            fresh = files["certificate"].read_bytes()
            if fresh != self._shown:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._spread(certificates, client, files)
                self._shown = fresh
        except Exception as error:  # noqa: BLE001  a full disk, a host that is away: the next look may succeed
            print(f"certificates were not renewed: {type(error).__name__}: {redact(str(error))}", file=sys.stderr)
        self._next_look = time.monotonic() + min(_LONGEST_PAUSE_SECONDS, 86_400 * valid_days() / _LOOKS)

    async def _spread(self, certificates: HostCertificates, client: Any, files: Mapping[str, Path]) -> None:
        await certificates.place()
        ours = [_context_of(each) for each in (client, *certificates.connections)]
        for part in PARTS:
            for context in ours:
                _take(context, part, *(str(files[name]) for name in ("authority", "certificate", "key")))
            await client.run_on_scheduler(take_up, part)
            for nanny in (False, True):
                said = await client.run(take_up, part, nanny=nanny, on_error="return")
                deaf = [address for address, answer in said.items() if isinstance(answer, BaseException)]
                if deaf and life_left(self._shown) > _LAST_MOMENT:
                    raise OSError(f"{', '.join(deaf)} cannot be told")


def take_up(part: str, dask_worker: Any = None, dask_scheduler: Any = None) -> None:
    """Have one process of the cluster use the renewed files that it was started with, by their names.

    ``part`` is one of :data:`PARTS`. Runs in a scheduler, worker or nanny.
    """
    server, role = (dask_worker, "worker") if dask_scheduler is None else (dask_scheduler, "scheduler")
    tls = server.security.get_tls_config_for_role(role)
    listening = [each.server_args["ssl_options"] for each in server.listeners if "ssl_options" in each.server_args]
    for context in (_context_of(server), *listening):
        _take(context, part, tls["ca_file"], tls["cert"], tls["key"])


def _context_of(connecting: Any) -> ssl.SSLContext:
    """What a server, client or connection of Dask's connects to others with."""
    found: ssl.SSLContext = connecting.connection_args["ssl_context"]
    return found


def _take(context: ssl.SSLContext, part: str, authority: str, certificate: str, key: str) -> None:
    if part == "authority":
        context.load_verify_locations(authority)
    else:
        context.load_cert_chain(certificate, key)
