"""A notebook's cell that is interrupted, its kernel and its server killed, in the middle of real training."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import lepton_lab
from lepton_lab.lab import Run
from lepton_lab.record import checkpoint_step, is_intact, last_complete
from tests.dispatch.conftest import until
from tests.faults.jupyter import JupyterServer, Notebook
from tests.faults.training import (
    SAVE_STEPS,
    STEPS,
    Ending,
    SmallTraining,
    assert_unharmed,
    held_still,
    is_gone,
    steps_of,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    found = JupyterServer(tmp_path_factory.mktemp("jupyter"))
    found.start()
    yield found
    found.stop()


@pytest.fixture
def notebook(server: JupyterServer) -> Iterator[Notebook]:
    found = server.open_notebook()
    yield found
    found.close()


def new_run(before: list[str]) -> Run:
    """The run that was not there before."""
    return lepton_lab.attach(until(lambda: next((run for run in run_ids() if run not in before), None), 60))


def run_ids() -> list[str]:
    return [row["run"] for row in lepton_lab.runs()]


def test_interrupted_cell_leaves_the_run_alone(
    notebook: Notebook, training: SmallTraining, undisturbed: Ending
) -> None:
    before = run_ids()
    cell = notebook.begin(training.line("--wait", "--on-interrupt detach"))
    run = new_run(before)
    with held_still(run):
        notebook.interrupt()
        assert notebook.reply(cell)["status"] == "ok"
        assert run.status == "running"
    assert run.wait(timeout=300).status == "succeeded"
    assert_unharmed(run, undisturbed, "succeeded")


@pytest.mark.parametrize("result", ["", "--json"])
def test_interrupted_cell_cancels_the_run_if_it_should(
    notebook: Notebook, training: SmallTraining, undisturbed: Ending, result: str
) -> None:
    before = run_ids()
    cell = notebook.begin(training.line("--wait", "--on-interrupt cancel", result))
    run = new_run(before)
    with held_still(run):
        notebook.interrupt()
        until(lambda: run.status == "cancelling", 1)
    reply = notebook.reply(cell)
    assert (reply["status"], reply["ename"]) == ("error", "RunCancelled")
    assert run.status == "cancelled"
    saved = last_complete(run.folder)
    assert saved is not None
    assert is_intact(saved)
    assert checkpoint_step(saved) == steps_of(run.folder)[-1]
    assert run.resume().wait(timeout=300).status == "succeeded"
    assert_unharmed(run, undisturbed, "cancelled", "succeeded", again=0)


def test_killed_kernel_is_not_missed(notebook: Notebook, training: SmallTraining, undisturbed: Ending) -> None:
    before = run_ids()
    notebook.run(training.line())
    run = new_run(before)
    with held_still(run):
        notebook.process.kill()
        until(lambda: is_gone(notebook.process.pid))
    assert run.wait(timeout=300).status == "succeeded"
    assert_unharmed(run, undisturbed, "succeeded")


def test_killed_server_is_not_missed_and_its_successor_shows_everything(
    server: JupyterServer, notebook: Notebook, training: SmallTraining, undisturbed: Ending
) -> None:
    before = run_ids()
    notebook.run(training.line())
    run = new_run(before)

    async def watch() -> list[int]:
        """What is on the page of somebody who comes back."""
        page = await server.open_page(run.id)
        while len(page.steps) < SAVE_STEPS:
            assert await page.read()
        with held_still(run):
            server.kill()
            while await page.read():
                pass
        page.close()
        seen = len(steps_of(run.folder))
        assert page.steps == list(range(1, len(page.steps) + 1))
        until(lambda: len(steps_of(run.folder)) > seen + SAVE_STEPS)
        with held_still(run):
            server.start()
            page = await server.open_page(run.id)
            await page.read()
            assert (page.status, page.steps) == ("running", steps_of(run.folder))
        while await page.read() != "final":
            pass
        page.close()
        return page.steps

    whole = list(range(1, STEPS + 1))
    assert asyncio.run(watch()) == whole
    told = server.ask("GET", f"lepton/api/runs/{run.id}/events?limit=10000")["events"]
    assert [each["step"] for each in told if "loss" in each.get("values", {})] == whole
    assert server.ask("GET", f"lepton/api/runs/{run.id}")["status"] == "succeeded"
    assert_unharmed(run, undisturbed, "succeeded")
