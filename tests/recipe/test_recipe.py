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


@pytest.mark.parametrize(
    "text", ["train: {learning_rate: 0.2}\nlr: 0.1", "lr: 0.1\ntrain: {lr: 0.2}", "learning-rate: 0.1"]
)
def test_an_override_wins_over_every_way_to_name_the_field(text: str) -> None:
    text = f"task: text-classification\nmodel: m\ndataset: d\n{text}\n"
    assert recipe_from_yaml(text, {"train.learning_rate": "3e-4"}).train.learning_rate == 3e-4
    assert recipe_from_yaml(text, {"lr": "3e-4"}).train.learning_rate == 3e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "lr: 0.1\ntrain: {learning_rate: 0.2}",
            "learning_rate is given twice, got lr: 0.1 and train.learning_rate: 0.2",
        ),
        ("lr: 0.1\nlr: 0.2", "lr stands there twice in line 5"),
        ("train: fast", "train is a section, with fields of its own, got 'fast'"),
        ("parent: last", "a train recipe has no parent run"),
        ("compile: {tolerance: 3}", "compile.tolerance means nothing to a train recipe"),
        ("name: last", "a run cannot be called last"),
        ("name: 'a\tb'", "name must be one line"),
        ("seed: 99999999999999999999", "seed must be less than 4,294,967,296"),
        ("output_dir: ''", "output_dir must not be empty"),
        ("epochs: many", "num_train_epochs must be a number, got 'many'. Set --num-train-epochs."),
        ("tags: [[a], [b]]", "tags must be text"),
        ("kind: [train]", "kind must be train, compile, benchmark or sweep"),
    ],
)
def test_mistakes_in_a_recipe_file(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_from_yaml(f"task: text-classification\nmodel: m\ndataset: d\n{text}\n")
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_nothing_under_a_name_means_not_set() -> None:
    recipe = recipe_from_yaml("task: text-classification\nmodel: m\ndataset: d\nname: 2024\nnotes:\ntrain:\nlr:\n")
    assert recipe == build_recipe(
        "train", {"task": "text-classification", "model": "m", "dataset": "d", "name": "2024"}
    )


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
