"""What a search may say, and what is said of one that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from lepton_lab.errors import RecipeError
from lepton_lab.recipe import build_recipe, dimensions_of, grid_of, recipe_from_yaml, with_values

BASE = {"task": "text-classification", "model": "sample:minilm", "dataset": "reviews.csv"}


def sweep(*search: str, **options: Any) -> Any:
    return build_recipe("sweep", {**BASE, "search": list(search), **options})


def test_ranges_and_choices() -> None:
    found = dimensions_of(sweep("lr=1e-5..1e-3:log", "epochs=1..3", "weight_decay=0.0..1.0", "peft.lora_r=4, 8,8"))
    rate, epochs, decay, rank = found
    assert (rate.path, rate.low, rate.high, rate.log, rate.count) == ("train.learning_rate", 1e-5, 1e-3, True, None)
    assert (epochs.path, list(epochs.values())) == ("train.num_train_epochs", [1, 2, 3])
    assert (decay.is_whole, decay.count) == (False, None)
    assert (rank.path, rank.choices) == ("peft.lora_r", (4, 8))
    assert grid_of(found) is None
    assert grid_of([epochs, rank]) == 6


def test_choices_are_read_as_their_field_reads_them() -> None:
    found = dimensions_of(sweep("group_by_length=true,false", "peft=none,lora", "seed=1,2"))
    assert [each.choices for each in found] == [(True, False), ("none", "lora"), (1, 2)]


def test_a_mapping_says_the_same() -> None:
    text = "task: t\nmodel: m\ndataset: d\nsweep:\n  search:\n    lr: 1e-5..1e-3:log\n    lora_r: [4, 8]\n"
    recipe = recipe_from_yaml(text, kind="sweep")
    assert recipe.sweep.search == ["lr=1e-5..1e-3:log", "lora_r=4,8"]
    assert recipe_from_yaml(recipe.to_yaml()) == recipe


def test_the_values_of_a_trial_are_those_of_a_training() -> None:
    recipe = with_values(sweep("lr=1e-5..1e-3"), {"train.learning_rate": 2e-4, "seed": 7, "peft.lora_r": 4})
    assert (recipe.train.learning_rate, recipe.seed, recipe.peft.lora_r) == (2e-4, 7, 4)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("learning_rat=1e-5..1e-3", "Did you mean learning_rate?"),
        ("lr", "a search is a field and its values"),
        ("lr=0..1:log", "a logarithmic scale has no zero"),
        ("lr=3..1", "a range goes from less to more"),
        ("lr=1..", "a range is two numbers with two dots between"),
        ("lr=1e-4,1e-3:log", "a range is two numbers with two dots between"),
        ("lora_r=0..3", "lora_r must be ≥ 1, got 0"),
        ("lora_r=4.5..6", "lora_r takes whole numbers"),
        ("lora_r=4,x", "lora_r must be a whole number, got 'x'"),
        ("lora_dropout=0.1..1.5", "lora_dropout must be < 1, got 1.5"),
        ("optim=1..3", "optim is no number"),
        ("peft=none,lorra", "peft must be 'none' or 'lora', got 'lorra'"),
        ("dataset=a,b", "data.dataset is the same for all trials"),
    ],
)
def test_what_cannot_be_searched(search: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        dimensions_of(sweep(search))
    assert message in str(caught.value)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        dimensions_of(sweep("lora=1,2", "lr=0..1:log", "lr=1e-3..1e-2", "learning_rate=1e-4..1e-3"))
    assert len(caught.value.problems) == 3
    assert "learning_rate is searched twice" in str(caught.value)


def test_a_sweep_needs_a_search() -> None:
    with pytest.raises(RecipeError, match="a search is needed"):
        build_recipe("sweep", BASE)
