"""Connecting to a scheduler that somebody else started: its TLS files, and when to go without."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...errors import Problem
from ...recipe.option import option
from .provider import ProviderOptions

PLAIN_FLAG = "--allow-plain-tcp"


class PlainOptions(ProviderOptions):
    """The one door to a connection without TLS."""

    allow_plain_tcp: bool = option(
        False, "Also without TLS beyond this machine: who reaches the scheduler's port can run code as you."
    )


class ConnectionOptions(PlainOptions):
    """TLS files and the permission to go without."""

    ca_file: str | None = option(None, "Certificate of the authority that signed the scheduler's. For tls:// only.")
    cert_file: str | None = option(None, "Certificate to show the scheduler. Default for tls://: this host's own.")
    key_file: str | None = option(None, "Its private key, a file that only you can read.")


@dataclass(frozen=True)
class FoundCluster:
    """A cluster that others started and stop: it is only connected to."""

    address: str
    security: Any = None
    facts: dict[str, Any] = field(default_factory=dict)
    certificates: None = None
    """Those who started it look after them."""

    async def scale(self, workers: int, idle: Sequence[str] = (), busy: int = 0) -> None:
        """Its workers are others' business."""

    async def close(self) -> None:
        """It goes on."""

    def info(self) -> dict[str, Any]:
        return {"scheduler": self.address, **self.facts}


def is_loopback(address: str) -> bool:
    """Whether ``tcp://HOST:PORT`` stays on this machine."""
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(address: str, options: ConnectionOptions) -> list[Problem]:
    """What is wrong with connecting to ``address`` so."""
    try:
        parts = urlsplit(address)
        has_port = parts.port is not None
    except ValueError:
        has_port = False
        parts = urlsplit("")
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or not has_port:
        do = "Write tls://HOST:PORT, or tcp://HOST:PORT on this machine."
        return [Problem("a scheduler has an address", repr(address), do, where="resources.cluster")]
    if parts.scheme == "tcp":
        problems = check_plain(address, is_loopback(address), options)
        if options.ca_file or options.cert_file or options.key_file:
            do = "Use the tls:// address of the scheduler, or leave them out."
            problems.append(Problem("TLS files mean nothing to tcp://", address, do, where="resources.cluster"))
        return problems
    return _check_files(options)


def check_plain(where: str, stays_here: bool, options: PlainOptions) -> list[Problem]:
    """Refuse a connection without TLS that leaves this machine, unless it was asked for by name."""
    if stays_here or options.allow_plain_tcp:
        return []
    do = f"Use tls:// with certificates (lepton cluster certificates), or say {PLAIN_FLAG} where the network is yours."
    return [Problem("a cluster beyond this machine needs TLS", where, do, where="resources.cluster")]


def security_for(address: str, options: ConnectionOptions) -> Any:
    """Dask's ``Security`` for ``address``; None for plain TCP."""
    if not address.startswith("tls://"):
        return None
    from distributed.security import Security

    from ..security import tls_files

    own = tls_files()
    return Security(
        require_encryption=True,
        tls_ca_file=str(_path(options.ca_file) or own["authority"]),
        tls_client_cert=str(_path(options.cert_file) or own["certificate"]),
        tls_client_key=str(_path(options.key_file) or own["key"]),
    )


def _path(word: str | None) -> Path | None:
    return Path(word).expanduser().absolute() if word else None


def _check_files(options: ConnectionOptions) -> list[Problem]:
    from ..security import has_ended

    given = {name: getattr(options, name) for name in ("ca_file", "cert_file", "key_file")}
    problems = []
    if any(given.values()) and not all(given.values()):
        got = ", ".join(name.replace("_", "-") for name, value in given.items() if value)
        do = "Give all of --ca-file, --cert-file, --key-file, or none of them."
        problems.append(Problem("the three TLS files belong together", f"only {got}", do, where="resources.cluster"))
    for name, value in given.items():
        path = _path(value)
        if path is not None and not path.is_file():
            flag = "--" + name.replace("_", "-")
            problems.append(
                Problem("there is no such TLS file", str(path), f"Check {flag}.", where="resources.cluster")
            )
        elif path is not None and name != "key_file" and has_ended(path):
            do = "Write new ones (lepton cluster certificates), and start the scheduler and the workers with them."
            problems.append(Problem("the certificate has ended", str(path), do, where="resources.cluster"))
    key = _path(options.key_file)
    if key is not None and key.is_file() and key.stat().st_mode & 0o077:
        do = f"Run: chmod 600 {key}"
        problems.append(Problem("the private key can be read by others", str(key), do, where="resources.cluster"))
    return problems
