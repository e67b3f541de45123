"""Opens addresses on package indexes with the certificates, proxy and passwords that pip is set up with."""

from __future__ import annotations

import base64
import netrc
import os
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

PYPI = "https://pypi.org/simple"
_TRIES = 3
_BUSY = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class PipSettings:
    """Where pip looks and how it gets there."""

    indexes: tuple[str, ...] = (PYPI,)
    find_links: tuple[str, ...] = ()
    cert: str = ""
    client_cert: str = ""
    proxy: str = ""
    trusted_hosts: tuple[str, ...] = ()
    timeout_seconds: float = 15.0


class Visitor:
    """Opens http and https addresses. A busy or silent server is asked again, one and then two seconds later.

    A user and password in the address of an index, or in ``.netrc``, are shown to that host alone,
    also when a redirect leads elsewhere.
    """

    def __init__(self, settings: PipSettings) -> None:
        self.settings = settings
        self._passwords: dict[str, tuple[str, str]] = {}
        for address in (*settings.indexes, *settings.find_links):
            parts = urlsplit(address)
            if parts.username:
                pair = (unquote(parts.username), unquote(parts.password or ""))
                self._passwords[host_of(address)] = pair

    def open(self, address: str, accept: str = "*/*") -> HTTPResponse:
        """The answer of the server. Raises :class:`OSError`, for an HTTP error too."""
        request = self._request(address)
        request.add_header("Accept", accept)
        opener = self._opener(host_of(address))
        attempt = 1
        while True:
            try:
                answer: HTTPResponse = opener.open(request, timeout=self.settings.timeout_seconds)
            except OSError as error:
                final = False
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                    final = error.code not in _BUSY
                if final or attempt == _TRIES:
                    raise
                time.sleep(attempt)
                attempt += 1
            else:
                return answer

    def _request(self, address: str) -> urllib.request.Request:
        headers = {"User-Agent": "lepton-lab"}
        request = urllib.request.Request(without_password(address), headers=headers)  # noqa: S310 - http(s) only
        user, password = self._passwords.get(host_of(address)) or _netrc(urlsplit(address).hostname or "")
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {token}")
        return request

    def _opener(self, host: str) -> urllib.request.OpenerDirector:
        proxy = self.settings.proxy
        proxies = {"http": proxy, "https": proxy} if proxy else None  # None: what the environment says
        return urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=self._context(host))
        )

    def _context(self, host: str) -> ssl.SSLContext:
        """The authorities of the system and of certifi, and those pip is told of."""
        context = ssl.create_default_context()
        if {host, host.partition(":")[0]} & set(self.settings.trusted_hosts):
            context.check_hostname = False  # pip's --trusted-host; the digest of the file is checked anyway
            context.verify_mode = ssl.CERT_NONE
            return context
        try:
            import certifi
        except ImportError:
            pass
        else:
            context.load_verify_locations(certifi.where())
        cert = self.settings.cert or os.environ.get("REQUESTS_CA_BUNDLE", "")
        if cert:
            context.load_verify_locations(**{"capath" if Path(cert).is_dir() else "cafile": cert})
        if self.settings.client_cert:
            context.load_cert_chain(self.settings.client_cert)
        return context


def host_of(address: str) -> str:
    """``host`` or ``host:port`` of an address."""
    return urlsplit(address).netloc.rpartition("@")[2]


def without_password(address: str) -> str:
    """The address without user and password: for the request line and for messages."""
    return urlunsplit(urlsplit(address)._replace(netloc=host_of(address)))


def _netrc(host: str) -> tuple[str, str]:
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return "", ""
    return (found[0], found[2] or "") if found else ("", "")
