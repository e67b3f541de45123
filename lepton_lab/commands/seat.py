"""Where a command was given: a shell, a cell, a test. Commands ask the seat; they never print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..errors import Problem, RequestError

if TYPE_CHECKING:
    from ..lab import Run


def _say_nothing(text: str) -> None:
    del text


def _cannot_ask(question: str) -> bool:
    raise no_answer(question)


def no_answer(question: str) -> RequestError:
    """What to raise where nobody can be asked."""
    return RequestError(Problem(f"{question} There is nobody to ask", do="Add --yes to do it."))


def _just_wait(run: Run) -> None:
    run.wait()


@dataclass(frozen=True)
class Seat:
    """What a command may use of the place it was given in.

    ``program`` is what people type (``lepton``, ``%lepton``); ``namespace`` the notebook's
    variables; ``cell_body`` the YAML of a ``%%lepton`` cell; ``say`` shows a passing line;
    ``confirm`` asks a yes-or-no question; ``watch`` waits for a run and shows its progress.
    """

    program: str = "lepton"
    namespace: Mapping[str, Any] | None = None
    cell_body: str | None = None
    say: Callable[[str], None] = _say_nothing
    confirm: Callable[[str], bool] = _cannot_ask
    watch: Callable[[Run], None] = _just_wait


def seat_of(context: click.Context) -> Seat:
    """The seat that the command was given in."""
    return context.find_object(Seat) or Seat()
