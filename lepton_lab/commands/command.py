"""Click, in our manner: help in sections with examples first, the nearest name for a misspelt one."""

from __future__ import annotations

import difflib
import importlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import cache
from typing import Any

import click

from ..errors import Problem


class HelpAsked(click.ClickException):
    """``--help`` was given; the message is the help."""


class WrongWord(click.UsageError):
    """A name that does not exist (``word``); ``problem`` says which one may have been meant."""

    def __init__(self, problem: Problem, context: click.Context, word: str = "") -> None:
        super().__init__(str(problem), context)
        self.problem = problem
        self.word = word


def words_alike(word: str) -> str:
    """Option and command names with underscores are the same names."""
    return word.replace("_", "-")


class SectionOption(click.Option):
    """An option with a section in the help; ``advanced`` ones show under ``--help-all`` only."""

    def __init__(self, *args: Any, section: str = "Options", advanced: bool = False, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section
        self.advanced = advanced

    def get_help_extra(self, ctx: click.Context) -> Any:
        """What click adds to the help, without the range in its own notation."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


def option(*names: str, **attributes: Any) -> SectionOption:
    """An option of a command: ``option("--json", is_flag=True, help=…)``."""
    return SectionOption(list(names), **attributes)


def json_option(help: str = "Print JSON.") -> SectionOption:
    """``--json``."""
    return option("--json", "as_json", is_flag=True, help=help, section="Output")


class LeptonCommand(click.Command):
    """A command whose help begins with what to type."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        attributes.setdefault("context_settings", {"token_normalize_func": words_alike, "max_content_width": 100})
        super().__init__(*args, **attributes)
        self.examples = tuple(examples)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """``--help``, which hands its text to the seat instead of printing it."""
        return _help_option("--help", "-h", show_all=False)

    def own_params(self) -> list[click.Parameter]:
        """The parameters without those of the help."""
        return list(self.params)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters, with ``--help-all`` where something is folded away."""
        params = [*self.own_params(), _help_option("--help", "-h", show_all=False)]
        if any(getattr(each, "advanced", False) for each in params):
            params.append(_help_option("--help-all", show_all=True))
        return params

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and name the nearest option for one that does not exist."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            raise HelpAsked(ctx.get_help())
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise WrongWord(self._unknown_option(error.option_name, ctx), ctx, error.option_name) from None
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def _unknown_option(self, word: str, ctx: click.Context) -> Problem:
        from ..recipe import kinds_with, one_of

        owners = kinds_with(words_alike(word.lstrip("-")))
        if owners:
            return Problem(f"{ctx.command_path} has no option {word}", do=f"It belongs to {one_of(owners, 'and')}.")
        names = [name for each in self.get_params(ctx) for name in (*each.opts, *each.secondary_opts)]
        return unknown("option", word, names)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, purpose, examples, options."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_examples(formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def format_examples(self, formatter: click.HelpFormatter) -> None:
        """The examples, as they are typed."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(textwrap.indent(line, " " * formatter.current_indent) + "\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options grouped by section; advanced ones folded away."""
        show_all = bool(ctx.meta.get("lepton.help_all"))
        sections: dict[str, list[tuple[str, str]]] = {}
        folded = 0
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx) if isinstance(each, click.Option) else None
            if record is None:
                continue  # the usage line names the arguments
            if getattr(each, "advanced", False) and not show_all:
                folded += 1
                continue
            sections.setdefault(getattr(each, "section", "Options"), []).append(record)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows, col_max=34)
        if folded:
            formatter.write_paragraph()
            formatter.write_text(f"{folded} options for rare cases are folded away: {ctx.command_path} --help-all")


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, each imported when it is first asked for: most command lines need one of them."""

    def __init__(self, package: str, modules: Mapping[str, str]) -> None:
        """``modules``: which module of ``package`` has the command as an attribute of its own name."""
        self._package = package
        self._modules = dict(modules)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module = importlib.import_module(f"{self._package}.{self._modules[name]}")
            self._loaded[name] = getattr(module, name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command
        self._modules.setdefault(name, "")

    def __delitem__(self, name: str) -> None:
        del self._modules[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules


class LeptonGroup(LeptonCommand, click.Group):
    """A group that names the nearest command, and lists its commands in the order they were added."""

    command_class = LeptonCommand

    def __init__(self, *args: Any, chapters: Mapping[str, Sequence[str]] | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.chapters = dict(chapters or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the help."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names."""
        word = words_alike(str(args[0]))
        if word not in self.commands and not ctx.resilient_parsing and not word.startswith("-"):
            raise WrongWord(unknown("command", str(args[0]), self.commands), ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands by chapter, then the options."""
        chapters = self.chapters or {"Commands": list(self.commands)}
        for title, names in chapters.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(90)) for name in names])
        super().format_options(ctx, formatter)


def unknown(what: str, word: str, known: Iterable[str]) -> Problem:
    """What to say of a name that does not exist, with the nearest that does."""
    plain = {name.lstrip("-"): name for name in known}
    bare = words_alike(word.lstrip("-"))
    close = difflib.get_close_matches(bare, plain, n=1, cutoff=0.5)
    if not close and len(bare) > 2:  # half of a long name: --weight for --weight-decay
        close = sorted((name for name in plain if bare in name), key=len)[:1]
    do = f"Did you mean {plain[close[0]]}?" if close else f"The {what}s are listed by --help."
    return Problem(f"there is no {what} {word}", do=do)


@cache
def _help_option(*names: str, show_all: bool) -> SectionOption:
    def show(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            ctx.meta["lepton.help_all"] = show_all
            raise HelpAsked(ctx.get_help())

    text = "Show every option." if show_all else "Show this help."
    return option(*names, is_flag=True, is_eager=True, expose_value=False, callback=show, help=text, section="Help")
