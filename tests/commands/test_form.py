"""A form's model: what is filled in, as code, and back; for every field of every kind."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
import yaml

from lepton_lab.cli import main
from lepton_lab.commands import Seat, run_words
from lepton_lab.commands.codes import magic_of, python_of, yaml_of
from lepton_lab.commands.drafts import ClusterDraft, Draft, RecipeDraft, text_of, value_of
from lepton_lab.commands.form import FormAsked
from lepton_lab.dispatch.providers.saved import load_clusters
from lepton_lab.errors import RequestError
from lepton_lab.magics import split_line
from lepton_lab.recipe import SECTIONS_BY_KIND, Flag, Recipe, build_recipe, recipe_from_yaml
from lepton_lab.registry import PROVIDERS

NEEDED = {
    "train": {"task": "text-classification", "model": "sample:minilm", "data.dataset": "reviews.csv"},
    "compile": {"parent": "last"},
    "benchmark": {"parent": "last"},
}
NEEDED["sweep"] = {**NEEDED["train"], "sweep.search": ["lr=1e-5..1e-3:log"]}
AWKWARD = ("a b", 'it\'s "so"', "größer 大", "{x} and $y", "-dash", "back\\slash", "a, b", "#no comment", "50 %?")


def samples_of(flag: Flag) -> Iterator[Any]:
    """Values that the field takes, as somebody types them."""
    if flag.choices:
        yield from ([each] for each in flag.choices) if flag.many else iter(flag.choices)
    elif flag.value_type == "bool":
        yield from (True, False)
    elif flag.value_type == "int":
        yield from (["8", "32"],) if flag.many else ("8",)
    elif flag.value_type == "float":
        yield "0.25"
    elif flag.path == "sweep.search":
        yield ["lr=1e-5..1e-3:log", "peft=none,lora"]
    elif flag.many:
        yield from (["plain"], ["a b", "c"], list(AWKWARD))
    elif flag.path == "parent":
        yield from AWKWARD
    elif flag.path == "notes":
        yield from (*AWKWARD, "two\nlines")
    else:
        yield AWKWARD[len(flag.path) % len(AWKWARD)]


def every_draft() -> Iterator[Draft]:
    for kind in SECTIONS_BY_KIND:
        draft = RecipeDraft(kind, NEEDED[kind])
        yield draft
        for flag in draft.fields():
            if kind == "sweep" and flag.section != "sweep":
                continue  # as for train
            yield from (draft.with_value(flag.path, value) for value in samples_of(flag))


def read_magic(code: str) -> Draft:
    """The draft of a magic with ``form`` in it, as a cell would read it."""
    first, _, body = code.partition("\n")
    words = split_line(first.replace("%lepton ", "%lepton form ").lstrip("%").removeprefix("lepton "))
    found = run_words(words, Seat(cell_body=body or None))
    assert isinstance(found, FormAsked)
    return found.draft


def recipe_of_python(code: str, **names: Any) -> Recipe:
    """The recipe that the call makes."""
    made: list[Recipe] = []

    def take(kind: str) -> Any:
        def call(run: str = "", **options: Any) -> None:
            options |= {"dataset": "reviews.csv"} if not isinstance(options.get("dataset", ""), str) else {}
            made.append(build_recipe(kind, {**options, **({"parent": run} if run else {})}))

        return call

    api = types.SimpleNamespace(**{kind: take(kind) for kind in SECTIONS_BY_KIND})
    exec(code.replace("import lepton_lab\n", ""), {"lepton_lab": api, **names})
    return made[0]


def test_every_field_of_every_kind_is_the_same_recipe_as_magic_python_and_yaml() -> None:
    count = 0
    for draft in every_draft():
        assert isinstance(draft, RecipeDraft)
        recipe = build_recipe(draft.kind, draft.options())
        assert not draft.problems()
        magic = magic_of(draft)
        again = read_magic(magic)
        assert again.typed() == draft.typed(), magic
        assert recipe_of_python(python_of(draft)) == recipe, python_of(draft)
        assert recipe_from_yaml(yaml_of(draft)) == recipe, yaml_of(draft)
        assert RecipeDraft.of_recipe(recipe).problems() == []
        assert build_recipe(draft.kind, RecipeDraft.of_recipe(recipe).options()) == recipe
        count += 1
    assert count > 150


def test_every_option_of_every_provider_is_the_same_as_magic_and_python() -> None:
    for provider in PROVIDERS:
        draft = ClusterDraft(values={"provider": provider, "saved_name": "mine"})
        for flag in draft.fields():
            found = [] if flag.path in ClusterDraft.OWN else list(samples_of(flag))
            for value in found[:1]:
                filled = draft.with_value(flag.path, value)
                again = read_magic(magic_of(filled).replace("lepton cluster use", "lepton cluster"))
                assert again.typed() == filled.typed(), magic_of(filled)
                called: dict[str, Any] = {}
                api = types.SimpleNamespace(use_cluster=lambda word, called=called, **options: called.update(options))
                exec(python_of(filled).replace("import lepton_lab\n", ""), {"lepton_lab": api})
                assert called == {
                    **{k: v for k, v in filled.typed().items() if k not in ClusterDraft.OWN},
                    "name": "mine",
                }


def test_a_field_shows_what_was_typed_and_reads_it_back() -> None:
    for kind in SECTIONS_BY_KIND:
        for flag in RecipeDraft(kind).fields():
            for value in samples_of(flag) if flag.value_type != "bool" else ():
                assert value_of(flag, text_of(flag, value)) == value, flag.path
            assert value_of(flag, "  ") is None


def test_wrong_values_stay_with_their_problem() -> None:
    draft = read_magic("%lepton train --task text-classification --model m --dataset d --lr -1 --epochs x")
    assert draft.values["train.learning_rate"] == "-1"
    assert {each.where for each in draft.problems()} == {"train.learning_rate", "train.num_train_epochs"}
    assert draft.with_value("train.learning_rate", "").with_value("train.num_train_epochs", "2").problems() == []
    with pytest.raises(RequestError, match="Did you mean --epochs"):
        run_words(["form", "train", "--epoch", "3"], Seat())


def test_a_place_that_was_named_stays_named() -> None:
    """The default place may be another one day."""
    draft = RecipeDraft("train", {**NEEDED["train"], "resources.cluster": "local"})
    assert "--cluster local" in magic_of(draft)
    assert yaml.safe_load(yaml_of(draft))["resources"] == {"cluster": "local"}
    recipe = build_recipe("train", draft.options())
    assert RecipeDraft.of_recipe(recipe).values["resources.cluster"] == "local"


def test_a_data_frame_is_a_variable_in_python() -> None:
    frame = pd.DataFrame({"text": ["a"]})
    for word in ("var:reviews", "reviews"):
        code = python_of(RecipeDraft("train", {**NEEDED["train"], "data.dataset": word}), {"reviews": frame})
        assert "dataset=reviews" in code
        recipe_of_python(code, reviews=frame)


def test_another_provider_keeps_the_options_that_it_knows() -> None:
    draft = ClusterDraft(values={"provider": "slurm", "workers": "4", "queue": "gpu", "saved_name": "site"})
    assert draft.with_value("provider", "ssh").values == {"workers": "4", "saved_name": "site", "provider": "ssh"}
    assert [each.where for each in draft.with_value("workers", "0").problems()] == ["workers"]


def test_a_saved_cluster_opens_filled_in() -> None:
    run_words(["cluster", "use", "tcp://127.0.0.1:8787", "--name", "site"], Seat())
    draft = run_words(["form", "cluster", "site"], Seat()).draft
    assert draft.typed() == {"provider": "address", "saved_name": "site", "address": "tcp://127.0.0.1:8787"}
    assert yaml.safe_load(yaml_of(draft))["clusters"]["site"]["options"] == load_clusters().clusters["site"].options


def test_a_shell_says_that_it_has_no_form_and_prints_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["form", "train", "--task", "text-classification", "--lr", "1e-4"]) == 0
    said = capsys.readouterr().out
    assert "A form opens in JupyterLab" in said
    assert "lepton train --task text-classification --learning-rate 0.0001" in said
    assert "Still wrong: a model is needed" in said
