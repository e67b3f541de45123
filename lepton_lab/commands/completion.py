"""What Tab offers: one function over the click tree, for the shell, the cell and the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from .command import SectionOption, words_alike
from .values import Candidate, FieldValue, Typed, Value


def complete(words: Sequence[str], incomplete: str, namespace: Mapping[str, Any] | None = None) -> list[Candidate]:
    """Candidates for the word ``incomplete`` that follows ``words`` (without ``lepton`` itself)."""
    command, rest, context = _walk(words)
    line = _Line(command, context, rest)
    typed = Typed(namespace or {}, line.given)
    if line.waiting is not None:
        return _matching(_values(line.waiting, incomplete, typed), incomplete)
    if incomplete.startswith("--") and "=" in incomplete:
        name, _, value = incomplete.partition("=")
        found = line.option(name)
        offers = _matching(_values(found, value, typed), value) if found is not None else []
        return [Candidate(f"{name}={each.value}", each.help, each.is_whole) for each in offers]
    if incomplete.startswith("-"):
        return _matching(line.options(incomplete), incomplete)
    offers = [*_commands(command), *(_values(line.argument(), incomplete, typed))]
    return _matching(offers or line.options("--"), incomplete)


def complete_key(kind: str, incomplete: str, section: str = "") -> list[Candidate]:
    """Candidates for a key of a YAML recipe: fields of ``section``, or the sections and short names."""
    from ..recipe import flags

    known = {}
    for flag in flags(kind):
        if section and flag.section == section:
            known[flag.path.rpartition(".")[2]] = flag.help
        elif not section:
            names = [flag.path] if not flag.section else [name.replace("-", "_") for name in flag.names]
            known |= dict.fromkeys(names, flag.help)
    if not section:
        known |= {
            flag.section: f"the section {flag.section}" for flag in flags(kind) if flag.section not in ("", *known)
        }
    return _matching([Candidate(f"{name}:", help) for name, help in known.items()], incomplete)


def complete_yaml_value(
    kind: str, key: str, incomplete: str, namespace: Mapping[str, Any] | None = None
) -> list[Candidate]:
    """Candidates for the value of a recipe's key, by its path or short name."""
    from ..recipe import flags

    for flag in flags(kind):
        if flag.path == key or key.replace("_", "-") in flag.names:
            if flag.value_type == "bool":
                return _matching([Candidate("true"), Candidate("false")], incomplete)
            return _matching(FieldValue(flag).candidates(incomplete, Typed(namespace or {})), incomplete)
    return []


def _walk(words: Sequence[str]) -> tuple[click.Command, list[str], click.Context]:
    """(the command that the words reach, the words after its name, its context)."""
    from .tree import cli

    command: click.Command = cli
    context = click.Context(cli, info_name="lepton", resilient_parsing=True)
    rest = list(words)
    while isinstance(command, click.Group):
        index = next((index for index, word in enumerate(rest) if not word.startswith("-")), None)
        found = command.commands.get(words_alike(rest[index])) if index is not None else None
        if index is None or found is None:
            break
        command, rest = found, rest[index + 1 :]
        context = click.Context(command, info_name=command.name, parent=context, resilient_parsing=True)
    return command, rest, context


class _Line:
    """What the words after a command's name have said so far."""

    def __init__(self, command: click.Command, context: click.Context, words: Sequence[str]) -> None:
        self.params = command.get_params(context)
        self.waiting: click.Option | None = None
        self.given: dict[str, str] = {}
        self._used: set[str] = set()
        self._positions = 0
        only_positions = False
        for word in words:
            if self.waiting is not None:
                self._take(self.waiting, word)
                self.waiting = None
            elif word == "--":
                only_positions = True
            elif word.startswith("-") and len(word) > 1 and not only_positions:
                name, equals, value = word.partition("=")
                found = self.option(name)
                if found is not None:
                    self._used.add(found.name or "")
                    if equals:
                        self._take(found, value)
                    elif not found.is_flag:
                        self.waiting = found
            else:
                self._positions += 1

    def _take(self, option: click.Option, value: str) -> None:
        if isinstance(option.type, FieldValue):
            self.given[option.type.flag.path] = value

    def option(self, name: str) -> click.Option | None:
        """The option of this name."""
        name = name[:2] + words_alike(name[2:])
        for each in self.params:
            if isinstance(each, click.Option) and name in (*each.opts, *each.secondary_opts):
                return each
        return None

    def options(self, incomplete: str) -> Iterable[Candidate]:
        """Options that may still be given; aliases only once they are being typed."""
        rare = []
        for each in self.params:
            if not isinstance(each, click.Option) or (each.name in self._used and not each.multiple):
                continue
            names = [name for name in each.opts if name.startswith("--")]
            wanted = names[:1] if len(incomplete) <= 2 else names
            if len(incomplete) > 2 or each.default is True:
                wanted += each.secondary_opts
            found = [Candidate(name, (each.help or "").partition("  [")[0]) for name in wanted]
            if isinstance(each, SectionOption) and (each.advanced or each.section == "Help"):
                rare += found
            else:
                yield from found
        yield from rare

    def argument(self) -> click.Argument | None:
        """The argument that the next plain word would be."""
        arguments = [each for each in self.params if isinstance(each, click.Argument)]
        if self._positions < len(arguments):
            return arguments[self._positions]
        return arguments[-1] if arguments and arguments[-1].nargs == -1 else None


def _commands(command: click.Command) -> Iterable[Candidate]:
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield Candidate(name, each.get_short_help_str(90))


def _values(parameter: click.Parameter | None, incomplete: str, typed: Typed) -> Iterable[Candidate]:
    if parameter is None or not isinstance(parameter.type, Value):
        return ()
    return parameter.type.candidates(incomplete, typed)


def _matching(candidates: Iterable[Candidate], incomplete: str) -> list[Candidate]:
    found = {each.value: each for each in candidates if each.value.startswith(incomplete)}
    return list(found.values())
