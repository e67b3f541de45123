"""``completion``: the scripts that teach bash, zsh and fish to complete, and what answers them.

A script hands over the line up to the cursor. The answer is a line a candidate, of three fields
parted by tabs: ``+`` or ``-`` (a space follows it or not), the word as the shell may insert it,
and what it means.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

import click
from click.shell_completion import split_arg_string

from .command import LeptonCommand
from .completion import complete
from .results import Text
from .values import OneOf

COMPLETE_VARIABLE = "_LEPTON_COMPLETE"
_LINE_VARIABLE = "_LEPTON_LINE"
_BREAKS_VARIABLE = "_LEPTON_BREAKS"

# What fails while somebody types must not print into the line that is being typed.
_BASH = """
_lepton_completion() {
    local IFS=$'\\n' answer space word help
    COMPREPLY=()
    for answer in $(_LEPTON_COMPLETE=bash _LEPTON_LINE="${COMP_LINE:0:COMP_POINT}" \\
            _LEPTON_BREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null); do
        IFS=$'\\t' read -r space word help <<< "$answer"
        COMPREPLY+=("$word")
    done
    if [[ ${#COMPREPLY[@]} == 1 && $space == - ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o nosort -F _lepton_completion lepton 2>/dev/null || complete -F _lepton_completion lepton
"""

_ZSH = """
#compdef lepton
_lepton_completion() {
    local answer width=0
    local -a fields whole whole_said begun begun_said
    local -a answers=("${(@f)$(_LEPTON_COMPLETE=zsh _LEPTON_LINE="${(j: :)words[1,CURRENT]}" $words[1] 2>/dev/null)}")
    for answer in $answers; do
        fields=("${(@ps:\\t:)answer}")
        (( $#fields[2] > width )) && width=$#fields[2]
    done
    for answer in $answers; do
        fields=("${(@ps:\\t:)answer}")
        case $fields[1] in
            +) whole+=("$fields[2]"); whole_said+=("${(r:width:)fields[2]}  $fields[3]") ;;
            -) begun+=("$fields[2]"); begun_said+=("${(r:width:)fields[2]}  $fields[3]") ;;
        esac
    done
    (( $#whole )) && compadd -U -l -V lepton -d whole_said -a whole
    (( $#begun )) && compadd -U -l -V lepton -d begun_said -S '' -a begun
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _lepton_completion "$@"; else compdef _lepton_completion lepton; fi
"""

_FISH = """
function _lepton_completion
    set -l line (commandline --current-process --cut-at-cursor | string collect)
    _LEPTON_COMPLETE=fish _LEPTON_LINE="$line" lepton 2>/dev/null | string replace --regex '^.\\t' ''
end
complete --no-files --keep-order --command lepton --arguments '(_lepton_completion)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def answer_shell(environment: Mapping[str, str]) -> Iterator[str]:
    """The lines of the answer to a script, which speaks through the environment."""
    line = environment.get(_LINE_VARIABLE, "")
    words, incomplete = words_before_cursor(line)
    in_bash = environment[COMPLETE_VARIABLE] == "bash"
    in_quotes = _in_quotes(line)
    kept = _kept_by_bash(incomplete, environment.get(_BREAKS_VARIABLE, "")) if in_bash and not in_quotes else ""
    for each in complete(words, incomplete):
        word = each.value.removeprefix(kept)
        if in_bash and not in_quotes:  # the others quote by themselves
            word = re.sub(r"([^\w@%+=:,./~-])", r"\\\1", word)
        yield "\t".join(("+" if each.is_whole else "-", word, " ".join(each.help.split())))


def words_before_cursor(line: str) -> tuple[list[str], str]:
    """(whole words behind the program's name, the beginning of the word at the cursor), without their quotes."""
    # One letter more, so that there is a word at the cursor behind a space, too.
    words = split_arg_string(f"{line}_")
    while words and re.match(r"\w+=", words[0]):  # VARIABLE=value before the command
        words.pop(0)
    return words[1:-1], words[-1][:-1] if len(words) > 1 else ""


def _in_quotes(line: str) -> bool:
    try:
        shlex.split(line, comments=False)
    except ValueError as error:
        return "quotation" in str(error)
    return False


def _kept_by_bash(incomplete: str, breaks: str) -> str:
    """What of a word bash leaves alone: it replaces only what follows the last of its word breaks."""
    place = max((incomplete.rfind(each) for each in breaks if each in incomplete), default=-1)
    return incomplete[: place + 1]


def _script(shell: str) -> Text:
    return Text(_SCRIPTS[shell].strip())


completion = LeptonCommand(
    "completion",
    callback=_script,
    params=[click.Argument(["shell"], type=OneOf(*_SCRIPTS), metavar="SHELL")],
    short_help="Print the script that teaches bash, zsh or fish to complete.",
    help="Print the script that teaches SHELL (bash, zsh or fish) to complete commands, options and values.",
    examples=[
        'eval "$(lepton completion bash)"          # in ~/.bashrc',
        'eval "$(lepton completion zsh)"           # in ~/.zshrc',
        "lepton completion fish > ~/.config/fish/completions/lepton.fish",
    ],
)
