"""Real clusters to break."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lepton_lab.dispatch import stop_cluster
from tests.dispatch.conftest import fresh_lab, wait_until
from tests.faults.cluster import HandMadeCluster, can_name_hosts

__all__ = ["fresh_lab", "wait_until"]


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
