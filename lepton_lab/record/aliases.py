"""Aliases: words such as ``champion`` that name the run whose model is meant, and that can move.

::

    aliases/champion/
      00000001.json            the first holder
      00000002.json            the next one; a removal names no run

An alias is where its highest number says. Numbers are taken by compare-and-swap: a file is made
whole or not at all and never replaces another, so of two processes that move an alias at once one
comes second, sees the other's move and follows it. Nothing is ever overwritten: the files are the
history. ``NAME@ALIAS`` is the alias of one named model, where a home has several. Standard library only.
"""

from __future__ import annotations

import getpass
import platform
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import places
from ..errors import Problem, RequestError, RunNotFound
from .files import create_json, read_json

# As MLflow has them, and in small letters: a file system may not tell letters of two sizes apart.
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
_TAKEN = re.compile(r"last|latest|v[0-9]+")


@dataclass(frozen=True, slots=True)
class AliasMove:
    """One move of an alias. ``run`` is its holder from then on, None where it was removed.

    ``number`` counts the moves of this alias from 1; ``time`` is seconds since 1970; ``by`` says who, on which host.
    """

    alias: str
    number: int
    run: str | None
    previous: str | None
    time: float
    by: str

    def to_dict(self) -> dict[str, Any]:
        """The move as a JSON object."""
        return asdict(self)


def alias_word(alias: str, name: str | None = None) -> str:
    """``ALIAS`` or ``NAME@ALIAS``, checked. Raises :class:`RequestError`."""
    own_name, at, word = alias.rpartition("@")
    if at and name is not None and own_name != name:
        raise RequestError(Problem("a model has one name", f"{own_name} and {name}", "Leave one of them out."))
    found_name = own_name if at else name
    problems = []
    if not _WORD.fullmatch(word) or _TAKEN.fullmatch(word):
        do = "Use small letters, digits, - and _, beginning with a letter; not last, latest or v1."
        problems.append(Problem("this cannot be an alias", repr(word), do, where="alias"))
    if found_name is not None and not _NAME.fullmatch(found_name):
        do = "Use small letters, digits, dots, - and _."
        problems.append(Problem("this cannot be a model's name", repr(found_name), do, where="name"))
    if problems:
        raise RequestError(*problems)
    return word if found_name is None else f"{found_name}@{word}"


def move_alias(alias: str, run: str | None) -> AliasMove:
    """Make ``run`` the holder of ``alias`` (None: nobody), whoever else moves it at the same time.

    Returns the move; the one that made it so before, when ``run`` already is the holder.
    """
    folder = places.aliases_dir() / alias
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        last = _last_move(folder)
        previous = last.run if last else None
        if last is not None and last.run == run:
            return last
        number = last.number + 1 if last else 1
        move = AliasMove(alias, number, run, previous, time.time(), f"{getpass.getuser()}@{platform.node()}")
        try:
            create_json(folder / f"{number:08}.json", move.to_dict())
        except FileExistsError:
            continue  # somebody was faster: look where it is now
        return move


def aliases() -> dict[str, AliasMove]:
    """Every alias that has a holder, by its word."""
    root = places.aliases_dir()
    moves = (_last_move(folder) for folder in sorted(root.iterdir()) if folder.is_dir()) if root.is_dir() else ()
    return {move.alias: move for move in moves if move is not None and move.run is not None}


def aliases_of(run: str) -> list[str]:
    """The aliases that ``run`` holds."""
    return [word for word, move in aliases().items() if move.run == run]


def alias_history(alias: str) -> list[AliasMove]:
    """Every move of an alias, oldest first; empty for a word that never was one."""
    return [AliasMove(**read_json(path)) for path in _numbered(places.aliases_dir() / alias)]


def find_alias(word: str) -> AliasMove | None:
    """The alias that ``word`` means: itself, or the only ``NAME@word``. None if there is none.

    Raises :class:`RunNotFound` when several named models have it.
    """
    known = aliases()
    if word in known:
        return known[word]
    named = [move for each, move in known.items() if each.partition("@")[2] == word]
    if len(named) > 1:
        words = ", ".join(move.alias for move in named)
        raise RunNotFound(Problem(f"{len(named)} models have the alias {word}", words, "Type the one that is meant."))
    return named[0] if named else None


def _last_move(folder: Path) -> AliasMove | None:
    newest = max(_numbered(folder), default=None)
    return AliasMove(**read_json(newest)) if newest else None


def _numbered(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(path for path in folder.glob("[0-9]*.json"))
