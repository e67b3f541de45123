"""The Python API: what its arguments may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lepton_lab
from lepton_lab import lab, planning, samples
from lepton_lab.commands.records import headline
from lepton_lab.errors import RequestError
from lepton_lab.recipe import Recipe


class _Stop(Exception):
    """Raised where a run would be handed over."""


@pytest.fixture
def submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Recipe]]:
    """The recipes that would have become runs."""
    found: list[Recipe] = []

    def stop(recipe: Recipe, namespace: Any = None) -> None:
        found.append(planning.prepare(recipe, namespace))
        raise _Stop

    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(lab, "submit", stop)
    yield found


def test_paths_are_taken_for_files_models_and_folders(tmp_path: Path, submitted: list[Recipe]) -> None:
    frame = pd.DataFrame({"text": [f"text {row}" for row in range(20)], "label": ["a", "b"] * 10})
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(_Stop):
        lepton_lab.train(
            task="text-classification",
            model=samples.resolve("minilm"),
            dataset=tmp_path / "a.csv",
            output_dir=tmp_path / "out",
            validation_dataset=None,
            test_dataset=frame,
        )
    recipe = submitted[0]
    assert recipe.data.dataset == f"file:{tmp_path}/a.csv"
    assert recipe.data.validation_dataset is None
    assert str(recipe.data.test_dataset).startswith("file:")
    assert recipe.output_dir == f"{tmp_path}/out"


def test_no_data_set_is_a_data_set_that_is_needed(submitted: list[Recipe]) -> None:
    with pytest.raises(RequestError, match="a data set is needed"):
        lepton_lab.train(task="text-classification", model="sample:minilm", dataset=None)


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series])
def test_a_column_of_inputs_gives_a_list_of_answers(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loaded:
        def predict(self, inputs: list[Any]) -> list[str]:
            assert type(inputs) is list
            return [str(each).upper() for each in inputs]

    monkeypatch.setattr(lab, "load", lambda run: Loaded())
    assert lepton_lab.predict("last", kind(["a", "b"])) == ["A", "B"]
    assert lepton_lab.predict("last", "a") == "A"


def test_the_headline_of_a_run_is_the_main_score_of_its_task() -> None:
    assert headline({"test_loss": 0.5, "test_f1": 0.8, "test_accuracy": 0.9}) == "test_f1 0.8"
    assert headline({"test_loss": 0.5, "test_accuracy": 0.9, "test_f1": 0.8}) == "test_accuracy 0.9"
    assert headline({"test_loss": 0.5, "test_perplexity": 1.6}) == "test_loss 0.5"
    assert headline({"backend": "eager", "speedup": 2.5, "test_accuracy": 0.9}) == "speedup 2.5"
