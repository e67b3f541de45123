"""The values that a search goes through, written as ``NAME=VALUES``.

::

    lr=1e-5..1e-3:log     a range; :log where the size of a number matters, not its distance to others
    lora_r=4..64          whole numbers, both ends among them: the field takes no others …
    epochs=1..3           … or both ends are written as such; 1.0..3.0 are all numbers between
    lora_r=4,8,16         choices
    peft=none,lora

``NAME`` is any name of a field of the training: ``lr``, ``learning_rate``, ``train.learning_rate``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from ..errors import Problem, RecipeError
from .flags import Flag, flags
from .naming import by_path
from .parse import problem_of
from .recipe import Recipe

_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(:log)?")
_WHERE = "sweep.search"
_BESIDE_TRAINING = ("model", "seed", "data.max_length", "data.max_rows")
# What trials are compared by, where they start and what they may run is the same for all.
_SAME_FOR_ALL = (
    *("train.metric_for_best_model", "train.eval_strategy", "train.resume_from_checkpoint"),
    *("train.trust_remote_code", "train.allow_pickle"),
)


@dataclass(frozen=True)
class Dimension:
    """One field and the values that it may take: ``choices``, or all from ``low`` to ``high``."""

    path: str
    """Of the recipe: ``train.learning_rate``."""
    name: str
    """For people: ``learning_rate``."""
    text: str
    """As it was written."""
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    is_whole: bool = False
    """Whether a range has whole numbers only."""

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values of which all others are right if these are."""
        return self.choices or (self.low, self.high)

    @property
    def count(self) -> int | None:
        """How many values there are; None where there is no end of them."""
        if self.choices:
            return len(self.choices)
        return int(self.high) - int(self.low) + 1 if self.is_whole else None

    def values(self) -> Sequence[Any]:
        """Every value, where there is an end of them."""
        return self.choices or range(int(self.low), int(self.high) + 1)


def dimensions_of(recipe: Recipe) -> list[Dimension]:
    """What the recipe of a sweep varies. Raises :class:`RecipeError` with everything that is wrong."""
    found, problems = read_search(recipe.sweep.search, recipe)
    if problems:
        raise RecipeError(*problems)
    return found


def read_search(texts: Iterable[str], base: Recipe) -> tuple[list[Dimension], list[Problem]]:
    """The dimensions, and what is wrong with the others: names, grammar, and values that their field refuses."""
    known = {flag.path: flag for flag in flags("train")}
    found: dict[str, Dimension] = {}
    problems: list[Problem] = []
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not name or not values:
            do = "Write it like --search lr=1e-5..1e-3:log or --search lora_r=4,8,16."
            problems.append(Problem("a search is a field and its values", repr(text), do, _WHERE))
            continue
        paths, wrong = by_path("train", {name: values})
        problems += [replace(each, where=_WHERE) for each in wrong]
        for path in paths:
            made = _dimension(known.get(path), path, values, text)
            if isinstance(made, Problem):
                problems.append(made)
            elif path in found:
                do = "Put all its values into one --search."
                problems.append(Problem(f"{made.name} is searched twice", f"{found[path].text} and {text}", do, _WHERE))
            else:
                found[path], wrong = _checked(made, base)
                problems += wrong
    return list(found.values()), problems


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """``recipe`` with these values by path; they are known to be right."""
    update: dict[str, Any] = {}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        if section:
            part = update.get(section, getattr(recipe, section))
            update[section] = part.model_copy(update={name: value})
        else:
            update[name] = value
    return recipe.model_copy(update=update)


def grid_of(dimensions: Iterable[Dimension]) -> int | None:
    """How many combinations there are; None where there is no end of them."""
    counts = [each.count for each in dimensions]
    return None if None in counts else math.prod(each or 0 for each in counts)


def _dimension(flag: Flag | None, path: str, values: str, text: str) -> Dimension | Problem:
    if flag is None or not _is_searchable(flag):
        do = "Search over fields of the training, such as lr, epochs, batch_size, lora_r."
        return Problem(f"{path} is the same for all trials", repr(text), do, _WHERE)
    name = flag.names[0].replace("-", "_")
    made = Dimension(path, name, text)
    if ".." not in values and not values.endswith(":log"):
        choices = [each.strip() for each in values.split(",")]
        return replace(made, choices=tuple(dict.fromkeys(each for each in choices if each)))
    match = _RANGE.fullmatch(values.replace(" ", ""))
    if match is None:
        do = f"Write {name}=LOW..HIGH, {name}=LOW..HIGH:log or {name}=A,B,C."
        return Problem("a range is two numbers with two dots between", repr(text), do, _WHERE)
    if flag.value_type not in ("int", "float"):
        return Problem(f"{name} is no number", repr(text), f"List what to try: {name}=A,B,C.", _WHERE)
    are_whole = all(re.fullmatch(r"[-+]?\d+", each) for each in match.group(1, 2))
    if flag.value_type == "int" and not are_whole:
        return Problem(f"{name} takes whole numbers", repr(text), f"Write both ends of {name} as such.", _WHERE)
    low, high = (int(each) if are_whole else float(each) for each in match.group(1, 2))
    if low >= high:
        return Problem("a range goes from less to more", repr(text), f"Write {name}={high:g}..{low:g}.", _WHERE)
    if match.group(3) and low <= 0:
        do = "Begin above 0, or leave :log out."
        return Problem("a logarithmic scale has no zero and nothing below", repr(text), do, _WHERE)
    return replace(made, low=low, high=high, log=bool(match.group(3)), is_whole=are_whole)


def _is_searchable(flag: Flag) -> bool:
    if flag.many or flag.path in _SAME_FOR_ALL:
        return False
    return flag.section in ("train", "peft") or flag.path in _BESIDE_TRAINING


def _checked(dimension: Dimension, base: Recipe) -> tuple[Dimension, list[Problem]]:
    """The dimension with choices as its field reads them, and what the field says against them."""
    section, _, name = dimension.path.rpartition(".")
    read, problems = [], {}
    for value in dimension.ends:
        part = getattr(base, section) if section else base
        values = {**part.model_dump(), name: value}
        try:
            # The field's section alone: whatever else the recipe lacks is said elsewhere.
            model = type(part).model_validate(values, context={"partial": True})
        except ValidationError as error:
            for each in error.errors():
                inner = {**each, "loc": (*([section] if section else []), *each["loc"])}
                said = problem_of(inner, flags("train"))
                do = f"Mend --search {dimension.text}."
                problems[said.what] = Problem(said.what, said.got, do, _WHERE)
        else:
            read.append(getattr(model, name))
    choices = tuple(dict.fromkeys(read)) if dimension.choices else ()
    return replace(dimension, choices=choices), list(problems.values())
