"""What somebody has filled in so far: fields by path, as typed, right or not yet. Forms and their code read it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ValidationError

from ..dispatch.providers.saved import default_name
from ..errors import Problem, RecipeError, RequestError
from ..recipe import TRAINING_KINDS, Flag, Recipe, build_recipe, flags
from ..recipe.flags import flag_of, section_flags
from ..recipe.naming import by_path
from ..recipe.reading import read_yaml
from ..registry import load_provider, provider_names


@dataclass(frozen=True)
class Draft:
    """Fields that were set, by path; one that is not here keeps its default."""

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> tuple[Flag, ...]:
        """Every field that can be set."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """What to make the thing of, as typed."""
        raise NotImplementedError

    def problems(self) -> list[Problem]:
        """What the schema refuses; ``where`` is the field."""
        raise NotImplementedError

    def typed(self) -> dict[str, Any]:
        """The values as their fields read them; one that its field refuses stays as it was typed."""
        return {path: _read(self._model_of(path), path.rpartition(".")[2], each) for path, each in self.values.items()}

    def with_value(self, path: str, value: Any) -> Self:
        """With this field set; without it where nothing was said."""
        values = {name: each for name, each in self.values.items() if name != path}
        if value is not None and value not in ("", []):
            values[path] = value
        return replace(self, values=values)

    def _model_of(self, path: str) -> type[BaseModel]:
        """The model that has the field."""
        raise NotImplementedError


@dataclass(frozen=True)
class RecipeDraft(Draft):
    """A recipe on its way."""

    @classmethod
    def read(cls, kind: str, options: Mapping[str, Any], yaml_text: str | None = None) -> RecipeDraft:
        """From options by any of their names, on top of YAML. Raises :class:`RecipeError` for unknown names."""
        below = {name: each for name, each in read_yaml(yaml_text or "").items() if name != "kind"}
        found, problems = by_path(kind, below)
        above, more = by_path(kind, options)
        if problems or more:
            raise RecipeError(*problems, *more)
        draft = cls(kind)
        for flag in draft.fields():
            value = {**found, **above}.get(flag.path)
            draft = draft.with_value(flag.path, _plain(draft._model_of(flag.path), flag, value))
        return draft

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> RecipeDraft:
        """All that differs from the defaults, and the place if one was named."""
        said = recipe.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
        if "cluster" in recipe.resources.model_fields_set:
            said.setdefault("resources", {})["cluster"] = recipe.resources.cluster
        return cls.read(recipe.kind, said)

    def fields(self) -> tuple[Flag, ...]:
        """The run it builds on, where there is one, then every option of its command."""
        return flags(self.kind) if self.kind in TRAINING_KINDS else (flag_of("parent"), *flags(self.kind))

    def options(self) -> dict[str, Any]:
        """What to make a recipe of: as typed, and the last run where none was named."""
        builds_on = {} if self.kind in TRAINING_KINDS else {"parent": "last"}
        return {**builds_on, **self.values}

    def problems(self) -> list[Problem]:
        """What the schema refuses."""
        try:
            build_recipe(self.kind, self.options())
        except RecipeError as error:
            return list(error.problems)
        return []

    def _model_of(self, path: str) -> type[BaseModel]:
        section = path.rpartition(".")[0]
        model: Any = Recipe.model_fields[section].annotation if section else Recipe
        return model  # type: ignore[no-any-return]


_PROVIDER = Flag(
    "provider", ("provider",), "str", False, (), "local", "Who has the workers: a kind of cluster.", advanced=False
)
_NAME = Flag(
    "saved_name", ("name",), "str", False, (), None, "Remember it under this name. Default: my-PROVIDER.", False
)


@dataclass(frozen=True)
class ClusterDraft(Draft):
    """A cluster on its way: a provider, its options, and a name to save it under."""

    kind: str = "cluster"

    OWN: ClassVar[tuple[str, ...]] = (_PROVIDER.path, _NAME.path)
    """Fields that are no option of the provider."""

    @property
    def provider(self) -> str:
        """Its provider, if there is one of that name; else this machine."""
        word = str(self.values.get(_PROVIDER.path) or _PROVIDER.default)
        return word if word in provider_names() else str(_PROVIDER.default)

    @property
    def name(self) -> str:
        """What it is saved as."""
        return str(self.values.get(_NAME.path) or default_name(self.provider))

    def fields(self) -> tuple[Flag, ...]:
        """Provider and name, then the provider's options."""
        return (
            replace(_PROVIDER, choices=tuple(provider_names())),
            _NAME,
            *section_flags(load_provider(self.provider).options),
        )

    def options(self) -> dict[str, Any]:
        """The provider's options, as typed."""
        return {path: each for path, each in self.values.items() if path not in self.OWN}

    def with_value(self, path: str, value: Any) -> Self:
        """With this field set; another provider takes along the options that it knows, too."""
        changed = super().with_value(path, value)
        known = {flag.path for flag in changed.fields()}
        return replace(changed, values={name: each for name, each in changed.values.items() if name in known})

    def problems(self) -> list[Problem]:
        """What the schema of the provider refuses."""
        from ..dispatch.providers.words import make_options

        try:
            make_options(load_provider(self.provider).options, self.options())
        except RequestError as error:
            return list(error.problems)
        return []

    def _model_of(self, path: str) -> type[BaseModel]:
        return load_provider(self.provider).options


def text_of(flag: Flag, value: Any) -> str:
    """A value as one types it into a field: lists with commas, and a line each where commas are part of the values."""
    if value is None:
        return ""
    if not flag.many:
        return str(value)
    if flag.is_whole:
        return "\n".join(map(str, value))
    return ", ".join(_quoted(str(each)) for each in value)


def value_of(flag: Flag, text: str) -> Any:
    """What was typed into a field; None for nothing. The schema turns it into a number and checks it."""
    if not flag.many:
        return text if text.strip() else None
    if flag.is_whole:
        found = [line.strip() for line in text.splitlines()]
    else:
        found = [each.strip() for each in next(csv.reader([text], skipinitialspace=True), [])]
    return [each for each in found if each] or None


def _quoted(text: str) -> str:
    """One of several values, in quotation marks where commas would cut it."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') or text != text.strip() else text


def _plain(model: type[BaseModel], flag: Flag, value: Any) -> Any:
    """A value as Python and YAML may give it, in the shape that a field shows."""
    if value is False and "no" in flag.choices:  # YAML reads a bare no so
        return "no"
    if not flag.many or value is None:
        return value
    if isinstance(value, Mapping):
        return _read(model, flag.path.rpartition(".")[2], value)
    if isinstance(value, str):
        return value_of(flag, value)
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _read(model: type[BaseModel], name: str, value: Any) -> Any:
    """``value`` as the field ``name`` reads it, or as it is where the field refuses it."""
    try:
        made = model.model_validate({name: value}, context={"partial": True})
    except ValidationError:
        return value
    return made.model_dump(mode="json")[name]
