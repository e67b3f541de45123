"""Which field a name means: a short one, a long one, a path, or one inside a section."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from ..errors import Problem
from .flags import every_path, flag_of, flags
from .option import short
from .recipe import SECTIONS_BY_KIND, TRAINING_KINDS

_SECTIONS = tuple(dict.fromkeys(name for names in SECTIONS_BY_KIND.values() for name in names))


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name most like ``word``, or an empty string."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def one_of(words: Iterable[str], between: str = "or") -> str:
    """``a, b or c``."""
    *first, last = words
    return f"{', '.join(first)} {between} {last}" if first else last


def kinds_with(name: str) -> list[str]:
    """The kinds of recipe that have an option of this name, as typed without dashes in front."""
    return [kind for kind in SECTIONS_BY_KIND if any(name in flag.names for flag in flags(kind))]


def unknown_option(name: str, known: Iterable[str]) -> Problem:
    """What to say of a name that no field has."""
    guess = nearest(name.replace("-", "_"), known)
    do = f"Did you mean {guess}?" if guess else "See the options with --help."
    return Problem("there is no such option", repr(name), do, where=name)


def by_path(kind: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """``values`` by dotted path of the recipe, and what is wrong with their names.

    A field named twice (``lr`` and ``train.learning_rate``) must have one value.
    """
    names = {name.replace("-", "_"): flag.path for flag in flags(kind) for name in flag.names}
    paths = set(every_path())
    found: dict[str, Any] = {}
    said: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in _each(values, names, problems):
        section, _, inner = name.rpartition(".")
        path = names.get(name) or (name if name in paths else "")
        if not path and section and names.get(inner, "").startswith(f"{section}."):
            path = names[inner]
        if not path:
            problems.append(unknown_option(name, _candidates(section, names, paths)))
        elif path in found and found[path] != value:
            got = f"{said[path]}: {short(found[path])} and {name}: {short(value)}"
            problems.append(Problem(f"{path} is given twice", got, "Leave one of them out.", where=path))
        elif wrong := _out_of_place(kind, path, value):
            problems.append(wrong)
        else:
            found[path], said[path] = value, name
    found.pop("kind", None)
    return found, problems


def _candidates(section: str, names: Mapping[str, str], paths: Iterable[str]) -> list[str]:
    """What a name may have meant: short names and paths, those of its section where it has one."""
    inside = [f"{section}.{name}" for name, path in names.items() if path.startswith(f"{section}.")]
    return [*inside, *sorted(path for path in paths if path.startswith(f"{section}."))] or [*names, *sorted(paths)]


def _each(values: Mapping[str, Any], names: Container[str], problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    """Every (name, value), those of sections with the section before. A section may share an option's name."""
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in _SECTIONS or (name in names and not isinstance(value, Mapping)):
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}.{str(inner).replace('-', '_')}", each) for inner, each in value.items())
        elif value is not None:  # nothing under it: a section of which every line is commented out
            example = next(path for path in every_path() if path.startswith(f"{name}."))
            do = f"Write its fields by name below it, for example {example.partition('.')[2]}."
            problems.append(Problem(f"{name} is a section, with fields of its own", short(value), do, where=name))


def _out_of_place(kind: str, path: str, value: Any) -> Problem | None:
    """A problem where a recipe of this kind makes no use of the field."""
    section = path.rpartition(".")[0]
    if path == "kind" and value != kind:
        do = f"Use: lepton {value}" if value in SECTIONS_BY_KIND else "Leave it out."
        return Problem(f"this is a {kind} recipe", f"kind: {short(value)}", do, where=path)
    if path == "parent" and kind in TRAINING_KINDS and value is not None:
        return Problem(f"a {kind} recipe has no parent run", short(value), "Leave it out.", where=path)
    flag = flag_of(path)
    users = [each for each, sections in SECTIONS_BY_KIND.items() if not section or section in sections]
    users = [each for each in users if not flag.kinds or each in flag.kinds]
    if kind not in users and value is not None and value != flag.default:
        do = f"It belongs to {one_of(users, 'and')}."
        return Problem(f"{path} means nothing to a {kind} recipe", short(value), do, path)
    return None
