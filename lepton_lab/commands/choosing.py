"""``cluster use``: one command a provider, whose flags are the provider's options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from ..registry import PROVIDERS, load_provider, provider_names
from .command import LeptonCommand, LeptonGroup, SectionOption, option
from .fields import option_of, parameter_name
from .results import Facts, pairs_text

OnProvider = Callable[[str, Mapping[str, Any], str | None], Any]
"""What to do with a provider, its options, and the name to save them under, if one was given."""


class UseGroup(LeptonGroup):
    """Providers by name; any other word is an address or a saved cluster."""

    def __init__(
        self,
        *args: Any,
        on_provider: OnProvider | None = None,
        on_word: Callable[[str], Any] | None = None,
        **attributes: Any,
    ) -> None:
        self._on_provider, self._on_word = on_provider or _use_provider, on_word or _use_word
        commands = {name: ProviderCommand(name, self._on_provider) for name in PROVIDERS}
        super().__init__(*args, commands=commands, **attributes)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The provider that the first word names, or what takes an address or a saved name."""
        word = str(args[0])
        if word in self.commands or word.startswith("-"):
            return super().resolve_command(ctx, args)
        if "://" in word:
            return "address", ProviderCommand("address", self._on_provider), ["--address", *args]
        if word in provider_names():  # of a third party
            return word, ProviderCommand(word, self._on_provider), args[1:]
        return word, LeptonCommand(word, callback=lambda: self._on_word(word)), args[1:]


class ProviderCommand(LeptonCommand):
    """The flags of one provider, read when they are needed."""

    def __init__(self, provider: str, on_provider: OnProvider) -> None:
        super().__init__(provider, callback=self._use)
        self.provider = provider
        self._on_provider = on_provider

    def get_short_help_str(self, limit: int = 45) -> str:
        """The provider's line."""
        return load_provider(self.provider).summary[:limit]

    def own_params(self) -> list[click.Parameter]:
        """One option a field, then the name to save it under."""
        from ..dispatch.providers.saved import default_name

        name = option(
            "--name",
            "saved_name",
            metavar="NAME",
            section="This command",
            help=f"Remember it under this name. Default: {default_name(self.provider)}.",
        )
        return [*self._fields().values(), name]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What it is, and what to install."""
        provider = load_provider(self.provider)
        text = f"{provider.summary[0].upper()}{provider.summary[1:]}."
        if provider.extra:
            text += f" Needs: {provider.install_command()}"
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text)

    def format_examples(self, formatter: click.HelpFormatter) -> None:
        """The provider's own."""
        self.examples = (f"lepton cluster use {load_provider(self.provider).example}",)
        super().format_examples(formatter)

    def _fields(self) -> dict[str, SectionOption]:
        from ..recipe.flags import section_flags

        return {
            flag.path: option_of(flag, "Options", many="repeat")
            for flag in section_flags(load_provider(self.provider).options)
        }

    def _use(self, saved_name: str | None, **parameters: Any) -> Any:
        from ..recipe.flags import section_flags

        flags = section_flags(load_provider(self.provider).options)
        found = {flag.path: parameters.get(parameter_name(flag)) for flag in flags}
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
        given = {name: value for name, value in values.items() if value not in (None, [])}
        return self._on_provider(self.provider, given, saved_name)


def _use_provider(name: str, values: Mapping[str, Any], saved_name: str | None) -> Facts:
    from ..dispatch.providers.choosing import use_provider
    from ..dispatch.providers.saved import default_name

    return _shown(use_provider(name, values, saved_name or default_name(name)))


def _use_word(word: str) -> Facts:
    from ..dispatch.providers.choosing import use_word

    return _shown(use_word(word))


def _shown(values: dict[str, Any]) -> Facts:
    return Facts(values, pairs_text((name.replace("_", " "), str(value)) for name, value in values.items() if value))
