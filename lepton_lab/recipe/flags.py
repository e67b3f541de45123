"""The recipe's fields as options: the one list that flags, forms and the reference read."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo

from .recipe import SECTIONS_BY_KIND, Recipe
from .section import Section

ValueType = Literal["str", "int", "float", "bool"]

# Top-level fields that have a flag, by kind. `kind` and `parent` come from the command itself.
_TOP_FIELDS = {
    "train": ("task", "model", "name", "tags", "notes", "seed", "output_dir"),
    "sweep": ("task", "model", "name", "tags", "notes", "seed", "output_dir"),
    "compile": ("name", "tags", "notes", "output_dir"),
    "benchmark": ("name", "tags", "notes"),
}


@dataclass(frozen=True)
class Flag:
    """One recipe field as an option.

    ``path`` is where it stands in the recipe (``train.learning_rate``); ``names`` are its
    option names without dashes in front (``learning-rate``, ``lr``), the main one first.
    """

    path: str
    names: tuple[str, ...]
    value_type: ValueType
    many: bool
    choices: tuple[str, ...]
    default: Any
    help: str
    advanced: bool
    bounds: str = ""
    """What a number must keep to, as in ``≥ 1``."""
    is_whole: bool = False
    """Whether commas are part of each of many values."""
    kinds: tuple[str, ...] = ()
    """The kinds of recipe that use it; empty: all that have its section."""

    @property
    def section(self) -> str:
        """``train``, ``data``, …; empty for a top-level field."""
        return self.path.rpartition(".")[0]

    @property
    def option(self) -> str:
        """The main name as typed: ``--learning-rate``."""
        return "--" + self.names[0]


def flags(kind: str) -> tuple[Flag, ...]:
    """Every option of ``lepton KIND``, in the order of the recipe."""
    top = [_flag(name, Recipe.model_fields[name]) for name in _TOP_FIELDS[kind]]
    rest: list[Flag] = []
    for section in SECTIONS_BY_KIND[kind]:
        model = Recipe.model_fields[section].annotation
        if isinstance(model, type) and issubclass(model, Section):
            rest += section_flags(model, f"{section}.")
    return tuple(flag for flag in top + rest if not flag.kinds or kind in flag.kinds)


def flag_of(path: str) -> Flag:
    """The field at a dotted path as an option."""
    section, _, name = path.rpartition(".")
    model: Any = Recipe.model_fields[section].annotation if section else Recipe
    return _flag(path, model.model_fields[name])


def section_flags(model: type[Section], prefix: str = "") -> tuple[Flag, ...]:
    """Every field of one section as an option; ``prefix`` stands before its path."""
    return tuple(_flag(f"{prefix}{name}", field) for name, field in model.model_fields.items())


def every_path() -> Iterator[str]:
    """Every dotted path of the recipe that takes a value."""
    for name, field in Recipe.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Section):
            yield from (f"{name}.{inner}" for inner in model.model_fields)
        else:
            yield name


def _flag(path: str, field: FieldInfo) -> Flag:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    name = str(extra.get("flag") or path.rpartition(".")[2])
    aliases = typing.cast("list[str]", extra.get("aliases") or [])
    value_type, many, choices = _describe(field.annotation)
    return Flag(
        path=path,
        names=tuple(each.replace("_", "-") for each in (name, *aliases)),
        value_type=value_type,
        many=many,
        choices=choices,
        default=field.get_default(call_default_factory=True),
        help=field.description or "",
        advanced=bool(extra.get("advanced")),
        bounds=_bounds(field),
        is_whole=bool(extra.get("whole")),
        kinds=tuple(typing.cast("list[str]", extra.get("kinds") or [])),
    )


def _bounds(field: FieldInfo) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = []
    for rule in field.metadata:
        found += [f"{sign} {getattr(rule, key):g}" for key, sign in signs.items() if hasattr(rule, key)]
    return ", ".join(found)


def _describe(annotation: Any) -> tuple[ValueType, bool, tuple[str, ...]]:
    """(value type, takes many, choices) of ``int | None``, ``list[str]``, ``Literal[...]`` …"""
    origin = typing.get_origin(annotation)
    if origin in (types.UnionType, typing.Union):
        inner = [each for each in typing.get_args(annotation) if each is not type(None)]
        return _describe(inner[0])
    if origin is list:
        value_type, _, choices = _describe(typing.get_args(annotation)[0])
        return value_type, True, choices
    if origin is Literal:
        return "str", False, tuple(typing.get_args(annotation))
    names: dict[Any, ValueType] = {str: "str", int: "int", float: "float", bool: "bool"}
    return names[annotation], False, ()
