"""Which transformers will do, and what is said of those that will not."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from lepton_lab.errors import RequestError
from lepton_lab.planning import prepare
from lepton_lab.recipe import build_recipe
from lepton_lab.work.training.versions import (
    LEAST,
    NEWEST_TESTED,
    PARENT_METHODS,
    check_parent,
    check_transformers,
)

ROOT = Path(__file__).parents[2]


def test_the_bounds_are_those_of_the_package() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert f"transformers>={LEAST}" in tomllib.load(file)["project"]["dependencies"]
    assert f"transformers=={NEWEST_TESTED}." in (ROOT / "constraints.txt").read_text()


@pytest.mark.parametrize("version", ["4.57.6", "5.2.0"])
def test_an_old_one_is_refused_at_submit(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: version if name == "transformers" else known(name))
    recipe = build_recipe("train", {"task": "text-classification", "model": "m", "dataset": "nothing.csv"})
    with pytest.raises(RequestError, match=rf"transformers 5.3 or newer, got {version}. Run: pip install"):
        prepare(recipe)


@pytest.mark.parametrize("version", ["5.3.0", "5.23.0", "5.24.0.dev0", "6.0.0rc1"])
def test_others_are_taken(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    assert check_transformers() == []


def test_the_installed_one_has_what_the_trainer_is_built_on() -> None:
    from transformers import Trainer

    assert check_parent(Trainer) == []


def test_one_that_lost_a_method_says_which_will_do() -> None:
    parent = type("Trainer", (), dict.fromkeys(PARENT_METHODS[:-2]))
    (problem,) = check_parent(parent)
    assert "_save_rng_state, get_batch_samples" in problem.got
    assert f"transformers=={NEWEST_TESTED}.*" in problem.do
