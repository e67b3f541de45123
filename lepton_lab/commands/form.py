"""``form``: a command as a form to fill in, where the place has one; elsewhere the commands that it would make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from ..errors import RequestError
from .choosing import UseGroup
from .codes import command_of, python_of, yaml_of
from .command import LeptonGroup, option
from .drafts import ClusterDraft, Draft, RecipeDraft
from .fields import WRONG_WORDS, RecipeCommand, given_values, set_values
from .plans import recipe_text
from .results import Shown
from .seat import seat_of
from .values import FileValue, RunValue

_NO_FORM = "A form opens in JupyterLab, Notebook 7 and VS Code. Here is none"


@dataclass(frozen=True, repr=False)
class FormAsked(Shown):
    """A form to open, filled in. Its text is for places that have none: the commands that do the same."""

    draft: Draft
    namespace: Mapping[str, Any] | None = None
    program: str = "lepton"
    reason: str = ""

    def text(self) -> str:
        """That there is no form, and the same as a command, in Python and in YAML."""
        codes = {
            "Command": command_of(self.draft, self.program),
            "Python": python_of(self.draft, self.namespace).replace("import lepton_lab\n\n", ""),
            "YAML": yaml_of(self.draft),
        }
        indented = [
            f"{title}\n" + "\n".join(f"  {line}" for line in code.splitlines()) for title, code in codes.items()
        ]
        wrong = [f"Still wrong: {problem}" for problem in self.draft.problems()]
        head = f"{_NO_FORM}{f': {self.reason}' if self.reason else ''}. The same without one:"
        return "\n\n".join([head, *indented, *wrong])

    def plain(self) -> dict[str, Any]:
        """What is filled in."""
        return {"kind": self.draft.kind, "values": self.draft.typed()}


def _callback(kind: str) -> Callable[..., FormAsked]:
    def ask(**parameters: Any) -> FormAsked:
        return _ask(kind, click.get_current_context(), parameters)

    return ask


def _ask(kind: str, context: click.Context, parameters: dict[str, Any]) -> FormAsked:
    from .. import lab

    seat = seat_of(context)
    if context.meta.get(WRONG_WORDS):
        raise RequestError(*context.meta[WRONG_WORDS])
    values = {**given_values(kind, parameters), **set_values(parameters["assignments"])}
    if parameters.get("parent"):
        values["parent"] = parameters["parent"]
    text = recipe_text(parameters["file"], seat.cell_body)
    if parameters["like"]:
        values = {**RecipeDraft.of_recipe(lab.attach(parameters["like"]).recipe).values, **values}
    return FormAsked(RecipeDraft.read(kind, values, text), seat.namespace, seat.program)


def _command(kind: str, purpose: str, example: str, builds_on: tuple[str, ...] = ()) -> RecipeCommand:
    params: list[click.Parameter] = [
        option(
            "-f",
            "--file",
            "file",
            type=FileValue(endings=(".yaml", ".yml")),
            section="This command",
            help="A recipe in YAML; options win.",
        ),
        option(
            "--set",
            "assignments",
            multiple=True,
            metavar="PATH=VALUE",
            section="This command",
            help="Any field of the recipe by its path; the value is YAML.",
        ),
        option(
            "--like",
            type=RunValue(kinds=(kind,)),
            metavar="RUN",
            section="This command",
            help="Fill in what this run was asked.",
        ),
    ]
    if builds_on:
        run = click.Argument(["parent"], type=RunValue(kinds=builds_on), required=False, metavar="[RUN]")
        params.insert(0, run)
    return RecipeCommand(
        kind,
        kind=kind,
        callback=_callback(kind),
        params=params,
        short_help=purpose,
        help=f"{purpose} Options fill it in: those of lepton {kind}.",
        examples=[example],
    )


def _ask_provider(provider: str, values: Mapping[str, Any], saved_name: str | None) -> FormAsked:
    seat = seat_of(click.get_current_context())
    own = {"provider": provider, **({"saved_name": saved_name} if saved_name else {})}
    return FormAsked(ClusterDraft(values={**own, **values}), seat.namespace, seat.program)


def _ask_saved(word: str) -> FormAsked:
    from ..dispatch.providers import understand
    from ..dispatch.providers.words import plain_options

    provider, options = understand(word)
    return _ask_provider(provider.name, plain_options(options), word)


@click.pass_context
def _ask_cluster(context: click.Context) -> FormAsked | None:
    return _ask_provider("local", {}, None) if context.invoked_subcommand is None else None


form = LeptonGroup(
    "form",
    help="Fill in a form under the cell instead of writing options: it checks while one types, shows the data, "
    "estimates time and memory, and gives itself back as a magic, Python or YAML. Where no form can open, this prints "
    "those.",
    short_help="Fill in a form instead of options, in a notebook.",
    examples=[
        "lepton form train",
        "lepton form train --task text-classification --model sample:minilm --dataset reviews",
        "lepton form compile last",
    ],
    commands={
        "train": _command("train", "A form to fine-tune a model.", "lepton form train --like last"),
        "sweep": _command("sweep", "A form to search for good settings.", "lepton form sweep --trials 12"),
        "compile": _command(
            "compile", "A form to make a trained model fast.", "lepton form compile last", ("train", "sweep")
        ),
        "benchmark": _command("benchmark", "A form to measure a model.", "lepton form benchmark last", ("train",)),
        "cluster": UseGroup(
            "cluster",
            callback=_ask_cluster,
            invoke_without_command=True,
            on_provider=_ask_provider,
            on_word=_ask_saved,
            help="A form to choose where runs go. The word after cluster is a provider, an address or a saved cluster.",
            short_help="A form to choose where runs go.",
            examples=["lepton form cluster", "lepton form cluster slurm --queue gpu"],
        ),
    },
)
