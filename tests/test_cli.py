"""The real command in a real process: what it prints where, and how it exits."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lepton_lab.record import RunFolder
from tests.commands.making import begin, finish, finished_run, new_run, train_steps
from tests.conftest import lepton

COMMAND = [sys.executable, "-m", "lepton_lab"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "home"


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def play(folder: RunFolder, status: str = "succeeded", steps: int = 8) -> threading.Thread:
    """Somebody works on the run while we watch; it stops when it is asked to."""

    def work() -> None:
        attempt = begin(folder)
        for step in range(1, steps + 1):
            train_steps(attempt, step, step, of=steps)
            time.sleep(0.05)
            if folder.asked("cancel"):
                finish(folder, "cancelled")
                return
        finish(folder, status, **({"message": "the disk is full"} if status == "failed" else {}))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    stream = process.stderr
    if stream is None:
        raise AssertionError("stderr is not piped")
    while text not in (line := stream.readline()):
        assert line, f"the command ended without saying {text!r}"


def test_tour_help_and_version_import_nothing_heavy() -> None:
    code = "import sys; from lepton_lab.cli import main; main(sys.argv[1:]); print({'torch','dask','distributed','plotly','pandas'} & set(sys.modules))"
    for word in ("", "--help", "--version", "runs"):
        done = subprocess.run([sys.executable, "-c", code, *word.split()], capture_output=True, text=True, check=True)
        assert done.stdout.strip().endswith("set()")


def test_runs_show_and_events_as_json() -> None:
    folder = finished_run(name="first")
    rows = json.loads(lepton("runs", "--json").stdout)
    assert [row["run"] for row in rows] == [folder.run]
    assert {"run", "status", "kind", "task", "model", "created"} <= set(rows[0])
    shown = json.loads(lepton("show", "last", "--json").stdout)
    assert {"metrics", "recipe", "artifacts", "attempts"} <= set(shown)
    events = [json.loads(line) for line in lepton("events", "first", "--json").stdout.splitlines()]
    assert [event["step"] for event in events if event["kind"] == "metric"] == list(range(1, 9))


def test_wrong_requests_exit_2_without_a_traceback() -> None:
    for words in (
        ("trian",),
        ("train", "--epocs", "3"),
        ("show", "nothing"),
        ("train", "--lr", "-1"),
        ("predict", "last"),
    ):
        done = lepton(*words, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("Error: ")
        assert "Traceback" not in done.stderr
    done = lepton("train", "--lr", "-1", "--json", check=False)
    found = json.loads(done.stdout)
    assert found["exit_code"] == done.returncode == 2
    assert {"what", "got", "do", "where"} == set(found["problems"][0])


def test_what_was_decided_is_said_with_its_reason() -> None:
    folder = new_run()
    writer = begin(folder).writer("trainer")
    writer.log("precision bf16 on cpu: it multiplies faster")
    writer.log("there are few rows", "warning")
    writer.close()
    finish(folder)
    shown = lepton("attach", folder.run).stderr
    assert "  precision bf16 on cpu: it multiplies faster\n" in shown
    assert "Warning: there are few rows\n" in shown


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 130)])
def test_attach_follows_to_the_end_and_exits_by_it(status: str, code: int) -> None:
    folder = new_run()
    thread = play(folder, status)
    done = lepton("attach", folder.run, "--json", check=False)
    thread.join()
    assert done.returncode == code
    (line,) = done.stdout.splitlines()
    end = json.loads(line)
    assert (end["run"], end["status"]) == (folder.run, status)
    assert {"metrics", "model_dir", "seconds"} <= set(end)
    assert "eval_accuracy 0.8" in done.stderr
    if status == "failed":
        assert "the disk is full" in done.stderr
        assert end["message"] == "the disk is full"


def test_ctrl_c_cancels_where_asked_and_only_once() -> None:
    folder = new_run()
    thread = play(folder, steps=200)
    process = start("attach", folder.run, "--on-interrupt", "cancel", "--json")
    wait_for_line(process, "train")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    thread.join()
    assert process.returncode == 130
    assert "Cancelling" in errors
    assert json.loads(output)["status"] == "cancelled"


def test_ctrl_c_on_attach_leaves_the_run_alone() -> None:
    folder = new_run()
    thread = play(folder, steps=60)
    process = start("attach", folder.run)
    wait_for_line(process, "train")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on" in errors
    thread.join()
    assert folder.final()["status"] == "succeeded"  # type: ignore[index]


def test_a_reader_that_leaves_early_is_no_error() -> None:
    folder = new_run()
    attempt = begin(folder)
    train_steps(attempt, 1, 3000)
    process = start("events", folder.run, "--json")
    process.stdout.readline()  # type: ignore[union-attr]
    process.stdout.close()  # type: ignore[union-attr]
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == ""  # type: ignore[union-attr]
    process.stderr.close()  # type: ignore[union-attr]


def test_a_terminal_gets_a_bar() -> None:
    folder = new_run()
    thread = play(folder, steps=20)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "attach", folder.run], stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end was closed
                break
    os.close(ours)
    thread.join()
    assert process.wait() == 0
    assert "━" in shown.decode()
    assert "/20" in shown.decode()


def test_doctor_says_what_to_do_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lepton_lab.cli import main; main(['doctor', '--json']); "
        "print({'torch', 'distributed', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    output, modules = done.stdout.splitlines()
    assert modules == "set()"
    rows = json.loads(output)
    names = {row["check"] for row in rows}
    assert {
        "Python",
        "torch",
        "processor",
        "memory",
        "disk",
        "backend eager",
        "samples",
        "cluster",
        "notebook",
    } <= names
    assert all(row["do"] for row in rows if not row["ok"])


def test_uninstall_asks_then_leaves_nothing(home: Path) -> None:
    finished_run()
    assert lepton("uninstall", check=False).returncode == 2
    assert home.is_dir()
    state = Path(os.environ["LEPTON_STATE_DIR"])
    (state / "not-ours").mkdir()
    lepton("uninstall", "--yes", "--runs")
    assert not home.exists()
    assert [each.name for each in state.iterdir()] == ["not-ours"]
