"""From plain values, flags and YAML to a checked :class:`Recipe`, with every problem at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import Problem, RecipeError
from .flags import Flag, every_path, flags
from .naming import by_path, nearest, one_of, unknown_option
from .option import short
from .reading import read_yaml
from .recipe import SECTIONS_BY_KIND, Recipe

# What pydantic's errors of a type ask for.
_NEEDED = {
    "finite_number": "a finite number",
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "a whole number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "text",
    "list_type": "a list",
}

_NEEDED_FIELDS = {
    "train": ("task", "model", "data.dataset"),
    "sweep": ("task", "model", "data.dataset", "sweep.search"),
}


def build_recipe(kind: str, values: Mapping[str, Any]) -> Recipe:
    """A recipe from options by name (``lr``, ``learning_rate`` or ``train.learning_rate``) or by section.

    None means: not set. Raises :class:`RecipeError` with every unknown name and every bad value.
    """
    found, problems = by_path(kind, values)
    return _make(kind, found, problems)


def recipe_from_yaml(text: str, overrides: Mapping[str, Any] | None = None, kind: str | None = None) -> Recipe:
    """A recipe from YAML as :meth:`Recipe.to_yaml` writes it; ``overrides`` win, however either names a field."""
    values = read_yaml(text)
    found_kind = values.pop("kind", kind or "train")
    if not isinstance(found_kind, str) or found_kind not in SECTIONS_BY_KIND:
        do = f"Write kind: {kind or 'train'}, or leave it out."
        raise RecipeError(Problem(f"kind must be {one_of(SECTIONS_BY_KIND)}", short(found_kind), do, where="kind"))
    if kind and found_kind != kind:
        raise RecipeError(
            Problem(f"this command takes a {kind} recipe", f"kind: {found_kind}", f"Use: lepton {found_kind} -f …")
        )
    found, problems = by_path(found_kind, values)
    above, more = by_path(found_kind, overrides or {})
    # Whoever sets a field here need not mend what the file says of it.
    left = [problem for problem in problems if problem.where not in above]
    return _make(found_kind, {**found, **above}, [*left, *more])


def _make(kind: str, found: Mapping[str, Any], problems: list[Problem]) -> Recipe:
    nested: dict[str, Any] = {"kind": kind}
    for path, value in found.items():
        if value is not None:
            _put(nested, path, _unyaml(path, value))
    return validate_recipe(nested, problems)


def validate_recipe(nested: Mapping[str, Any], problems: Iterable[Problem] = ()) -> Recipe:
    """A recipe from nested values, or one :class:`RecipeError` with all ``problems`` and its own."""
    found = list(problems)
    recipe = None
    try:
        recipe = Recipe.model_validate(dict(nested))
    except ValidationError as error:
        found += [problem_of(dict(each), _every_flag(), every_path()) for each in error.errors()]
        # A field's own problem hides what the whole recipe lacks; look for that as well.
        kind = str(nested.get("kind", "train"))
        needed = _NEEDED_FIELDS.get(kind, ("parent",))
        said = {problem.where for problem in found}
        for path in needed:
            if path not in said and not _get(nested, path):
                found.append(_missing(path))
    if recipe is None or found:
        # Each element of a list that is wrong says the same.
        once = {(problem.what, problem.where): problem for problem in reversed(found)}
        refused = RecipeError(*reversed(once.values()))
        refused.rest = _rest(nested, found)
        raise refused
    return recipe


def _rest(nested: Mapping[str, Any], problems: Iterable[Problem]) -> Recipe | None:
    """The recipe without the values that are wrong, so that the others can be checked too."""
    wrong = {problem.where for problem in problems}
    left: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            left[name] = {inner: each for inner, each in value.items() if f"{name}.{inner}" not in wrong}
        elif name not in wrong:
            left[name] = value
    try:
        return Recipe.model_validate(left, context={"partial": True})
    except ValidationError:
        return None


def _unyaml(path: str, value: Any) -> Any:
    """YAML reads a bare ``no`` as false; where ``no`` is a choice, that is what was meant."""
    takes_no = value is False and any(flag.path == path and "no" in flag.choices for flag in flags("train"))
    return "no" if takes_no else value


def _put(nested: dict[str, Any], path: str, value: Any) -> None:
    *sections, name = path.split(".")
    for section in sections:
        nested = nested.setdefault(section, {})
    nested[name] = value


def _get(nested: Mapping[str, Any], path: str) -> Any:
    value: Any = nested
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _missing(path: str) -> Problem:
    examples = {
        "task": ("a task is needed", "Set --task, for example --task text-classification."),
        "model": ("a model is needed", "Set --model, for example --model sample:minilm."),
        "data.dataset": ("a data set is needed", "Set --dataset, for example --dataset reviews.csv."),
        "sweep.search": ("a search is needed", "Set --search, for example --search lr=1e-5..1e-3:log."),
        "parent": ("a run is needed", "Name it, for example: lepton compile last."),
    }
    what, do = examples[path]
    return Problem(what, "nothing", do, where=path)


def _every_flag() -> tuple[Flag, ...]:
    return tuple(flag for kind in SECTIONS_BY_KIND for flag in flags(kind))


def problem_of(error: dict[str, Any], known: Iterable[Flag], paths: Iterable[str] = ()) -> Problem:
    """A pydantic error in our words. ``known`` are the options of the model, ``paths`` what else it takes."""
    path = ".".join(str(part) for part in error["loc"] if not isinstance(part, int))
    kind = error["type"]
    context = error.get("ctx", {})
    message = str(error["msg"])
    got = short(error.get("input"))
    if kind == "extra_forbidden":
        return unknown_option(path, paths)
    flag = next((each for each in known if each.path == path), None)
    do = f"Set {flag.option}." if flag else ""
    if kind == "value_error":
        what, said, hint, where = (message.removeprefix("Value error, ").split("|") + ["", "", ""])[:4]
        return Problem(what, said or got, hint or do, where=where or path)
    signs = {
        "greater_than": ("gt", ">"),
        "greater_than_equal": ("ge", "≥"),
        "less_than": ("lt", "<"),
        "less_than_equal": ("le", "≤"),
    }
    name = flag.names[0].replace("-", "_") if flag else path.rpartition(".")[2]
    if kind in signs:
        key, sign = signs[kind]
        return Problem(f"{name} must be {sign} {context[key]:g}", got, do, where=path)
    if kind == "literal_error":
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        guess = nearest(str(error.get("input")), choices)
        hint = f" Did you mean {guess}?" if guess else ""
        return Problem(f"{name} must be {context['expected']}", got, (do + hint).strip(), where=path)
    needed = _NEEDED.get(kind)
    if needed:
        return Problem(f"{name} must be {needed}", got, do, where=path)
    return Problem(f"{name}: {message[0].lower()}{message[1:]}", got, do, where=path)
