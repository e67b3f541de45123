"""Gets one file from the package indexes that pip is set up with, without asking pip to build it.

``pip download`` runs the build code of a source distribution to learn what it needs. We only
want the file, so we read the same settings (``pip config list``) and the same simple index
(PEP 503 and 691) and fetch it ourselves. What comes is accepted by its digest alone.
"""

from __future__ import annotations

import ast
import hashlib
import html.parser
import json
import os
import re
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from .source import Source
from .visitor import PYPI, PipSettings, Visitor, without_password

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_PAGE_BYTES = 64 << 20
_YES = frozenset({"1", "true", "yes", "on"})


def pip_settings() -> PipSettings:
    """The settings of ``pip download`` here; without pip, those of its environment variables."""
    values = _pip_values()
    indexes: list[str] = []
    if values.get("no-index", "").casefold() not in _YES:
        indexes = [values.get("index-url", PYPI), *values.get("extra-index-url", "").split()]
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
    """The file in ``folder``, or None; and what was tried without success."""
    tried: list[str] = []
    visitor = Visitor(settings)
    target = folder / source.filename
    seen: set[str] = set()
    for page in _pages(source, settings):
        try:
            links = list(_links(visitor, page, source.filename))
        except (OSError, ValueError) as error:
            tried.append(f"{without_password(page)}: {_reason(error)}")
            continue
        if not links:
            tried.append(f"{without_password(page)}: has no {source.filename}")
        for link in links:
            if link in seen:
                continue
            seen.add(link)
            try:
                _download(visitor, link, target, source)
            except (OSError, ValueError) as error:
                target.unlink(missing_ok=True)
                tried.append(f"{without_password(link)}: {_reason(error)}")
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
        names = [key for key in os.environ if key.startswith("PIP_")]
        return {":env:": {key[4:].lower().replace("_", "-"): os.environ[key] for key in names}}
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


def _links(visitor: Visitor, page: str, filename: str) -> Iterator[str]:
    """Addresses of the file that a page, or a folder on this machine, names."""
    place = _local(page)
    if place is not None:
        if (place / filename).is_file():
            yield (place / filename).absolute().as_uri()
        page_file = place / "index.html" if place.is_dir() else place
        if page_file.is_file():
            yield from _named(page_file.read_text(encoding="utf-8"), page_file.absolute().as_uri(), filename)
        return
    with visitor.open(page, accept=_ACCEPT) as answer:
        text = answer.read(_PAGE_BYTES).decode("utf-8", "replace")
        base = answer.url
    for link in _named(text, base, filename):
        if urlsplit(link).scheme in {"http", "https"}:  # a page of the network names no files of this machine
            yield link


def _named(text: str, base: str, filename: str) -> Iterator[str]:
    if text.lstrip().startswith("{"):
        links = [str(each["url"]) for each in json.loads(text).get("files", []) if each.get("filename") == filename]
    else:
        parser = _Anchors()
        parser.feed(text)
        links = [link for link in parser.links if unquote(urlsplit(link).path).rpartition("/")[2] == filename]
    for link in links:
        yield urljoin(base, link).partition("#")[0]


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for key, value in attrs if key == "href" and value]


def _download(visitor: Visitor, link: str, target: Path, source: Source) -> None:
    hasher = hashlib.sha256()
    size = 0
    local = _local(link)
    opened: IO[bytes] = visitor.open(link) if local is None else local.open("rb")
    with opened as answer, target.open("wb") as out:
        while size <= source.bytes and (block := answer.read(1 << 18)):
            size += len(block)
            hasher.update(block)
            out.write(block)
    if hasher.hexdigest() != source.sha256:
        raise ValueError(f"is not the file we know, its digest is not sha256:{source.sha256}")


def _local(address: str) -> Path | None:
    """The path that a ``file:`` address or a bare path names."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme in {"http", "https"} else Path(address).expanduser()


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error)
