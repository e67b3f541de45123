"""Folders that two make at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lepton_lab.errors import OutputError
from lepton_lab.samples.folders import make_folder


def test_two_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(2, timeout=10)

    def fill(draft: Path) -> None:
        (draft / "a").write_text("whole")
        together.wait()

    with ThreadPoolExecutor(2) as pool:
        places = list(pool.map(lambda _: make_folder(tmp_path / "in" / "place", fill), range(2)))
    assert places[0] == places[1]
    assert [each.name for each in (tmp_path / "in").iterdir()] == ["place"]
    assert (places[0] / "a").read_text() == "whole"


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    def fill(draft: Path) -> None:
        (draft / "a").write_text("half")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        make_folder(tmp_path / "in" / "place", fill)
    assert list((tmp_path / "in").iterdir()) == []


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("")
    with pytest.raises(OutputError, match="set LEPTON_HOME"):
        make_folder(tmp_path / "in" / "place", lambda _: None)
