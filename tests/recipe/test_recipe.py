"""One recipe, however it was written; every problem at once."""

from __future__ import annotations

import math

import pytest

from lepton_lab.errors import RecipeError
from lepton_lab.recipe import Recipe, build_recipe, flags, recipe_from_yaml

TRAIN = {"task": "text-classification", "model": "sample:minilm", "dataset": "reviews.csv"}


def test_short_long_and_dotted_names_are_the_same_option() -> None:
    short = build_recipe("train", {**TRAIN, "lr": 1e-4, "epochs": 2, "batch_size": 8})
    long = build_recipe(
        "train", {**TRAIN, "learning-rate": 1e-4, "num_train_epochs": 2, "per_device_train_batch_size": 8}
    )
    dotted = build_recipe(
        "train",
        {**TRAIN, "train.learning_rate": 1e-4, "train.num_train_epochs": 2, "train.per_device_train_batch_size": 8},
    )
    assert short == long == dotted


def test_yaml_round_trip_runs_as_it_is() -> None:
    recipe = build_recipe("train", {**TRAIN, "peft": "lora", "tags": ["a", "b"], "lora_r": 4, "name": "größe"})
    assert recipe_from_yaml(recipe.to_yaml()) == recipe


def test_yaml_with_short_names_and_overrides() -> None:
    recipe = recipe_from_yaml(
        "task: text-classification\nmodel: m\ndataset: d\nlr: 1.0e-4\n", {"train.learning_rate": 3e-4}
    )
    assert recipe.train.learning_rate == 3e-4


def test_every_problem_is_reported_at_once() -> None:
    options = {"lr": -1, "epocs": 3, "eval_strategy": "epochs", "batch_size": 0, "train": {"learnin_rate": 3}}
    with pytest.raises(RecipeError) as caught:
        build_recipe("train", options)
    text = str(caught.value)
    for part in (
        "'epocs'. Did you mean epochs?",
        "learning_rate must be > 0, got -1. Set --learning-rate.",
        "Did you mean epoch?",
        "per_device_train_batch_size must be ≥ 1, got 0",
        "Did you mean train.learning_rate?",
        "a task is needed",
        "a model is needed",
        "a data set is needed",
    ):
        assert part in text
    assert len(caught.value.problems) == 8


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 0, "fast"])
def test_learning_rate_must_be_a_positive_number(value: object) -> None:
    with pytest.raises(RecipeError, match="learning_rate"):
        build_recipe("train", {**TRAIN, "lr": value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b", "a recipe is a mapping"),
        ("a: [", "not YAML"),
        ("kind: sing", "kind must be"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_yaml_that_is_no_recipe(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_from_yaml(text)


def test_a_compile_recipe_needs_a_run() -> None:
    with pytest.raises(RecipeError, match="a run is needed"):
        build_recipe("compile", {})


@pytest.mark.parametrize("kind", ["train", "compile", "benchmark"])
def test_flags_have_unique_names_and_help(kind: str) -> None:
    found = flags(kind)
    names = [name for flag in found for name in flag.names]
    assert len(names) == len(set(names))
    assert all(flag.help for flag in found)


def test_recipe_is_frozen() -> None:
    recipe = build_recipe("train", TRAIN)
    with pytest.raises(ValueError, match="frozen"):
        recipe.task = "x"  # type: ignore[misc]
    assert isinstance(recipe, Recipe)


def test_a_bare_no_in_yaml_means_no() -> None:
    text = "task: text-classification\nmodel: m\ndataset: d\neval_strategy: no\ntrain: {save_strategy: no}\n"
    recipe = recipe_from_yaml(text)
    assert (recipe.train.eval_strategy, recipe.train.save_strategy) == ("no", "no")
