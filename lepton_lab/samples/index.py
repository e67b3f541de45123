"""Gets one file from the package indexes that pip is set up with, without asking pip to build it.

``pip download`` runs the build code of a source distribution to learn what it needs. We only
want the file, so we read the same settings (``pip config list``) and the same
simple index (PEP 503 and 691) and fetch it ourselves. What comes is accepted by its digest alone.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import html.parser
import json
import netrc
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

from .source import Source

PYPI = "https://pypi.org/simple"
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_PAGE_BYTES = 64 << 20


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


def pip_settings() -> PipSettings:
    """The settings of ``pip download`` here; without pip, those of its environment variables."""
    values = _pip_values()
    indexes = (
        [] if values.get("no-index", "").casefold() in {"1", "true", "yes", "on"} else [values.get("index-url", PYPI)]
    )
    if indexes:
        indexes += values.get("extra-index-url", "").split()
    try:
        timeout = float(values.get("timeout") or values.get("default-timeout") or 15)
    except ValueError:
        timeout = 15.0
    return PipSettings(
        indexes=tuple(indexes),
        find_links=tuple(values.get("find-links", "").split()),
        cert=values.get("cert", ""),
        client_cert=values.get("client-cert", ""),
        proxy=values.get("proxy", ""),
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
        timeout_seconds=timeout,
    )


def fetch(source: Source, folder: Path, settings: PipSettings) -> tuple[Path | None, list[str]]:
    """The file in ``folder``, or None, and what was tried without success."""
    tried: list[str] = []
    opener = _opener(settings)
    seen: set[str] = set()
    for page in _pages(source, settings):
        try:
            links = list(_links(opener, page, source, settings))
        except (OSError, ValueError) as error:
            tried.append(f"{_public(page)}: {_reason(error)}")
            continue
        if not links:
            tried.append(f"{_public(page)}: has no {source.filename}")
        for link in links:
            if link in seen:
                continue
            seen.add(link)
            target = folder / source.filename
            try:
                _download(opener, link, target, source, settings)
            except (OSError, ValueError) as error:
                target.unlink(missing_ok=True)
                tried.append(f"{_public(link)}: {_reason(error)}")
            else:
                return target, tried
    return None, tried


def _pip_values() -> dict[str, str]:
    """Setting -> value; the environment beats ``[download]``, which beats ``[global]``."""
    sections = _config_sections()
    return {key: value for name in ("global", "download", ":env:") for key, value in sections.get(name, {}).items()}


def _config_sections() -> dict[str, dict[str, str]]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=60)
    if done.returncode != 0:  # no pip here
        found = {
            key[4:].lower().replace("_", "-"): value for key, value in os.environ.items() if key.startswith("PIP_")
        }
        return {":env:": found}
    sections: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        match = re.fullmatch(r"([^.=\s]+)\.([\w-]+)=(.*)", line)
        if match:
            section, key, value = match.groups()
            sections.setdefault(section, {})[key.replace("_", "-")] = _unquoted(value)
    return sections


def _unquoted(value: str) -> str:
    try:
        return str(ast.literal_eval(value))
    except (ValueError, SyntaxError):
        return value


def _pages(source: Source, settings: PipSettings) -> Iterator[str]:
    yield from settings.find_links
    project = re.sub(r"[-_.]+", "-", source.project).lower()
    for index in settings.indexes:
        yield f"{index.rstrip('/')}/{project}/"


def _links(opener: urllib.request.OpenerDirector, page: str, source: Source, settings: PipSettings) -> Iterator[str]:
    """Addresses of the file that a page (or a folder on this machine) names."""
    folder = _local(page)
    if folder is not None:
        if (folder / source.filename).is_file():
            yield (folder / source.filename).as_uri()
        page_file = folder / "index.html" if folder.is_dir() else folder
        if page_file.is_file():
            yield from _named(page_file.read_text(encoding="utf-8"), page_file.as_uri(), source.filename)
        return
    request = _request(page)
    request.add_header("Accept", _ACCEPT)
    with opener.open(request, timeout=settings.timeout_seconds) as answer:
        text = answer.read(_PAGE_BYTES).decode("utf-8", "replace")
        yield from _named(text, answer.url, source.filename)


def _named(text: str, base: str, filename: str) -> Iterator[str]:
    if text.lstrip().startswith("{"):
        links = [str(each["url"]) for each in json.loads(text).get("files", []) if each.get("filename") == filename]
    else:
        parser = _Anchors()
        parser.feed(text)
        links = [link for link in parser.links if unquote(urlsplit(link).path).rpartition("/")[2] == filename]
    for link in links:
        address = urljoin(base, link).partition("#")[0]
        if urlsplit(address).scheme == "file" and urlsplit(base).scheme != "file":
            continue  # a page on the network does not get to name files of this machine
        yield address


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for key, value in attrs if key == "href" and value]


def _download(
    opener: urllib.request.OpenerDirector, link: str, target: Path, source: Source, settings: PipSettings
) -> None:
    hasher = hashlib.sha256()
    size = 0
    local = _local(link)
    with (
        local.open("rb") if local else opener.open(_request(link), timeout=settings.timeout_seconds) as answer,
        target.open("wb") as out,
    ):
        while block := _read(answer):
            size += len(block)
            if size > source.bytes:
                break
            hasher.update(block)
            out.write(block)
    if size != source.bytes or hasher.hexdigest() != source.sha256:
        raise ValueError(f"is not the file we know: its digest is not sha256:{source.sha256}")


def _read(answer: IO[bytes]) -> bytes:
    return answer.read(1 << 18)


def _local(address: str) -> Path | None:
    """The path that a ``file:`` address or a bare path names."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if parts.scheme in {"http", "https"}:
        return None
    return Path(address).expanduser()


def _request(address: str) -> urllib.request.Request:
    """A request that shows the user and password of its address, or of ``.netrc``, to that host only."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(bare, headers={"User-Agent": "lepton-lab"})  # noqa: S310 - http and https only
    if not user:
        user, password = _netrc(host)
    if user:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _netrc(host: str) -> tuple[str, str]:
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return "", ""
    return (found[0], found[2] or "") if found else ("", "")


def _opener(settings: PipSettings) -> urllib.request.OpenerDirector:
    proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else None
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=_context(settings))
    )


def _context(settings: PipSettings) -> ssl.SSLContext:
    """The system's certificate authorities, certifi's where that is installed, and the ones pip is told of."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        pass
    else:
        context.load_verify_locations(certifi.where())
    cert = settings.cert or os.environ.get("REQUESTS_CA_BUNDLE", "")
    if cert:
        context.load_verify_locations(**{"capath" if Path(cert).is_dir() else "cafile": cert})
    if settings.client_cert:
        context.load_cert_chain(settings.client_cert)
    return context


def _public(address: str) -> str:
    """An address without its password, for messages."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error)
