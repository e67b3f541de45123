"""Models from a Hub: a local stub serves a small real model's files over HTTP."""

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

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# Runs in a process of its own: huggingface_hub reads its settings at import.
FETCH = """
import json, sys
from pathlib import Path
from lepton_lab.errors import ModelError
from lepton_lab.record import EventWriter, read_events
from lepton_lab.registry import load_task
from lepton_lab.work.models.hub import fetch_hub_model
name, task, allow_pickle, events = sys.argv[1:]
writer = EventWriter(Path(events), "run", 1, "trainer")
try:
    folder = fetch_hub_model(name, load_task(task), writer, allow_pickle == "yes", False)
    found = {"files": sorted(path.name for path in folder.iterdir())}
except ModelError as error:
    found = {"error": str(error)}
found["logs"] = [event.body["message"] for event in read_events(Path(events))]
print(json.dumps(found))
"""


class Stub(BaseHTTPRequestHandler):
    """The few routes of the Hub that a download uses."""

    repositories: dict[str, dict[str, bytes]] = {}  # noqa: RUF012
    asked: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        path = self.path.partition("?")[0]
        token = self.headers.get("Authorization")
        self.asked.append((path, token))
        if path.startswith("/api/models/"):
            name = "/".join(path.split("/")[3:5])
            return self._tree(name, body) if "/tree/" in path else self._info(name, body)
        parts = path.strip("/").split("/")
        files = self.repositories.get("/".join(parts[:2]), {})
        name = "/".join(parts[4:])
        if len(parts) < 5 or name not in files:
            return self._send(404, b"", body, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "no such file"})
        data = files[name]
        tag = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        return self._send(200, data, body, tag)

    def _info(self, name: str, body: bool) -> None:
        if name == "owner/gated" and self.headers.get("Authorization") != "Bearer secret":
            return self._send(403, b"{}", body, {"X-Error-Code": "GatedRepo", "X-Error-Message": "ask first"})
        if name not in self.repositories:
            return self._send(404, b"{}", body, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "no such model"})
        files = [{"rfilename": file, "size": len(data)} for file, data in self.repositories[name].items()]
        answer = {
            "id": name, "modelId": name, "sha": COMMIT, "private": False, "tags": ["license:apache-2.0"],
            "gated": "manual" if name == "owner/gated" else False, "siblings": files,
            "cardData": {"license": "apache-2.0"},
        }  # fmt: skip
        return self._send(200, json.dumps(answer).encode(), body, {"Content-Type": "application/json"})

    def _tree(self, name: str, body: bool) -> None:
        files = [
            {"type": "file", "path": file, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for file, data in self.repositories[name].items()
        ]
        return self._send(200, json.dumps(files).encode(), body, {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def hub(tiny_bert: Path) -> Iterator[str]:
    """The address of a Hub with three models."""
    files = {path.name: path.read_bytes() for path in tiny_bert.iterdir()}
    pickled = {name: data for name, data in files.items() if name != "model.safetensors"}
    Stub.repositories = {
        "owner/model": {**files, "README.md": b"# hi", "onnx/model.onnx": b"x" * 100, "pytorch_model.bin": b"p"},
        "owner/gated": files,
        "owner/pickled": {**pickled, "pytorch_model.bin": b"p"},
    }
    Stub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(
    endpoint: str, tmp_path: Path, name: str, task: str = "text-classification", pickle: str = "no", **env: str
) -> dict[str, object]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    done = subprocess.run(
        [sys.executable, "-c", FETCH, name, task, pickle, str(tmp_path / f"events-{len(list(tmp_path.iterdir()))}")],
        env={**clean, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_model_is_described_checked_and_then_fetched_and_works_offline_afterwards(hub: str, tmp_path: Path) -> None:
    found = fetch(hub, tmp_path, "owner/model")
    assert found["logs"] == ["model owner/model from the Hub: licence apache-2.0, not gated, 0 MB of weights"]
    assert "model.safetensors" in found["files"]
    assert "tokenizer.json" in found["files"]
    paths = [path for path, _ in Stub.asked]
    assert not any(path.endswith((".onnx", ".bin", "README.md")) for path in paths)
    first_file = next(path for path in paths if "/resolve/" in path)
    assert first_file.endswith("config.json")
    offline = fetch("http://127.0.0.1:9", tmp_path, "owner/model", HF_HUB_OFFLINE="1")
    assert offline["files"] == found["files"]
    unreachable = fetch("http://127.0.0.1:9", tmp_path, "owner/model")
    assert unreachable["files"] == found["files"]
    assert "using the copy" in str(unreachable["logs"])


def test_a_model_that_cannot_do_the_task_is_refused_before_its_weights_are_fetched(hub: str, tmp_path: Path) -> None:
    found = fetch(hub, tmp_path, "owner/model", task="text-generation")
    assert "cannot do text-generation" in str(found["error"])
    assert not any(path.endswith(".safetensors") for path, _ in Stub.asked)


def test_gates_tokens_pickles_and_misspelt_names(hub: str, tmp_path: Path) -> None:
    refused = fetch(hub, tmp_path, "owner/gated")
    assert "is gated" in str(refused["error"])
    assert "HF_TOKEN" in str(refused["error"])
    assert "files" in fetch(hub, tmp_path, "owner/gated", HF_TOKEN="secret")
    assert "pickled weights only" in str(fetch(hub, tmp_path, "owner/pickled")["error"])
    assert "no such model" in str(fetch(hub, tmp_path, "owner/modell")["error"])
