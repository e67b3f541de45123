"""Recipes and needs for the tests of the data room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lepton_lab import data
from lepton_lab.data import ColumnNeed
from lepton_lab.recipe import Recipe, build_recipe

NEEDS: dict[str, data.Needs] = {
    "text-classification": (
        (
            ColumnNeed("text", "text", "text_column", ("text", "sentence", "review")),
            ColumnNeed("text_pair", "text", "text_pair_column", (), required=False),
            ColumnNeed("label", "label", "label_column", ("label", "labels", "class")),
        ),
    ),
    "token-classification": (
        (
            ColumnNeed("tokens", "tokens", "tokens_column", ("tokens", "words")),
            ColumnNeed("tags", "tags", "tags_column", ("tags", "ner_tags", "labels")),
        ),
    ),
    "text-generation": (
        (ColumnNeed("messages", "messages", "messages_column", ("messages", "conversations")),),
        (
            ColumnNeed("prompt", "prompt", "prompt_column", ("prompt", "instruction", "question")),
            ColumnNeed("completion", "completion", "completion_column", ("completion", "output", "answer")),
        ),
    ),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A LEPTON_HOME of the test's own."""
    path = tmp_path / "home"
    monkeypatch.setenv("LEPTON_HOME", str(path))
    return path


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    """``recipe(task, dataset, **options)``."""

    def make(task: str, dataset: object, **options: Any) -> Recipe:
        word = f"file:{dataset}" if isinstance(dataset, Path) else str(dataset)
        return build_recipe("train", {"task": task, "model": "sample:minilm", "dataset": word, **options})

    return make


@pytest.fixture
def load(recipe: Callable[..., Recipe]) -> Callable[..., data.Splits]:
    """``load(task, dataset, **options)``: resolved words only."""

    def read(task: str, dataset: object, whole: bool = True, **options: Any) -> data.Splits:
        return data.load_splits(recipe(task, dataset, **options), NEEDS[task], whole)

    return read
