"""A draft as code that does the same: a magic or a command line, Python, YAML."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..recipe import Flag
from .drafts import ClusterDraft, Draft, RecipeDraft
from .values import frames

_WIDTH = 100  # a longer call is written with one argument a line
_NO_FOLDING = 2**31
# IPython puts variables into a magic's line, and a line ends at its end.
_UNSAFE = set("{}$\n\r")
_DATA_FIELDS = ("data.dataset", "data.validation_dataset", "data.test_dataset")


def magic_of(draft: Draft) -> str:
    """A cell that does what the form would: a line, or with the recipe below it where a line cannot hold the values."""
    if isinstance(draft, RecipeDraft) and not _fits_line(draft):
        return f"%%lepton {draft.kind}\n{yaml_of(draft).rstrip()}"
    return command_of(draft, "%lepton")


def command_of(draft: Draft, program: str = "lepton") -> str:
    """One line for a shell."""
    words = ["cluster", "use", draft.provider] if isinstance(draft, ClusterDraft) else [draft.kind]
    parent = str(draft.options().get("parent", ""))
    words += [parent] if parent and parent[0] != "-" else []
    last = ["--", parent] if parent[:1] == "-" else []
    typed = draft.typed()
    for flag in draft.fields():
        if flag.path in typed and flag.path not in ("parent", "provider"):
            words += _words(flag, typed[flag.path], repeats=isinstance(draft, ClusterDraft))
    return " ".join([program, *map(shlex.quote, [*words, *last])])


def python_of(draft: Draft, namespace: Mapping[str, Any] | None = None) -> str:
    """A call. Data frames of ``namespace`` are named as the variables they are."""
    typed = draft.typed()
    first: list[str] = []
    if isinstance(draft, ClusterDraft):
        function, first = "lepton_lab.use_cluster", [repr(draft.provider)]
    else:
        function = f"run = lepton_lab.{draft.kind}"
        first = [repr(draft.options()["parent"])] if "parent" in draft.options() else []
    arguments = list(first)
    for flag in draft.fields():
        if flag.path in typed and flag.path not in ("parent", "provider"):
            value = _variable(flag, typed[flag.path], namespace or {}) or repr(typed[flag.path])
            name = flag.path if isinstance(draft, ClusterDraft) else flag.names[0].replace("-", "_")
            arguments.append(f"{'name' if flag.path == 'saved_name' else name}={value}")
    line = f"{function}({', '.join(arguments)})"
    if len(line) > _WIDTH:
        line = f"{function}(\n" + "".join(f"    {each},\n" for each in arguments) + ")"
    return f"import lepton_lab\n\n{line}"


def yaml_of(draft: Draft) -> str:
    """A recipe for ``lepton KIND -f``; of a cluster what ``LEPTON_HOME/clusters.yaml`` says of it."""
    typed = draft.typed()
    if isinstance(draft, ClusterDraft):
        options = {path: each for path, each in typed.items() if path not in draft.OWN}
        entry = {"provider": draft.provider, "options": options}
        values: dict[str, Any] = {"default": draft.name}
        if draft.name != "local":
            values["clusters"] = {draft.name: entry}
    else:
        values = {"kind": draft.kind}
        typed = {**{name: each for name, each in draft.options().items() if name == "parent"}, **typed}
        for flag in draft.fields():
            if flag.path in typed:
                place = values.setdefault(flag.section, {}) if flag.section else values
                place[flag.path.rpartition(".")[2]] = typed[flag.path]
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=_NO_FOLDING)


def _fits_line(draft: RecipeDraft) -> bool:
    for flag in draft.fields():
        value = draft.values.get(flag.path)
        each = value if isinstance(value, list) else [] if value is None else [value]
        if any(set(str(text)) & _UNSAFE for text in each):
            return False
        # An option's list is split at commas.
        if flag.many and not flag.is_whole and any("," in str(text) for text in each):
            return False
    return True


def _words(flag: Flag, value: Any, repeats: bool) -> list[str]:
    if flag.value_type == "bool" and isinstance(value, bool):
        return [f"--{'' if value else 'no-'}{flag.names[0]}"]
    texts = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    if flag.many and not (flag.is_whole or repeats):
        texts = [",".join(texts)]
    # A value that begins with a dash is not taken for an option.
    return [word for text in texts for word in ([f"{flag.option}={text}"] if text[:1] == "-" else [flag.option, text])]


def _variable(flag: Flag, value: Any, namespace: Mapping[str, Any]) -> str:
    """The variable that a data field means, or an empty string."""
    if flag.path not in _DATA_FIELDS or not isinstance(value, str):
        return ""
    name = value.removeprefix("var:")
    is_variable = value != name or (name in dict(frames(namespace)) and not Path(name).exists())
    return name if is_variable and name.isidentifier() else ""
