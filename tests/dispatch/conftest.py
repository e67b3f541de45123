"""A home and a state folder of their own, a real local cluster, and a small worker that speaks the protocol."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lepton_lab import places
from lepton_lab.dispatch import collect_environment, stop_cluster
from lepton_lab.dispatch.handing import hand_over
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder

WORKER = "lepton_fake_worker"


class Lab:
    """Where one module's or one test's runs live."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def state(self) -> Path:
        return places.state_dir()

    def write(self, words: str, **options: Any) -> RunFolder:
        """A run whose name says what its worker does."""
        parent = options.pop("parent", None)
        if parent:
            recipe = build_recipe("compile", {"parent": parent, "name": words, **options})
        else:
            plan = {"task": "text-classification", "model": "sample:minilm", "dataset": "sample:movie-sentiment"}
            recipe = build_recipe("train", {**plan, "name": words, **options})
        return RunFolder.create(recipe)

    def start(self, words: str, after: Sequence[str] = (), **options: Any) -> RunFolder:
        """A run that was handed over."""
        folder = self.write(words, **options)
        hand_over(folder, folder.recipe(), collect_environment(), after, worker_module=WORKER)
        return folder


def until(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What ``condition`` says once it says something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain")
        time.sleep(0.02)
    return found


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    return until


def _lab(spare: bool) -> Iterator[Lab]:
    with (
        tempfile.TemporaryDirectory(prefix="lepton-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("LEPTON_HOME", f"{folder}/home")
        patch.setenv("LEPTON_STATE_DIR", f"{folder}/state")
        patch.setenv("LEPTON_SPARE", str(int(spare)))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
        try:
            yield Lab(Path(folder))
        finally:
            stop_cluster(force=True)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One cluster for a module's tests, without a spare."""
    yield from _lab(spare=False)


@pytest.fixture
def fresh_lab() -> Iterator[Lab]:
    """Nothing runs yet; no spare."""
    yield from _lab(spare=False)


@pytest.fixture
def spare_lab() -> Iterator[Lab]:
    """Nothing runs yet; spares are wanted."""
    yield from _lab(spare=True)


@pytest.fixture
def hands(fresh_lab: Any) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack
