"""Real clusters and small real trainings to break."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.dispatch import stop_cluster
from tests.dispatch.conftest import fresh_lab, wait_until
from tests.faults.cluster import HandMadeCluster, can_name_hosts
from tests.faults.training import Ending, SmallTraining
from tests.work.conftest import tiny_bert

__all__ = ["fresh_lab", "tiny_bert", "wait_until"]


@pytest.fixture(scope="session")
def training(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallTraining:
    """What the runs of this folder train, two hundred steps of some milliseconds."""
    return SmallTraining.written(tiny_bert, tmp_path_factory.mktemp("reviews"))


@pytest.fixture(scope="package")
def home() -> Iterator[Path]:
    """The home of the runs that go to the cluster of this machine."""
    with (
        tempfile.TemporaryDirectory(prefix="lepton-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("LEPTON_HOME", f"{folder}/home")
        patch.setenv("LEPTON_STATE_DIR", f"{folder}/state")
        patch.setenv("LEPTON_SPARE", "0")
        try:
            yield Path(folder) / "home"
        finally:
            stop_cluster(force=True)


@pytest.fixture(scope="package")
def undisturbed(home: Path, training: SmallTraining) -> Ending:
    """The training that nobody disturbed."""
    return Ending.of(training.start().wait(timeout=300).raise_for_status())


@pytest.fixture
def cluster(fresh_lab: Any) -> Iterator[HandMadeCluster]:
    """A scheduler and the hosts node-a and node-b."""
    if not can_name_hosts():
        pytest.skip("needs root: hosts are given names of their own in UTS namespaces")
    made = HandMadeCluster(fresh_lab.folder)
    made.start_scheduler()
    try:
        yield made
    finally:
        stop_cluster(force=True, cluster=made.address)
        made.close()
