"""Each test has a home of its own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("lepton_lab.session._last_here", None)
    monkeypatch.setattr("lepton_lab.session._is_shell_command", False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"
