"""Recipe fields as click options, and back. The schema is the only list; nothing is repeated here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import click

from .command import LeptonCommand, SectionOption, WrongWord, words_alike
from .values import FieldValue

if TYPE_CHECKING:
    from ..errors import Problem
    from ..recipe import Flag

WRONG_WORDS = "lepton.wrong_words"
"""Where a context keeps the problems of options that do not exist."""

SECTION_TITLES = {
    "": "The run",
    "sweep": "Search",
    "data": "Data",
    "train": "Training",
    "peft": "Parameter-efficient fine-tuning",
    "compile": "Compilation",
    "benchmark": "Measurement",
    "resources": "Place and patience",
}


class RecipeCommand(LeptonCommand):
    """A command with one option a recipe field of ``kind``. The schema is read when it is needed."""

    def __init__(self, *args: Any, kind: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.kind = kind

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse without the options that do not exist: they are refused together with what the recipe refuses."""
        left = list(args)
        problems: list[Problem] = []
        while True:
            try:
                parsed = super().parse_args(ctx, list(left))
                break
            except WrongWord as error:
                shorter = _without_option(left, error.word)
                if len(shorter) == len(left):
                    raise
                left = shorter
                problems.append(error.problem)
            except click.UsageError:
                if problems:  # what is left cannot be parsed either; the first mistake says most
                    raise WrongWord(problems[0], ctx) from None
                raise
        ctx.meta[WRONG_WORDS] = problems
        return parsed

    def own_params(self) -> list[click.Parameter]:
        """Arguments, recipe options, then the command's own options."""
        own = super().own_params()
        arguments = [each for each in own if isinstance(each, click.Argument)]
        rest = [each for each in own if not isinstance(each, click.Argument)]
        return [*arguments, *recipe_options(self.kind), *rest]


def _without_option(words: list[str], name: str) -> list[str]:
    """The words without the first that is the option ``name``, and without its value."""
    for place, word in enumerate(words):
        written, equals, _ = word.partition("=")
        if words_alike(written) != name:
            continue
        if equals:
            return [*words[:place], *words[place + 1 :]]
        after = words[place + 1] if place + 1 < len(words) else "-"
        takes_one = not after.startswith("-") or after[1:2].isdigit()
        return [*words[:place], *words[place + 1 + takes_one :]]
    return words


@cache
def recipe_options(kind: str) -> tuple[SectionOption, ...]:
    """One click option a field. Values stay text: the recipe checks them, all at once."""
    from ..recipe import flags

    return tuple(option_of(flag) for flag in flags(kind))


def given_values(kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Recipe path → value of the options that were given; they are taken out of ``parameters``."""
    from ..recipe import flags

    values = {}
    for flag in flags(kind):
        value = parameters.pop(parameter_name(flag), None)
        if value is None or value == ():
            continue
        values[flag.path] = _texts(flag, value)
    return values


def set_values(assignments: tuple[str, ...]) -> dict[str, Any]:
    """``("train.optim=sgd",)`` as path → value; values are YAML."""
    import yaml

    values = {}
    for each in assignments:
        path, equals, text = each.partition("=")
        if not equals or not path.strip():
            raise click.UsageError(f"--set takes PATH=VALUE, got {each!r}. For example: --set train.optim=sgd")
        try:
            values[path.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise click.UsageError(f"The value of --set {path} is not YAML, got {text!r}.") from None
    return values


def option_of(flag: Flag, title: str = "", many: str = "repeat, or use commas") -> SectionOption:
    """One field as a click option. ``title`` overrides its section's; ``many`` says how to give several values."""
    attributes: dict[str, Any] = {
        "help": _help(flag, many),
        "section": title or SECTION_TITLES.get(flag.section, flag.section.title()),
        "advanced": flag.advanced,
        "default": None,
    }
    if flag.value_type == "bool":
        names = [f"--{name}/--no-{name}" for name in flag.names]
    else:
        names = [f"--{name}" for name in flag.names]
        metavar = "|".join(flag.choices) or None
        attributes.update(type=FieldValue(flag), multiple=flag.many, metavar=metavar)
    return SectionOption([*names, parameter_name(flag)], **attributes)


def parameter_name(flag: Flag) -> str:
    """What click calls the field's value."""
    return "field_" + flag.path.replace(".", "__")


def _help(flag: Flag, many: str) -> str:
    notes = []
    if flag.bounds:
        notes.append(flag.bounds)
    if flag.many:
        notes.append("repeat for several" if flag.is_whole else many)
    default = flag.default
    if default is not None and default not in ([], "") and "Default:" not in flag.help:
        if isinstance(default, bool):
            shown = "yes" if default else "no"
        else:
            shown = ",".join(map(str, default)) if isinstance(default, list) else str(default)
        notes.append(f"default: {shown}")
    return flag.help + (f"  [{'; '.join(notes)}]" if notes else "")


def _texts(flag: Flag, value: Any) -> Any:
    if not flag.many or flag.is_whole:
        return list(value) if flag.many else value
    return [part.strip() for text in value for part in text.split(",") if part.strip()]
