"""Hub data sets come through ``datasets`` from whatever HF_ENDPOINT names: here a hub on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from lepton_lab.data.hub import read_hub
from lepton_lab.data.notes import Notes
from lepton_lab.recipe import DataConfig

COMMIT = "a" * 40
ROWS = b"".join(b"text %d,%s\n" % (row, b"ab"[row % 2 : row % 2 + 1]) for row in range(30))
FILES = {
    "README.md": b"---\nlicense: cc-by-4.0\n---\n# Reviews\n",
    "train.csv": b"text,label\n" + ROWS,
    "dev.csv": b"text,label\nx,a\ny,b\n",
}
READ = """
import json, sys
from lepton_lab.data.hub import read_hub
from lepton_lab.data.notes import Notes
from lepton_lab.recipe import DataConfig
for word in sys.argv[1:]:
    notes = Notes()
    raw = read_hub(word, DataConfig(), notes, "data.dataset")
    rows = {name: table.num_rows for name, table in raw.tables.items()} if raw else {}
    found = {"rows": rows, "licence": raw and raw.origin["licence"], "problems": list(map(str, notes.problems))}
    print(json.dumps(found))
print("torch" in sys.modules or "transformers" in sys.modules)
"""


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as loading a data set asks for."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        repository = "/api/datasets/acme/reviews"
        if "acme/secret" in path:
            self.answer(b"{}", 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is gated"})
        elif path.startswith((f"{repository}/tree/", f"{repository}/paths-info/")):
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            asked = parse_qs(body).get("paths", list(FILES))
            self.answer(json.dumps([entry(name) for name in FILES if name in asked and not path.endswith("/data")]))
        elif path.startswith(repository):
            files = [{"rfilename": name} for name in FILES]
            self.answer(
                json.dumps({"id": "acme/reviews", "sha": COMMIT, "gated": False, "tags": [], "siblings": files})
            )
        elif path.rpartition("/")[2] in FILES and path.startswith("/datasets/acme/reviews/resolve/"):
            content = FILES[path.rpartition("/")[2]]
            self.answer(content, 200, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT})
        else:
            missing = "EntryNotFound" if "acme/reviews" in path else "RepoNotFound"
            self.answer(b"{}", 404, {"X-Error-Code": missing})

    do_HEAD = do_GET
    do_POST = do_GET

    def answer(self, content: bytes | str, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def entry(name: str) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(FILES[name]), "oid": hashlib.sha1(FILES[name]).hexdigest()}


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def read(home: Path, *words: str, **environment: str) -> list[dict[str, object]]:
    """What a fresh process reads: the endpoint is looked at when the hub's library is imported."""
    found = subprocess.run(
        [sys.executable, "-c", READ, *words],
        env={**os.environ, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", **environment},
        capture_output=True,
        text=True,
        cwd=home,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    *lines, heavy = found.stdout.splitlines()
    assert heavy == "False"
    return [json.loads(line) for line in lines]


def test_a_data_set_of_a_mirror_is_read_and_then_offline(endpoint: str, tmp_path: Path) -> None:
    reviews, nothing, secret = read(
        tmp_path, "hub:acme/reviews", "hub:acme/nothing", "hub:acme/secret", HF_ENDPOINT=endpoint
    )
    assert reviews == {"rows": {"train": 30, "validation": 2}, "licence": "cc-by-4.0", "problems": []}
    assert "the hub has no data set acme/nothing" in str(nothing["problems"])
    assert "the data set acme/secret is gated" in str(secret["problems"])
    assert "set HF_TOKEN" in str(secret["problems"])
    again, absent = read(
        tmp_path, "hub:acme/reviews", "hub:acme/nothing", HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1"
    )
    assert again == reviews
    assert "is not in the cache, and the hub is offline here" in str(absent["problems"])


def test_a_folder_of_the_same_name_is_never_taken_for_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme").mkdir()
    monkeypatch.chdir(tmp_path)
    notes = Notes()
    assert read_hub("hub:acme", DataConfig(), notes, "data.dataset") is None
    assert "acme is also a folder here" in str(notes.problems[0])
