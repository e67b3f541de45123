"""From plain values, flags and YAML to a checked :class:`Recipe`, with every problem at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from ..errors import Problem, RecipeError, raise_problems
from .flags import every_path, flags
from .recipe import Recipe


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name most like ``word``, or an empty string."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def build_recipe(kind: str, values: Mapping[str, Any]) -> Recipe:
    """A recipe from options by name (``lr``, ``learning_rate`` or ``train.learning_rate``).

    Raises :class:`RecipeError` with every unknown name and every bad value.
    """
    by_name = {name.replace("-", "_"): flag.path for flag in flags(kind) for name in flag.names}
    by_path = set(every_path())
    nested: dict[str, Any] = {"kind": kind}
    problems = []
    for name, value in values.items():
        key = name.replace("-", "_")
        path = by_name.get(key) or (key if key in by_path or key == "parent" else "")
        if isinstance(value, Mapping) and key in Recipe.model_fields:
            nested[key] = {**nested.get(key, {}), **value}
        elif path:
            _put(nested, path, value)
        else:
            problems.append(_unknown(name, [*by_name, *by_path]))
    return validate_recipe(nested, problems)


def recipe_from_yaml(text: str, overrides: Mapping[str, Any] | None = None, kind: str | None = None) -> Recipe:
    """A recipe from YAML as :meth:`Recipe.to_yaml` writes it; ``overrides`` win.

    ``overrides`` are dotted paths. Short names (``lr: 1e-4``) at the top level work too.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(Problem("the recipe is not YAML", str(error).replace("\n", " "))) from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise RecipeError(Problem("a recipe is a mapping of names to values", type(values).__name__))
    found_kind = values.pop("kind", kind or "train")
    if kind and found_kind != kind:
        raise RecipeError(
            Problem(f"this command takes a {kind} recipe", f"kind: {found_kind}", f"Use: lepton {found_kind} -f …")
        )
    if found_kind not in ("train", "compile", "benchmark"):
        raise RecipeError(Problem("kind must be train, compile or benchmark", repr(found_kind), where="kind"))
    merged: dict[str, Any] = {str(key): value for key, value in values.items()}
    for path, value in (overrides or {}).items():
        merged = _with_path(merged, path, value)
    return build_recipe(found_kind, merged)


def validate_recipe(nested: Mapping[str, Any], problems: Iterable[Problem] = ()) -> Recipe:
    """A recipe from nested values, or one :class:`RecipeError` with all ``problems`` and its own."""
    found = list(problems)
    recipe = None
    try:
        recipe = Recipe.model_validate(dict(nested))
    except ValidationError as error:
        found += [_problem(dict(each)) for each in error.errors()]
        # A field's own problem hides what the whole recipe lacks; look for that as well.
        kind = str(nested.get("kind", "train"))
        needed = {"train": ("task", "model", "data.dataset")}.get(kind, ("parent",))
        said = {problem.where for problem in found}
        for path in needed:
            if path not in said and not _get(nested, path):
                found.append(_missing(path))
    raise_problems(RecipeError, found)
    if recipe is None:
        raise RecipeError("the recipe is empty")
    return recipe


def _put(nested: dict[str, Any], path: str, value: Any) -> None:
    *sections, name = path.split(".")
    for section in sections:
        nested = nested.setdefault(section, {})
    nested[name] = value


def _with_path(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    if not rest:
        return {**values, head: value}
    inner = values.get(head)
    return {**values, head: _with_path(inner if isinstance(inner, dict) else {}, rest, value)}


def _get(nested: Mapping[str, Any], path: str) -> Any:
    value: Any = nested
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _unknown(name: str, known: Iterable[str]) -> Problem:
    guess = nearest(name.replace("-", "_"), known)
    do = f"Did you mean {guess}?" if guess else "See the options with --help."
    return Problem("there is no such option", repr(name), do, where=name)


def _missing(path: str) -> Problem:
    examples = {
        "task": ("a task is needed", "Set --task, for example --task text-classification."),
        "model": ("a model is needed", "Set --model, for example --model sample:minilm."),
        "data.dataset": ("a data set is needed", "Set --dataset, for example --dataset reviews.csv."),
        "parent": ("a run is needed", "Name it, for example: lepton compile last."),
    }
    what, do = examples[path]
    return Problem(what, "nothing", do, where=path)


def _problem(error: dict[str, Any]) -> Problem:
    """A pydantic error in our words."""
    path = ".".join(str(part) for part in error["loc"] if not isinstance(part, int))
    kind = error["type"]
    context = error.get("ctx", {})
    message = str(error["msg"])
    if kind == "value_error":
        what, got, do, where = (message.removeprefix("Value error, ").split("|") + ["", "", ""])[:4]
        return Problem(what, got, do, where=where)
    if kind == "extra_forbidden":
        parent = path.rpartition(".")[0]
        known = [each for each in every_path() if each.rpartition(".")[0] == parent]
        guess = nearest(path, known)
        return Problem("there is no such field", repr(path), f"Did you mean {guess}?" if guess else "", where=path)
    option = next(
        (flag.option for name in ("train", "compile", "benchmark") for flag in flags(name) if flag.path == path), ""
    )
    got = repr(error.get("input"))
    do = f"Set {option}." if option else ""
    signs = {
        "greater_than": ("gt", ">"),
        "greater_than_equal": ("ge", "≥"),
        "less_than": ("lt", "<"),
        "less_than_equal": ("le", "≤"),
    }
    name = path.rpartition(".")[2]
    if kind in signs:
        key, sign = signs[kind]
        return Problem(f"{name} must be {sign} {context[key]:g}", got, do, where=path)
    if kind == "finite_number":
        return Problem(f"{name} must be a finite number", got, do, where=path)
    if kind == "literal_error":
        guess = nearest(
            str(error.get("input")), str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        )
        hint = f" Did you mean {guess}?" if guess else ""
        return Problem(f"{name} must be {context['expected']}", got, (do + hint).strip(), where=path)
    return Problem(f"{name}: {message[0].lower()}{message[1:]}", got, do, where=path)
