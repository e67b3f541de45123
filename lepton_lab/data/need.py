"""What a task asks of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnKind = Literal["text", "label", "tokens", "tags", "messages", "prompt", "completion"]


@dataclass(frozen=True, slots=True)
class ColumnNeed:
    """One column that a task learns from.

    ``name`` is the canonical name in :class:`~lepton_lab.data.Splits`; ``option`` is the recipe
    field (``text_column``) that names the user's column; without it the first of ``guesses`` that
    the data has is taken, and without guesses only the option gives it.
    """

    name: str
    kind: ColumnKind
    option: str
    guesses: tuple[str, ...] = ()
    required: bool = True

    @property
    def flag(self) -> str:
        """The command-line option, for messages."""
        return "--" + self.option.replace("_", "-")


Needs = tuple[tuple[ColumnNeed, ...], ...]
"""Alternatives: the first whose required columns the data has wins."""
