"""A real Dask Gateway server on loopback, its proxy, its schedulers and workers: runs there, and what becomes of idle
clusters. Needs ``dask-gateway-server`` (``pip install dask-gateway-server[local]``), beside this Python or named in
``LEPTON_GATEWAY_SERVER``."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.commands import Seat, run_words
from lepton_lab.dispatch import cluster_status, start_cluster, stop_cluster, wake
from lepton_lab.dispatch.processes import ProcessMark
from lepton_lab.record import view_of

from .typed import free_port, running

SERVER = Path(os.environ.get("LEPTON_GATEWAY_SERVER") or Path(sys.executable).with_name("dask-gateway-server"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SERVER.is_file(), reason="NO GATEWAY SERVER HERE: pip install 'dask-gateway-server[local]'"),
]

# Workers have a home of their own, as on a gateway elsewhere.
CONFIGURATION = """
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.Proxy.address = "127.0.0.1:{port}"
c.ClusterConfig.scheduler_cmd = [{python!r}, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [{python!r}, "-m", "distributed.cli.dask_worker"]
c.ClusterConfig.worker_cores = 1
c.ClusterConfig.environment = {environment}
c.LocalBackend.clusters_directory = {folder!r}
"""


@pytest.fixture
def gateway(fresh_lab: Any, hands: ExitStack) -> str:
    """The address of a server that has no cluster yet."""
    folder, port = fresh_lab.folder / "gateway", free_port()
    folder.mkdir()
    environment = {
        "LEPTON_HOME": str(folder / "home"),
        "LEPTON_STATE_DIR": str(folder / "state"),
        "OMP_NUM_THREADS": "1",
    }
    text = CONFIGURATION.format(
        port=port, python=sys.executable, environment=environment, folder=str(folder / "clusters")
    )
    (folder / "clusters").mkdir()
    (folder / "configuration.py").write_text(text)
    words = [str(SERVER), "-f", str(folder / "configuration.py")]
    hands.enter_context(running(shlex.join(words), "Dask-Gateway server started", fresh_lab.folder))
    return f"http://127.0.0.1:{port}"


def clusters_of(address: str) -> list[str]:
    """The names of the clusters that the server has."""
    from dask_gateway import Gateway

    async def ask() -> list[str]:
        async with Gateway(address, asynchronous=True) as server:
            return [each.name for each in await server.list_clusters()]

    return asyncio.run(ask())


def kill_agent(cluster: str) -> None:
    agent = ProcessMark.of(int(cluster_status(cluster)["pid"]))
    agent.send(signal.SIGKILL)
    assert agent.wait(10)


@pytest.mark.filterwarnings("ignore")
def test_a_run_goes_there_survives_its_agent_and_the_cluster_is_ended_by_name(
    fresh_lab: Any, gateway: str, hands: ExitStack, wait_until: Callable[..., Any]
) -> None:
    run_words(["cluster", "use", "gateway", "--address", gateway, "--name", "hub"], Seat())
    hands.callback(stop_cluster, True, "hub")
    status = start_cluster("hub")
    assert status["address"].startswith("gateway://127.0.0.1:")
    (name,) = clusters_of(gateway)
    wait_until(lambda: cluster_status("hub")["workers"], 90)
    rows = fresh_lab.folder / "reviews.csv"
    rows.write_text("text,label\n" + "fine,good\ndull,bad\n" * 50)
    run = fresh_lab.start("saves 600 p20", cluster="hub", dataset=f"file:{rows}", model="hub:some/model")
    wait_until(lambda: view_of(run).step > 5, 60)
    kill_agent("hub")
    assert wake(run)
    wait_until(lambda: cluster_status("hub")["cluster"] == "running", 60)
    assert clusters_of(gateway) == [name], "the next agent takes up the cluster of the one before"
    wait_until(run.final, 90)
    view = view_of(run)
    assert (view.status, view.attempt) == ("succeeded", 1), view.message
    assert list(view.series["loss"].steps) == list(range(1, 601))
    stop_cluster(cluster="hub")
    wait_until(lambda: not clusters_of(gateway), 30)


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_to_which_nobody_comes_back_ends(
    fresh_lab: Any, gateway: str, hands: ExitStack, wait_until: Callable[..., Any]
) -> None:
    words = ["--address", gateway, "--name", "hub", "--idle-minutes", "0.1"]
    run_words(["cluster", "use", "gateway", *words], Seat())
    hands.callback(stop_cluster, True, "hub")
    start_cluster("hub")
    assert len(clusters_of(gateway)) == 1
    kill_agent("hub")
    wait_until(lambda: not clusters_of(gateway), 60)
    memory = json.loads(next(fresh_lab.state.glob("lepton-gateway-*.json")).read_text())
    assert memory["cluster"], "it was not the agent that ended it"
