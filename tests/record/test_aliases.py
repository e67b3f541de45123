"""Aliases: moved one at a time whoever moves them, found before names, never overwritten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lepton_lab.errors import RequestError, RunNotFound
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder, alias_history, alias_word, aliases, find_alias, find_run, move_alias


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path))
    return tmp_path


def new_run(name: str | None = None) -> str:
    plan = {"task": "text-classification", "model": "m", "dataset": "d", "name": name}
    return RunFolder.create(build_recipe("train", plan)).run


def test_an_alias_moves_and_keeps_its_history() -> None:
    first, second = new_run(), new_run()
    assert move_alias("champion", first).previous is None
    assert move_alias("champion", second).previous == first
    again = move_alias("champion", second)  # nothing to do
    assert (again.number, again.previous) == (2, first)
    assert move_alias("champion", None).previous == second
    assert aliases() == {}
    assert find_alias("champion") is None
    assert [move.run for move in alias_history("champion")] == [first, second, None]
    assert move_alias("champion", first).previous is None


def test_a_run_is_found_by_id_then_alias_then_name_then_prefix() -> None:
    promoted, named = new_run(), new_run(name="champion")
    assert find_run("champion").run == named
    move_alias("champion", promoted)
    assert find_run("champion").run == promoted
    assert find_run(named).run == named
    # An alias that is also a run's id, or begins one, gives way to the id and comes before the prefix.
    move_alias(named, promoted)
    assert find_run(named).run == named
    move_alias(named[:4], promoted)
    assert find_run(named[:4]).run == promoted


def test_the_alias_of_a_named_model_is_found_by_its_last_word_where_there_is_one() -> None:
    reviews, intents = new_run(), new_run()
    move_alias(alias_word("champion", "reviews"), reviews)
    assert find_run("champion").run == find_run("reviews@champion").run == reviews
    move_alias(alias_word("intents@champion"), intents)
    with pytest.raises(RunNotFound, match="intents@champion, reviews@champion"):
        find_run("champion")
    move_alias("champion", intents)
    assert find_run("champion").run == intents


def test_an_alias_of_a_run_that_is_gone_says_so(home: Path) -> None:
    move_alias("champion", "abcdefgh")
    with pytest.raises(RunNotFound, match=r"the run that champion names is gone.*lepton promote"):
        find_run("champion")


@pytest.mark.parametrize("word", ["last", "latest", "v2", "Champion", "../x", "", "a b", "@a", "a@", "1st", "é"])
def test_words_that_cannot_be_aliases(word: str) -> None:
    with pytest.raises(RequestError, match="this cannot be"):
        alias_word(word)


def test_a_model_has_one_name() -> None:
    assert alias_word("reviews@champion", "reviews") == "reviews@champion"
    with pytest.raises(RequestError, match="one name"):
        alias_word("reviews@champion", "intents")


_MOVER = """
import sys
from lepton_lab.record import move_alias
sys.stdin.readline()
for turn in range(40):
    move = move_alias("champion", f"{sys.argv[1]}-{turn}")
    print(move.number, move.previous or "-", move.run)
"""


def test_processes_that_move_an_alias_at_once_leave_one_true_chain(home: Path) -> None:
    movers = [
        subprocess.Popen([sys.executable, "-c", _MOVER, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two", "three")
    ]
    for each in movers:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    told = [line.split() for each in movers for line in each.communicate(timeout=60)[0].splitlines()]
    assert all(each.returncode == 0 for each in movers)
    history = alias_history("champion")
    # Every move was made, each by one process, each knowing whom it replaced.
    assert [move.number for move in history] == list(range(1, 121))
    assert sorted(told) == sorted([str(move.number), move.previous or "-", str(move.run)] for move in history)
    assert [move.previous for move in history] == [None, *(move.run for move in history[:-1])]
    assert aliases()["champion"] == history[-1]
    assert not [path for path in (home / "aliases/champion").iterdir() if path.name.startswith(".")]
