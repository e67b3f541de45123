"""Which place is which, from evidence as the places give it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lepton_lab.errors import RequestError
from lepton_lab.widgets.hosts import Evidence, decide, find_host

KERNEL = "ZMQInteractiveShell"
SERVER = {"JPY_SESSION_NAME": "/work/a.ipynb", "JPY_PARENT_PID": "41"}
LAB = ["/usr/bin/python3", "/usr/bin/jupyter-lab", "--no-browser"]


def of(environment: dict[str, str], parent: list[str] | None = None, **more: object) -> str:
    given: dict[str, object] = {"shell": KERNEL, **more}
    return decide(Evidence(environment, parent=parent or [], **given)).name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "command",
    [
        LAB,
        ["/usr/bin/python3", "/opt/bin/jupyterhub-singleuser", "--ip=0.0.0.0"],
        ["python", "-m", "jupyter", "lab"],
        ["python", "-m", "jupyterlab"],
        ["/opt/bin/jupyter", "notebook"],
        [r"jupyter-lab.exe"],
    ],
)
def test_a_jupyter_server(command: list[str]) -> None:
    assert of(SERVER, command) == "jupyter"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["python", "/usr/bin/jupyter-nbconvert", "--execute", "lab"],
        ["python", "/usr/bin/jupyter", "execute", "notebook.ipynb"],
        ["python", "/usr/bin/papermill", "a.ipynb", "lab"],
        ["python", "notebook"],
        ["pytest"],
    ],
)
def test_a_program_that_runs_a_notebook_is_no_watcher(command: list[str]) -> None:
    # A terminal of a notebook server hands the session's variables on to what runs in it.
    assert of(SERVER, command) == "headless"
    assert of({**SERVER, "LEPTON_JUPYTER_SERVER": "40"}, command) == "headless"


def test_our_extension_needs_the_same_server_and_home(home: Path) -> None:
    ours = {**SERVER, "LEPTON_JUPYTER_SERVER": "41", "LEPTON_JUPYTER_SERVER_HOME": str(home)}
    assert of(ours, LAB) == "jupyter-extension"
    assert of({**ours, "LEPTON_JUPYTER_SERVER": "40"}, LAB) == "jupyter"
    assert of({**ours, "LEPTON_JUPYTER_SERVER_HOME": "/elsewhere"}, LAB) == "jupyter"
    assert of({**ours, "JPY_SESSION_NAME": ""}, LAB) == "headless"
    assert of({**ours, "JPY_SESSION_NAME": "/work/a-jvsc-1f.ipynb"}, LAB) == "vscode"
    assert of({**ours, "LEPTON_NONINTERACTIVE": "1"}, LAB) == "headless"
    assert of({**ours, "LEPTON_NONINTERACTIVE": "0"}, LAB) == "jupyter-extension"
    assert of({**ours, "LEPTON_NONINTERACTIVE": "1", "LEPTON_HOST": "colab"}, LAB) == "colab"


def test_other_places() -> None:
    assert of({}, names=["__vsc_ipynb_file__"]) == "vscode"
    assert of({"VSCODE_PID": "7"}) == "vscode"
    assert of({"VSCODE_PID": "7", "JPY_PARENT_PID": "8"}) == "headless"
    assert of({}, modules=["google.colab"]) == "colab"
    assert of({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}) == "kaggle"
    assert of({"KAGGLE_KERNEL_RUN_TYPE": "Batch"}) == "headless"
    assert of({"DATABRICKS_RUNTIME_VERSION": "15.4"}) == "databricks"
    assert of({}, shell="TerminalInteractiveShell", is_terminal=True) == "ipython"
    assert of({}, shell="TerminalInteractiveShell") == "script"
    assert of({}, shell="") == "script"
    assert of({}) == "headless"


def test_waiting_is_the_default_where_nothing_is_drawn_live() -> None:
    hosts = {name: decide(Evidence({"LEPTON_HOST": name})) for name in ("jupyter", "colab", "headless", "vscode")}
    assert {name: (host.waits, host.watched) for name, host in hosts.items()} == {
        "jupyter": (False, True),
        "vscode": (False, True),
        "colab": (True, True),
        "headless": (True, False),
    }


def test_a_wrong_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_HOST", "emacs")
    with pytest.raises(RequestError, match=r"LEPTON_HOST must be one of jupyter-extension, .*got 'emacs'"):
        find_host()


def test_a_plain_python_is_a_script() -> None:
    code = "from lepton_lab.widgets import find_host; print(find_host().name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "script"
