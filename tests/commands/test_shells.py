"""Tab in real shells: what stands on the line after it was pressed once."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from lepton_lab.commands.shells import words_before_cursor

from .making import finished_run

_SHELLS = {
    "bash": ["bash", "--norc", "--noprofile"],
    "zsh": ["zsh", "-f"],
    "fish": ["fish", "--no-config", "--private"],
}
_TEACH = {
    "bash": 'eval "$(lepton completion bash)"',
    "zsh": 'autoload -Uz compinit; compinit -u; eval "$(lepton completion zsh)"',
    "fish": "lepton completion fish | source",
}
_CONTROL = re.compile(r"\x1b\[[0-9;?<=>]*[a-zA-Z]|\x1b[=>]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\(B|[\x07\x0f]")


def _plain(shown: str) -> str:
    """What a terminal received as text: without control sequences, and without what was overwritten."""
    return re.sub("[^\b]\b", "", _CONTROL.sub("", shown))


class Terminal:
    """A shell that has learnt to complete ``lepton``."""

    def __init__(self, shell: str, folder: Path, program: Path) -> None:
        environment = {
            **os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "xterm", "PS1": "$ ",
            "HOME": str(folder), "ZDOTDIR": str(folder),
        }  # fmt: skip
        command = _SHELLS[shell]
        self._child = pexpect.spawn(
            command[0],
            command[1:],
            cwd=str(folder),
            env=environment,
            encoding="utf-8",
            dimensions=(50, 200),
            timeout=20,
        )
        self._shell = shell
        self._child.sendline(f"{_TEACH[shell]}; echo rea''dy")
        self._child.expect("ready\r")

    def tab(self, typed: str, expected: str) -> None:
        """Press Tab behind ``typed``, go on with ``#``, and wait until ``expected`` stands on the line."""
        self._child.send(f"{typed}\t#")
        shown = ""
        with contextlib.suppress(pexpect.TIMEOUT):
            while expected not in _plain(shown):
                shown += self._child.read_nonblocking(4096, 20)
        assert expected in _plain(shown)
        self._child.send("\x15")  # empties the line

    def close(self) -> None:
        self._child.close(force=True)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    found = tmp_path / "bin" / "lepton"
    found.parent.mkdir()
    found.write_text(f'#!/bin/sh\nexec {sys.executable} -m lepton_lab "$@"\n')
    found.chmod(0o755)
    return found


@pytest.fixture(params=_SHELLS)
def terminal(request: pytest.FixtureRequest, tmp_path: Path, program: Path) -> Iterator[Terminal]:
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed here")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "my file.csv").touch()
    (folder / "outcome").mkdir()
    terminal = Terminal(request.param, folder, program)
    yield terminal
    terminal.close()


def test_values_are_completed(terminal: Terminal) -> None:
    run = finished_run().run
    terminal.tab(f"true; lepton show {run[:6]}", f"lepton show {run} #")
    terminal.tab("LEPTON_SPARE=0 lepton train --task te", "--task text-#")


def test_colons_equal_signs_spaces_and_quotes(terminal: Terminal) -> None:
    """A shell may take them for the end of a word."""
    terminal.tab("lepton train --model sample:mi", "--model sample:minilm #")
    terminal.tab("lepton train --task=to", "--task=token-classification #")
    terminal.tab("lepton train --dataset my", r"--dataset my\ file.csv #")
    terminal.tab("lepton train --dataset 'my", "--dataset 'my file.csv' #")


def test_no_space_follows_where_typing_goes_on(terminal: Terminal) -> None:
    terminal.tab("lepton train --output-dir outc", "--output-dir outcome/#")
    terminal.tab("lepton train --cluster tl", "--cluster tls://#")


@pytest.mark.parametrize(
    ("line", "words", "incomplete"),
    [
        ("lepton ", [], ""),
        ("lepton tra", [], "tra"),
        ("lepton train --model ", ["train", "--model"], ""),
        ("A=1 lepton train --name 'a b", ["train", "--name"], "a b"),
        ("lepton train --dataset my\\ ", ["train", "--dataset"], "my "),
        ("lep", [], ""),
    ],
)
def test_the_words_of_a_line(line: str, words: list[str], incomplete: str) -> None:
    assert words_before_cursor(line) == (words, incomplete)
