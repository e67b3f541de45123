"""The one click tree: shell, cell, completion and reference read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .. import __version__
from ..errors import Problem, RequestError
from .command import HelpAsked, LazyCommands, LeptonGroup, WrongWord, option
from .results import Text
from .seat import Seat, seat_of

TOUR = """\
Lepton Lab {version}: fine-tune, compile and measure transformers on the hardware you own.

  1. Train     {program} train --task text-classification --model sample:minilm --dataset sample:movie-sentiment
  2. Compile   {program} compile last
  3. Measure   {program} benchmark last
  4. Ask       {program} predict last "The film never recovers from its first ten minutes."

Each answers --help. Also: {program} runs, show, attach, cancel, doctor. Everything: {program} --help"""

_CHAPTERS = {
    "Work": ("train", "sweep", "compile", "benchmark", "predict", "form"),
    "Runs": ("runs", "show", "events", "compare", "report", "attach", "cancel", "checkpoint", "resume", "clone"),
    "Models": ("models", "promote", "mlflow"),
    "This machine": ("doctor", "tasks", "backends", "samples", "cluster", "prune", "uninstall", "completion"),
}


@click.pass_context
def _tour(context: click.Context, version: bool) -> Text | None:
    if version:
        return Text(f"lepton-lab {__version__}")
    if context.invoked_subcommand is None:
        return Text(TOUR.format(version=__version__, program=seat_of(context).program))
    return None


cli = LeptonGroup(
    "lepton",
    callback=_tour,
    invoke_without_command=True,
    params=[option("--version", is_flag=True, help="Show the version.", section="Help")],
    help="Fine-tune, compile and measure transformers on the hardware you own. The same commands work in a "
    "notebook after %load_ext lepton_lab, as %lepton.",
    examples=[
        "lepton train --task text-classification --model sample:minilm --dataset reviews.csv --epochs 2",
        "lepton compile last",
        'lepton predict last "A fine film."',
    ],
    chapters=_CHAPTERS,
    commands=LazyCommands(
        __package__,
        {
            **dict.fromkeys(("train", "sweep", "compile", "benchmark"), "plans"),
            "predict": "answers",
            "form": "form",
            **dict.fromkeys(("runs", "show", "events", "attach", "cancel"), "records"),
            **dict.fromkeys(("compare", "report"), "comparing"),
            **dict.fromkeys(("checkpoint", "resume", "clone"), "revival"),
            **dict.fromkeys(("models", "promote"), "models"),
            "mlflow": "mlflow",
            "doctor": "doctor",
            **dict.fromkeys(("tasks", "backends"), "listings"),
            "samples": "samples",
            "cluster": "cluster",
            "prune": "prune",
            "uninstall": "uninstall",
            "completion": "shells",
        },
    ),
)


def run_words(words: Sequence[str], seat: Seat) -> Any:
    """Run one command line and return its result.

    Raises the errors of :mod:`lepton_lab.errors`; a wrong word is a :class:`RequestError`.
    """
    try:
        with cli.make_context(seat.program, list(words), obj=seat) as context:
            result = cli.invoke(context)
    except HelpAsked as asked:
        return Text(asked.message.replace("  lepton ", f"  {seat.program} "))
    except click.UsageError as error:
        raise RequestError(_problem(error)) from None
    except click.ClickException as error:
        raise RequestError(error.format_message()) from None
    except click.exceptions.Exit:
        return None
    return result


def _problem(error: click.UsageError) -> Problem:
    """What, and where to read more."""
    if isinstance(error, WrongWord):
        return error.problem
    path = error.ctx.command_path if error.ctx is not None else "lepton"
    return Problem(error.format_message(), do=f"See: {path} --help")
