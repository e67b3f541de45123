"""The magics in a real IPython and in a real kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

from lepton_lab.errors import RequestError
from lepton_lab.magics import ask_for_help, split_line
from tests.commands.making import finished_run


@pytest.fixture(scope="module")
def shell() -> InteractiveShell:
    ip = InteractiveShell.instance()
    ip.run_line_magic("load_ext", "lepton_lab")
    ip.run_line_magic("reload_ext", "lepton_lab")  # twice is harmless
    return ip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "home"


def completions(shell: InteractiveShell, text: str) -> list[str]:
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    return [text[: each.start] + each.text for each in found]


def test_results_are_values(shell: InteractiveShell) -> None:
    folder = finished_run(name="mine")
    shell.run_cell("rows = %lepton runs\nshown = %lepton show mine\nplain = %lepton runs --json")
    assert shell.user_ns["rows"][0]["run"] == folder.run
    assert shell.user_ns["shown"]["metrics"]["test_accuracy"] == 0.81
    assert type(shell.user_ns["plain"]) is list
    data, _ = shell.display_formatter.format(shell.user_ns["rows"])  # type: ignore[union-attr]
    assert folder.run in data["text/html"]
    assert data["text/plain"].startswith("run ")


def test_events_in_a_cell_are_a_list_with_a_short_table(shell: InteractiveShell) -> None:
    finished_run()
    shell.run_cell("events = %lepton events last")
    assert [each["step"] for each in shell.user_ns["events"] if each["kind"] == "metric"] == list(range(1, 9))
    assert "step 8: loss" in repr(shell.user_ns["events"])


def test_variables_are_expanded(shell: InteractiveShell) -> None:
    folder = finished_run()
    shell.user_ns["which"] = folder.run
    result = shell.run_cell("%lepton show {which}")
    assert result.result["run"] == folder.run
    assert shell.run_cell("%lepton show $which").result["run"] == folder.run


def test_errors_are_raised(shell: InteractiveShell) -> None:
    for cell, text in (
        ("%lepton trian", "Did you mean train?"),
        ("%lepton train --lr -1", "learning_rate must be > 0"),
        ("%%lepton train\ntask: text-classification\nlr: -1", "learning_rate must be > 0"),
        ("%%lepton runs\nx: 1", "a cell body is a recipe"),
        ('%lepton predict last "open', "quotation mark is not closed"),
    ):
        error = shell.run_cell(cell).error_in_exec
        assert isinstance(error, RequestError), cell
        assert text in str(error)


def test_options_of_the_first_line_win_over_the_body(shell: InteractiveShell) -> None:
    body = "model: sample:minilm\ndataset: nowhere.csv\ntask: text-classification\nlr: -5"
    error = shell.run_cell(f"%%lepton train --lr 1e-4\n{body}").error_in_exec
    assert isinstance(error, RequestError)
    assert "learning_rate" not in str(error)


def test_a_question_mark_shows_help(shell: InteractiveShell) -> None:
    assert "Usage: %lepton train" in str(shell.run_cell("%lepton train?").result)
    assert "--group-by-length" in str(shell.run_cell("%lepton train??").result)
    assert "Usage: %lepton cluster" in str(shell.run_cell("%lepton cluster?").result)
    assert ask_for_help(["%lepton predict last fine?\n"]) == ["%lepton predict last fine?\n"]


def test_words_are_split_as_in_a_shell_but_keep_backslashes() -> None:
    assert split_line('predict last "a b" c#d') == ["predict", "last", "a b", "c#d"]
    assert split_line(r"train --dataset C:\data\a.csv") == ["train", "--dataset", r"C:\data\a.csv"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%lepton trai", ["%lepton train"]),
        ("x = %lepton pre", ["x = %lepton predict"]),
        ("%lepton cluster sto", ["%lepton cluster stop"]),
        ("%lepton train --eval-strategy=ep", ["%lepton train --eval-strategy=epoch"]),
        ("%lepton train --peft ", ["%lepton train --peft none", "%lepton train --peft lora"]),
        ("%lepton train --dataset revi", ["%lepton train --dataset reviews"]),
        (
            "%lepton train --dataset reviews --label-column ",
            ["%lepton train --dataset reviews --label-column 'a label'"],
        ),
        (
            "%lepton train --dataset reviews --label-column 'a ",
            ["%lepton train --dataset reviews --label-column 'a label'"],
        ),
        ("print(1)\n%lepton trai", ["print(1)\n%lepton train"]),
        ("%lepton train \\\n  --max-st", ["%lepton train \\\n  --max-steps"]),
        ("%%lepton compi", ["%%lepton compile"]),
        ("%%lepton train\nlearn", ["%%lepton train\nlearning_rate:"]),
        ("%%lepton train\npeft: lo", ["%%lepton train\npeft: lora"]),
        ("%%lepton train\ntrain:\n  eval_strategy: ep", ["%%lepton train\ntrain:\n  eval_strategy: epoch"]),
    ],
)
def test_tab_in_the_terminal_shell(shell: InteractiveShell, text: str, expected: list[str]) -> None:
    import pandas as pd

    shell.user_ns["reviews"] = pd.DataFrame({"a label": ["x"]})
    assert completions(shell, text) == expected


def test_other_lines_are_left_to_python(shell: InteractiveShell) -> None:
    shell.user_ns["leptons"] = 3
    assert "leptons" in completions(shell, "lepto")


class Kernel:
    """A real kernel, as a notebook has."""

    def __init__(self, client: BlockingKernelClient, home: str) -> None:
        self.client = client
        self.home = home

    def run(self, code: str) -> dict[str, Any]:
        """The reply, with what was printed as ``stream`` and shown as ``data``."""
        seen: dict[str, Any] = {"stream": "", "data": {}}

        def see(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                seen["stream"] += content["text"]
            elif message["msg_type"] in ("execute_result", "display_data"):
                seen["data"] = content["data"]

        reply = self.client.execute_interactive(code, output_hook=see, timeout=60, allow_stdin=False)
        return {**reply["content"], **seen}

    def complete(self, code: str) -> dict[str, Any]:
        reply = self.client.complete(code, len(code), reply=True, timeout=30)
        return dict(reply["content"])


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("kernel")
    environment = {**os.environ, "LEPTON_HOME": str(folder / "home"), "LEPTON_STATE_DIR": str(folder / "state")}
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=environment, cwd=str(folder))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(client, environment["LEPTON_HOME"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def test_a_real_kernel(kernel: Kernel) -> None:
    loaded = kernel.run("%load_ext lepton_lab\nimport sys\nprint({'torch', 'dask', 'plotly'} & set(sys.modules))")
    assert loaded["status"] == "ok", loaded
    assert loaded["stream"].strip() == "set()"
    kernel.run("import pandas as pd\nreviews = pd.DataFrame({'text': ['a'], 'label': ['b']})")
    reply = kernel.complete("%lepton train --dataset rev")
    assert reply["matches"] == ["reviews"]
    assert (reply["cursor_start"], reply["cursor_end"]) == (24, 27)
    assert kernel.complete("%lepton train --task text-g")["matches"] == ["text-generation"]
    assert kernel.complete("%%lepton train\ntask: text-g")["matches"] == ["text-generation"]
    assert "train" in kernel.complete("%lepton ")["matches"]
    # Where nothing fits, IPython's own completers are silent, too.
    assert kernel.complete("%lepton train --lr 1")["matches"] == ["1"]
    assert kernel.complete("%lepton train --name lo")["matches"] == ["lo"]
    assert kernel.complete("%lepton train --lr ")["matches"] == [""]
    error = kernel.run("%lepton train --epocs 2")
    assert error["status"] == "error"
    assert error["ename"] == "RequestError"
    assert "Did you mean --epochs?" in error["evalue"]
    assert len(error["traceback"]) == 1  # the message, not the way to it
    shown = kernel.run("%lepton runs")
    assert "No runs yet" in shown["data"]["text/html"]


def test_a_run_is_shown_under_its_cell_and_a_failed_one_raises(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel.run("%load_ext lepton_lab")
    monkeypatch.setenv("LEPTON_HOME", kernel.home)
    done = finished_run(name="done")
    shown = kernel.run("run = %lepton attach done")
    assert shown["status"] == "ok", shown
    assert done.run in shown["data"]["text/html"]
    assert kernel.run("print(run.id)")["stream"].strip() == done.run
    again = kernel.run("run")
    assert done.run in again["data"]["text/html"]
    finished_run("failed", name="broken")
    error = kernel.run("%lepton attach broken --wait")
    assert (error["status"], error["ename"]) == ("error", "RunFailed")
    plain = kernel.run("%lepton attach done --wait --json")
    assert "'status': 'succeeded'" in plain["data"]["text/plain"]


def test_loading_is_quick() -> None:
    code = "import time; b = time.perf_counter(); import lepton_lab.magics; print(time.perf_counter() - b)"
    best = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(2)
    )
    assert best < 1.5  # usually 0.2
