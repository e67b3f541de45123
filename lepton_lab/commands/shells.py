"""``completion``: the script that teaches a shell to complete."""

from __future__ import annotations

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from .command import LeptonCommand
from .results import Text
from .values import OneOf

COMPLETE_VARIABLE = "_LEPTON_COMPLETE"
_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


def teach_shells() -> None:
    """Let click's shell integration ask our one completion function."""
    for base in _SHELLS.values():
        add_completion_class(type(f"Lepton{base.__name__}", (_Completing, base), {}))


class _Completing:
    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """What Tab offers after ``args``."""
        from .completion import complete

        return [CompletionItem(each.value, help=each.help or None) for each in complete(args, incomplete)]


def _script(shell: str) -> Text:
    from .tree import cli

    complete_class = _SHELLS[shell]
    return Text(complete_class(cli, {}, "lepton", COMPLETE_VARIABLE).source())


completion = LeptonCommand(
    "completion",
    callback=_script,
    params=[click.Argument(["shell"], type=OneOf(*_SHELLS), metavar="SHELL")],
    short_help="Print the script that teaches bash, zsh or fish to complete.",
    help="Print the script that teaches SHELL (bash, zsh or fish) to complete commands, options and values.",
    examples=[
        'eval "$(lepton completion bash)"          # in ~/.bashrc',
        'eval "$(lepton completion zsh)"           # in ~/.zshrc',
        "lepton completion fish > ~/.config/fish/completions/lepton.fish",
    ],
)
