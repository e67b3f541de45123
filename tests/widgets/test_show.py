"""Runs shown in real kernels: headless through nbclient, live over the comm, live in our extension."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from lepton_lab.record import AttemptFolder, RunFolder
from lepton_lab.widgets.show import MEDIA_TYPE
from tests.widgets.kernel import Kernel

NewRun = Callable[..., RunFolder]
SHOW = "from lepton_lab import lab\nfrom lepton_lab.widgets import show_run\n"

pytestmark = pytest.mark.filterwarnings("ignore:Proactor", "ignore::DeprecationWarning")


def begin(folder: RunFolder) -> AttemptFolder:
    attempt = folder.take_lease(1)
    attempt.beat()
    attempt.writer("supervisor").status(status="running")
    return attempt


def play(folder: RunFolder, status: str = "succeeded", seconds: float = 1.5) -> threading.Thread:
    """Write a short run in the background."""

    def write() -> None:
        trainer = begin(folder).writer("trainer")
        trainer.status(stage="train", max_steps=10)
        for step in range(1, 11):
            time.sleep(seconds / 10)
            trainer.metric(step, {"loss": 1 / step})
        trainer.report("metrics", {"test_accuracy": 0.75})
        folder.finish(status, message="it went out of memory" if status == "failed" else "")

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def execute(*cells: str) -> Any:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return notebook


def test_where_nobody_watches_the_cell_waits_and_keeps_the_final_card(new_run: NewRun) -> None:
    folder, failing = new_run(name="headless"), new_run(name="failing")
    writers = [play(folder), play(failing, "failed")]
    cells = [f"{SHOW}show_run(lab.attach({each.run!r}))" for each in (folder, failing)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    with pytest.raises(CellExecutionError, match="it went out of memory"):
        NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    for writer in writers:
        writer.join()
    first, second = (cell.outputs for cell in notebook.cells)
    (output,) = first
    assert "succeeded" in output.data["text/html"]
    assert "0.75" in output.data["text/plain"]
    assert MEDIA_TYPE not in output.data
    assert "running" not in output.data["text/plain"]
    assert "failed" in second[0].data["text/html"]
    assert second[1].ename == "RunFailed"


@pytest.fixture
def kernel_in(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Kernel]]:
    kernels: list[Kernel] = []

    def make(host: str) -> Kernel:
        kernels.append(Kernel({"LEPTON_HOST": host}))
        return kernels[-1]

    yield make
    for kernel in kernels:
        kernel.stop()


def custom(message: dict[str, Any], kind: str) -> bool:
    content = message["content"].get("data", {}).get("content", {}) if message["msg_type"] == "comm_msg" else {}
    return bool(content.get("type") == kind)


def test_in_our_extension_one_output_that_ends_as_the_final_card(
    new_run: NewRun, kernel_in: Callable[[str], Kernel], home: Path
) -> None:
    folder = new_run(name="live")
    kernel = kernel_in("jupyter-extension")
    assert kernel.run(f"{SHOW}show_run(lab.attach({folder.run!r}))")["status"] == "ok"  # at once: nobody runs it
    shown = kernel.until(lambda message: message["msg_type"] == "display_data")["content"]
    assert shown["data"][MEDIA_TYPE] == {"run": folder.run, "home": str(home)}
    assert "queued as of" in shown["data"]["text/plain"]
    play(folder).join()
    final = kernel.until(
        lambda message: (
            message["msg_type"] == "update_display_data" and "final" in message["content"]["data"][MEDIA_TYPE]
        )
    )["content"]
    assert final["transient"] == shown["transient"]
    assert final["data"][MEDIA_TYPE]["final"] == "succeeded"
    assert "0.75" in final["data"]["text/html"]
    updates = [each for each in kernel.heard if each["msg_type"] == "update_display_data"]
    assert len(updates) <= 5
    kernel.run("import threading, time; time.sleep(1)")
    code = "assert not [each for each in threading.enumerate() if each.name == 'lepton-flusher']"
    assert kernel.run(code)["status"] == "ok"


def test_over_the_comm_the_page_asks_and_is_told(new_run: NewRun, kernel_in: Callable[[str], Kernel]) -> None:
    from lepton_lab.widgets.dashboard import STATIC

    if not (STATIC / "widget.js").is_file():
        pytest.skip("the browser's half was not built: jlpm build:widget")
    folder = new_run(name="live")
    trainer = begin(folder).writer("trainer")
    kernel = kernel_in("jupyter")
    assert kernel.run(f"{SHOW}show_run(lab.attach({folder.run!r}))")["status"] == "ok"
    is_model = "application/vnd.jupyter.widget-view+json"
    view = kernel.until(lambda each: each["msg_type"] == "display_data" and is_model in each["content"]["data"])
    comm = view["content"]["data"][is_model]["model_id"]
    kernel.until(
        lambda each: (
            each["msg_type"] == "display_data" and "lepton-card" in each["content"]["data"].get("text/html", "")
        )
    )
    trainer.metric(1, {"loss": 2.0})
    assert not [each for each in kernel.heard if custom(each, "snapshot")]  # nobody has asked yet
    kernel.send(comm, {"type": "watch", "run": folder.run})
    snapshot = kernel.until(lambda each: custom(each, "snapshot"))["content"]["data"]["content"]
    assert snapshot["series"]["loss"] == {"steps": [1], "values": [2.0]}
    kernel.send(comm, {"type": "plotly"})
    bundle = kernel.until(lambda each: custom(each, "plotly"))
    assert len(bundle["buffers"][0]) > 100_000
    trainer.metric(2, {"loss": 1.0})
    delta = kernel.until(lambda each: custom(each, "delta"))["content"]["data"]["content"]
    assert delta["append"]["loss"]["steps"] == [2]
    folder.finish("succeeded")
    final = kernel.until(lambda each: custom(each, "final"))["content"]["data"]["content"]
    assert "succeeded" in final["text"]
    kernel.until(
        lambda each: each["msg_type"] == "update_display_data" and "succeeded" in each["content"]["data"]["text/plain"]
    )
    kernel.until(lambda each: each["msg_type"] == "comm_close" and each["content"]["comm_id"] == comm)


def test_an_interrupt_of_a_watched_cell_leaves_the_run_alone(
    new_run: NewRun, kernel_in: Callable[[str], Kernel]
) -> None:
    folder = new_run()
    begin(folder)
    kernel = kernel_in("colab")
    request = kernel.client.execute(f"{SHOW}show_run(lab.attach({folder.run!r}))")
    kernel.until(lambda each: each["msg_type"] == "display_data")
    time.sleep(0.3)
    kernel.manager.interrupt_kernel()
    reply = kernel.client.get_shell_msg(timeout=20)
    while reply["parent_header"].get("msg_id") != request:
        reply = kernel.client.get_shell_msg(timeout=20)
    assert reply["content"]["status"] == "ok"
    while True:
        message = kernel.client.get_iopub_msg(timeout=10)
        if message["msg_type"] == "stream":
            break
    assert f"%lepton attach {folder.run}" in message["content"]["text"]
    assert folder.asked("cancel") is None


def test_in_a_terminal_a_line_then_the_card_as_text(new_run: NewRun, tmp_path: Path) -> None:
    import pexpect

    folder, endless = new_run(name="terminal"), new_run()
    begin(endless)
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
        encoding="utf-8",
        timeout=30,
    )
    terminal.expect(r"In \[1\]:")
    terminal.sendline("from lepton_lab import lab; from lepton_lab.widgets import show_run")
    terminal.expect(r"In \[2\]:")
    writer = play(folder)
    terminal.sendline(f"show_run(lab.attach({folder.run!r}))")
    terminal.expect(rf"\rRun {folder.run} running  train  step \d+ of 10  loss ")
    terminal.expect(rf"Run {folder.run} \(terminal\): succeeded")
    terminal.expect("test accuracy  0.75")
    writer.join()
    terminal.expect(r"In \[3\]:")
    terminal.sendline(f"show_run(lab.attach({endless.run!r}))")
    terminal.expect("running")
    terminal.sendintr()
    terminal.expect(f"Detached from run {endless.run}; it goes on. Follow it again: %lepton attach {endless.run}")
    terminal.expect(r"In \[4\]:")
    terminal.close(force=True)
    assert endless.asked("cancel") is None
