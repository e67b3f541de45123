"""Downloads, against a real index on this machine that wants a password and redirects elsewhere."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lepton_lab.errors import RequestError
from lepton_lab.samples.archives import unpack
from lepton_lab.samples.download import download
from lepton_lab.samples.entries import find
from lepton_lab.samples.index import fetch, pip_settings
from lepton_lab.samples.source import Source
from lepton_lab.samples.visitor import PipSettings

FILENAME = "some_data-1.0.tar.gz"


def _release(marker: Path) -> bytes:
    """A source distribution whose build code would leave a mark, with an archive inside."""
    inner, outer = io.BytesIO(), io.BytesIO()
    files = {"setup.py": f"open({str(marker)!r}, 'w').write('ran')".encode(), "rows.txt": b"a\tb\n"}
    with tarfile.open(fileobj=inner, mode="w:gz") as tar:
        _add(tar, "deep/rows.txt", b"deep\n")
    with tarfile.open(fileobj=outer, mode="w:gz") as tar:
        for name, content in (files | {"inner.tar.gz": inner.getvalue()}).items():
            _add(tar, f"some_data-1.0/{name}", content)
        link = tarfile.TarInfo("some_data-1.0/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    return outer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


@dataclass
class Index:
    """What the server has and what it saw."""

    body: bytes
    style: str = "json"
    busy: int = 0
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""
    files_address: str = ""


def _serve(index: Index) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.seen.append((self.headers["Host"], self.path, self.headers.get("Authorization", "")))
            if index.busy:
                index.busy -= 1
                self.send_error(503)
            elif self.path == "/simple/some-data/":
                self._answer(_page(index))
            elif self.path == f"/moved/{FILENAME}":
                self.send_response(302)
                self.send_header("Location", f"{index.files_address}/files/{FILENAME}")
                self.end_headers()
            elif self.path == f"/files/{FILENAME}":
                self._answer(index.body)
            else:
                self.send_error(404)

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def _page(index: Index) -> bytes:
    if index.style == "json":
        return json.dumps({"files": [{"filename": FILENAME, "url": f"../../moved/{FILENAME}"}]}).encode()
    hostile = '<a href="file:///etc/passwd/some_data-1.0.tar.gz">x</a>'
    return f'<html>{hostile}<a href="../../moved/{FILENAME}#sha256=0">{FILENAME}</a></html>'.encode()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    state = Index(_release(tmp_path / "ran"))
    servers = [_serve(state), _serve(state)]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    state.address, state.files_address = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    yield state
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def source(index: Index) -> Source:
    members = {"some_data-1.0/rows.txt": "rows.txt", "some_data-1.0/inner.tar.gz!deep/rows.txt": "deep.txt"}
    digest = hashlib.sha256(index.body).hexdigest()
    return Source("Some_Data", "1.0", FILENAME, digest, len(index.body), members)


@pytest.mark.parametrize("style", ["json", "html"])
def test_fetch_and_unpack(style: str, index: Index, source: Source, tmp_path: Path) -> None:
    index.style = style
    password = index.address.replace("http://", "http://me:se%20cret@")
    path, tried = fetch(source, tmp_path, PipSettings(indexes=(f"{password}/simple/",), timeout_seconds=5))
    assert path == tmp_path / FILENAME
    assert tried == []
    unpack(path, source.members, tmp_path / "out")
    assert {each.name: each.read_text() for each in (tmp_path / "out").iterdir()} == {
        "rows.txt": "a\tb\n",
        "deep.txt": "deep\n",
    }
    assert not (tmp_path / "ran").exists()
    secret = "Basic " + base64.b64encode(b"me:se cret").decode()
    assert [authorization for _, _, authorization in index.seen] == [secret, secret, ""]  # the last is another host


def test_a_busy_index_is_asked_again(index: Index, source: Source, tmp_path: Path) -> None:
    index.busy = 1
    path, _ = fetch(source, tmp_path, PipSettings(indexes=(f"{index.address}/simple",), timeout_seconds=5))
    assert path is not None


def test_wrong_digest_is_refused(index: Index, source: Source, tmp_path: Path) -> None:
    index.body += b"more"
    settings = PipSettings(indexes=(f"{index.address.replace('//', '//me:secret@')}/simple",), timeout_seconds=5)
    path, tried = fetch(source, tmp_path, settings)
    assert path is None
    assert not (tmp_path / FILENAME).exists()
    assert "is not the file we know" in tried[0]
    assert "secret" not in tried[0]


def test_find_links_and_missing(index: Index, source: Source, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    nowhere = f"{index.address}/nowhere"
    settings = PipSettings(indexes=(nowhere,), find_links=(str(shelf),), timeout_seconds=5)
    path, tried = fetch(source, tmp_path, settings)
    assert path is None
    assert tried == [f"{shelf}: has no {FILENAME}", f"{nowhere}/some-data/: HTTP 404"]
    (shelf / FILENAME).write_bytes(index.body)
    assert fetch(source, tmp_path, settings)[0] == tmp_path / FILENAME


def test_settings_are_those_of_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nextra-index-url =\n  https://a.example/simple\n  https://b.example/simple\ntimeout = 7\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "https://own.example/simple")
    monkeypatch.delenv("PIP_DEFAULT_TIMEOUT", raising=False)
    settings = pip_settings()
    assert settings.indexes[0] == "https://own.example/simple"
    assert {"https://a.example/simple", "https://b.example/simple"} <= set(settings.indexes)
    assert settings.timeout_seconds == 7
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert pip_settings().indexes == ()


def test_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch, source: Source, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    with pytest.raises(RequestError, match=r"could not be downloaded.*set PIP_FIND_LINKS to it"):
        download(source, tmp_path, lambda _: None)


def test_links_in_an_archive_are_refused(index: Index, tmp_path: Path) -> None:
    path = tmp_path / FILENAME
    path.write_bytes(index.body)
    with pytest.raises(KeyError, match="is not a file"):
        unpack(path, {"some_data-1.0/link.txt": "link.txt"}, tmp_path / "out")


def test_pip_gets_a_wheel_by_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheel = shelf / "tiny_data-1.0-py3-none-any.whl"
    info = "tiny_data-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tiny_data/rows.txt", "rows")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    members = {"tiny_data/rows.txt": "rows.txt"}
    source = Source("tiny-data", "1.0", wheel.name, digest, wheel.stat().st_size, members)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    (tmp_path / "to").mkdir()
    path = download(source, tmp_path / "to", lambda _: None)
    unpack(path, source.members, tmp_path / "out")
    assert (tmp_path / "out" / "rows.txt").read_text() == "rows"
    with pytest.raises(RequestError, match="could not be downloaded, got pip: "):
        download(replace(source, sha256="0" * 64), tmp_path / "to", lambda _: None)


@pytest.mark.network
def test_a_real_wheel(tmp_path: Path) -> None:
    source = find("faq").source
    unpack(download(source, tmp_path, lambda _: None), source.members, tmp_path / "out")
    assert (tmp_path / "out" / "trivia.yml").is_file()
