"""``models`` and ``promote``: the models that runs left, and the words that name them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from ..errors import Problem, RequestError
from ..record import AliasMove
from .command import LeptonCommand, json_option, option
from .records import when
from .results import Column, Facts, Rows, bytes_text, number_text, shorten
from .values import AliasValue, RunValue


def _models(limit: int, every: bool, history: str | None, as_json: bool) -> Rows:
    from .. import lab

    if history is not None:
        return _history(history, as_json)
    rows = lab.models(None if every or as_json else limit)
    for row in rows:
        row["result"] = f"{row['metric']} {number_text(row['value'])}" if row["metric"] else None
        row["answers_through"] = " ".join(filter(None, (row["backend"], row["precision"], row["verdict"]))) or None
    columns = [
        Column("aliases", "alias", ", ".join),
        Column("run", "run"),
        Column("kind", "kind"),
        Column("name", "name"),
        Column("task", "task"),
        Column("base_model", "base model", lambda value: shorten(str(value), 40)),
        Column("result", "result"),
        Column("answers_through", "compiled"),
        Column("bytes", "size", lambda value: bytes_text(value).rjust(9)),
        Column("created", "created", when),
    ]
    used = [each for each in columns if each.key != "name" or any(row["name"] for row in rows)]
    left_out = not every and len([row for row in rows if not row["aliases"]]) == limit
    below = f"Those with an alias, and the newest {limit}. All of them: lepton models --all" if left_out else ""
    shown = [{key: value for key, value in row.items() if key not in ("result", "answers_through")} for row in rows]
    empty = "No models yet. A training run that succeeds leaves one."
    return Rows(shown if as_json else rows, used, empty=empty, below=below, as_json=as_json)


def _history(alias: str, as_json: bool) -> Rows:
    from ..record import alias_history, alias_word

    moves = alias_history(alias_word(alias))
    columns = [
        Column("time", "when", when),
        Column("run", "run"),
        Column("previous", "before"),
        Column("by", "by"),
    ]
    rows = [move.to_dict() for move in moves]
    return Rows(rows, columns, empty=f"{alias} never named a run.", as_json=as_json)


def _promote(run: str | None, alias: str | None, name: str | None, removed: str | None, as_json: bool) -> Facts:
    from .. import lab

    if removed is not None:
        if run is not None or alias is not None:
            raise RequestError(_too_much((("RUN", run), ("--alias", alias))))
        return _moved(lab.remove_alias(removed, name=name), as_json)
    if alias is None:
        do = "For example: lepton promote last --alias champion"
        raise RequestError(Problem("an alias is needed", "none", do, where="alias"))
    found = lab.attach(run or "last")
    move = lab.promote(found, alias=alias, name=name)
    return _moved(move, as_json, f", the best trial of sweep {found.id}" if found.kind == "sweep" else "")


def _too_much(given: Iterable[tuple[str, str | None]]) -> Problem:
    words = " and ".join(word for word, value in given if value is not None)
    return Problem("--remove-alias names the alias and nothing else", words, f"Leave {words} out.")


def _moved(move: AliasMove, as_json: bool, what: str = "") -> Facts:
    if move.run is None:
        text = f"{move.alias} names no run any more; it named {move.previous}."
    elif move.previous is None:
        text = f"{move.alias} names run {move.run}{what}."
    else:
        text = f"{move.alias} names run {move.run}{what}; before, it named {move.previous}."
    values: dict[str, Any] = move.to_dict()
    return Facts(values, text, as_json=as_json)


models = LeptonCommand(
    "models",
    callback=_models,
    params=[
        option(
            "-n",
            "--limit",
            type=click.IntRange(min=1),
            metavar="N",
            default=20,
            help="Beside those with an alias, show at most this many.",
            show_default=True,
        ),
        option("--all", "every", is_flag=True, help="Show every model."),
        option("--history", type=AliasValue(), help="Show which runs this alias has named, oldest first."),
        json_option("Print a JSON array of every model."),
    ],
    short_help="List the models that runs left, and their aliases.",
    help="List the models that runs left: those with an alias first, then the newest. Each training or compilation "
    "that succeeded is a version; a training's backend is what its newest compilation picked.",
    examples=["lepton models", "lepton models --history champion"],
)

promote = LeptonCommand(
    "promote",
    callback=_promote,
    params=[
        click.Argument(["run"], type=RunValue(kinds=("train", "compile", "sweep")), required=False, metavar="[RUN]"),
        option("--alias", type=AliasValue(), help="The word that names this run from now on, such as champion."),
        option("--name", metavar="NAME", help="The model that this is a version of; its alias is then NAME@ALIAS."),
        option("--remove-alias", "removed", type=AliasValue(), help="Let this alias name no run."),
        json_option("Print one JSON object; previous is the run that it named before."),
    ],
    short_help="Let an alias such as champion name a run's model.",
    help="Let an alias such as champion name the model of a run that succeeded (default: last); a sweep stands for "
    "its best trial. Wherever a run is "
    "asked for, the alias will do; it can be moved to another run at any time. A compilation that failed its parity "
    "check is refused.",
    examples=[
        "lepton promote last --alias champion",
        'lepton predict champion "A fine film."',
        "lepton promote last --alias champion --name reviews",
        "lepton promote --remove-alias champion",
    ],
)
