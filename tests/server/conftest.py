"""A real Jupyter server with the extension, and runs written with the real writers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of both the server and the test; the server's word to its kernels is taken back."""
    path = tmp_path / "lepton"
    monkeypatch.setenv("LEPTON_HOME", str(path))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LEPTON_JUPYTER_SERVER", "")
    monkeypatch.setenv("LEPTON_JUPYTER_SERVER_HOME", "")
    return path


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    """The extension is on, and looks for live runs all the time."""
    return {
        "ServerApp": {"jpserver_extensions": {"lepton_lab": True}},
        "LeptonLab": {"keep_alive_seconds": 0.1},
    }


@pytest.fixture
def browser(jp_serverapp: Any, jp_fetch: Any, jp_asyncio_loop: Any) -> dict[str, str]:
    """What the browser of somebody who has logged in sends by itself, whatever site asks it to."""
    token = jp_serverapp.identity_provider.token
    request = jp_fetch("lepton", "api", "runs", params={"token": token}, headers={"Authorization": ""})
    response = jp_asyncio_loop.run_until_complete(request)
    cookies = "; ".join(line.split(";")[0] for line in response.headers.get_list("Set-Cookie"))
    return {"Authorization": "", "Cookie": cookies, "Host": response.request.url.split("/")[2]}


@pytest.fixture
def new_run() -> Callable[..., RunFolder]:
    """Makes a queued run."""

    def make(**options: object) -> RunFolder:
        base = {"task": "text-classification", "model": "m", "dataset": "d"}
        return RunFolder.create(build_recipe("train", {**base, **options}))

    return make
