"""``checkpoint``, ``resume``, ``clone``: saving a run on the way, and going on from there."""

from __future__ import annotations

import time
from typing import Any

import click

from ..errors import Problem, RequestError
from .command import LeptonCommand, json_option, option
from .fields import WRONG_WORDS, RecipeCommand, given_values, set_values
from .results import Facts, Started
from .seat import seat_of
from .values import OneOf, RunValue

_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.05


def _checkpoint(run: str, as_json: bool) -> Facts:
    from .. import lab
    from ..record import last_complete

    found = lab.attach(run)
    before = last_complete(found.folder)
    found.checkpoint()
    deadline = time.monotonic() + _WAIT_SECONDS
    while (saved := last_complete(found.folder)) == before and time.monotonic() < deadline and not found.view().is_over:
        time.sleep(_POLL_SECONDS)
    name = saved.name if saved is not None and saved != before else None
    text = (
        f"Run {found.id} saved {name}." if name else f"Run {found.id} was asked and has not come to its next step yet."
    )
    values = {"run": found.id, "checkpoint": name, "path": str(saved) if name else None}
    return Facts(values, text, as_json=as_json)


def _resume(run: str, wait: bool | None, on_interrupt: Any, as_json: bool) -> Started:
    from .. import lab

    return Started(lab.resume(run), wait, as_json, on_interrupt)


def _clone(run: str, **parameters: Any) -> Started:
    from .. import lab

    context = click.get_current_context()
    seat = seat_of(context)
    wrong: list[Problem] = context.meta.get(WRONG_WORDS, [])
    if wrong:
        raise RequestError(*wrong)
    values = {**given_values("train", parameters), **set_values(parameters["assignments"])}
    recipe = lab.clone_recipe(lab.attach(run), values, seat.namespace, parameters["from_checkpoint"])
    started = lab.submit(recipe, seat.namespace)
    return Started(started, parameters["wait"], parameters["as_json"], parameters["on_interrupt"])


def _waiting_options() -> list[click.Parameter]:
    section = "This command"
    return [
        option("--wait/--no-wait", "wait", default=None, section=section, help="Wait for the end, or return at once."),
        option(
            "--on-interrupt",
            type=OneOf("detach", "cancel"),
            metavar="detach|cancel",
            section=section,
            help="What Ctrl-C (or interrupting the kernel) does.",
        ),
        json_option("Print one line of JSON at the end; progress goes to stderr."),
    ]


checkpoint = LeptonCommand(
    "checkpoint",
    callback=_checkpoint,
    params=[
        click.Argument(["run"], type=RunValue(only_living=True), required=False, default="last", metavar="[RUN]"),
        json_option("Print one JSON object."),
    ],
    short_help="Save a checkpoint of a running run now; it goes on.",
    help="Save a checkpoint of a running run at its next step; it goes on.",
)

resume = LeptonCommand(
    "resume",
    callback=_resume,
    params=[
        click.Argument(["run"], type=RunValue(), required=False, default="last", metavar="[RUN]"),
        *_waiting_options(),
    ],
    short_help="Let a run that failed, was cancelled or was lost go on from its last checkpoint.",
    help="Let a run that failed, was cancelled or was lost go on from its last complete checkpoint. It stays the same "
    "run: its curves continue.",
)

clone = RecipeCommand(
    "clone",
    kind="train",
    callback=_clone,
    params=[
        click.Argument(["run"], type=RunValue(kinds=("train",)), metavar="RUN"),
        option(
            "--set",
            "assignments",
            multiple=True,
            metavar="PATH=VALUE",
            section="This command",
            help="Any field of the recipe by its path; the value is YAML.",
        ),
        option(
            "--from-checkpoint",
            is_flag=True,
            section="This command",
            help="Go on from the last complete checkpoint of RUN, with the changed options.",
        ),
        *_waiting_options(),
    ],
    short_help="Train again with the recipe of a run and some options changed.",
    help="Train again with the recipe of a run and some options changed: a new run, from the beginning or, with "
    "--from-checkpoint, from where RUN is.",
    examples=["lepton clone last --lr 1e-5", "lepton clone last --epochs 5 --from-checkpoint"],
)
