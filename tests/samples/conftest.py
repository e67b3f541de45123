"""One home for the session that the data samples are installed into, for real."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lepton_lab import samples
from lepton_lab.errors import RequestError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A LEPTON_HOME of the test's own."""
    path = tmp_path / "home"
    monkeypatch.setenv("LEPTON_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """``installed(name)``: LEPTON_HOME of the session, with that sample in it. Skips where no index answers."""
    shared = tmp_path_factory.mktemp("samples")

    def get(name: str) -> Path:
        before = os.environ["LEPTON_HOME"]
        os.environ["LEPTON_HOME"] = str(shared)
        try:
            samples.install(name)
        except RequestError as error:
            if "could not be downloaded" not in str(error):
                raise
            pytest.skip(str(error))
        finally:
            os.environ["LEPTON_HOME"] = before
        return shared

    yield get
