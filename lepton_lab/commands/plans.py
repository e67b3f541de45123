"""``train``, ``sweep``, ``compile``, ``benchmark``: from words to a recipe to a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..errors import Problem, RequestError
from .command import json_option, option
from .fields import WRONG_WORDS, RecipeCommand, given_values, set_values
from .results import Started, Text
from .seat import seat_of
from .values import FileValue, OneOf, RunValue


def _own_options() -> list[click.Parameter]:
    section = "This command"
    wait = "Wait for the end, or return at once. Default: wait in a shell and where nobody watches."
    interrupt = "What Ctrl-C (or interrupting the kernel) does. Default: cancel in a shell, detach in a notebook."
    return [
        option(
            "-f",
            "--file",
            "file",
            type=FileValue(endings=(".yaml", ".yml")),
            section=section,
            help="A recipe in YAML; options win.",
        ),
        option(
            "--set",
            "assignments",
            multiple=True,
            metavar="PATH=VALUE",
            section=section,
            help="Any field of the recipe by its path; the value is YAML.",
        ),
        option(
            "--show-recipe", is_flag=True, section=section, help="Print the resolved recipe as YAML; start nothing."
        ),
        option("--wait/--no-wait", "wait", default=None, section=section, help=wait),
        option(
            "--on-interrupt", type=OneOf("detach", "cancel"), metavar="detach|cancel", section=section, help=interrupt
        ),
        json_option("Print one line of JSON at the end; progress goes to stderr."),
    ]


def _run_argument() -> click.Argument:
    return click.Argument(["parent"], type=RunValue(kinds=("train", "sweep")), required=False, metavar="[RUN]")


def _callback(kind: str) -> Callable[..., Started | Text]:
    def start(**parameters: Any) -> Started | Text:
        return _start(kind, click.get_current_context(), parameters)

    return start


def _start(kind: str, context: click.Context, parameters: dict[str, Any]) -> Started | Text:
    from .. import lab
    from ..planning import read_recipe
    from ..recipe import TRAINING_KINDS

    seat = seat_of(context)
    wrong: list[Problem] = context.meta.get(WRONG_WORDS, [])
    values = {**given_values(kind, parameters), **set_values(parameters["assignments"])}
    yaml_text = recipe_text(parameters["file"], seat.cell_body)
    if kind not in TRAINING_KINDS:
        parent = parameters["parent"]
        if parent is None and (yaml_text is None or "parent" not in yaml_text):
            parent = "last"
        if parent is not None:
            values["parent"] = parent
    if wrong:
        try:
            lab.plan(kind, values, seat.namespace, yaml_text)
        except RequestError as error:
            wrong = [*wrong, *error.problems]
        raise RequestError(*wrong)
    if parameters["show_recipe"]:
        return Text(lab.plan(kind, values, seat.namespace, yaml_text).to_yaml())
    run = lab.submit(read_recipe(kind, values, seat.namespace, yaml_text), seat.namespace)
    return Started(run, parameters["wait"], parameters["as_json"], parameters["on_interrupt"])


def recipe_text(file: str | None, cell_body: str | None) -> str | None:
    """The YAML of ``--file`` or of the cell; None where there is none. Raises :class:`RequestError`."""
    if file is None:
        return cell_body
    if cell_body is not None:
        raise RequestError(Problem("a recipe comes from one place", "--file and a cell body", "Leave one of them out."))
    path = Path(file).expanduser()
    if not file.strip() or not path.exists():
        raise RequestError(Problem("there is no such recipe file", repr(file), "Check --file.", where="file"))
    if path.is_dir():
        raise RequestError(Problem("a recipe is a file", f"the folder {path}", "Check --file.", where="file"))
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        got = error.strerror or str(error)
        do = "Check its permissions."
        raise RequestError(Problem(f"the recipe file {path} cannot be read", got, do, where="file")) from None
    except UnicodeDecodeError:
        do = "Save it as UTF-8."
        raise RequestError(Problem(f"the recipe file {path} is not text in UTF-8", "other bytes", do, "file")) from None


train = RecipeCommand(
    "train",
    kind="train",
    callback=_callback("train"),
    params=_own_options(),
    short_help="Fine-tune a model on your data.",
    help="Fine-tune a model on your data. The run goes on without you; its curves and checkpoints are kept.",
    examples=[
        "lepton train --task text-classification --model sample:minilm --dataset reviews.csv",
        "lepton train --task token-classification --model sample:minilm --dataset sample:addresses \\",
        "    --epochs 10 --batch-size 16 --lr 2e-5 --output-dir model",
        "lepton train --task text-generation --model sample:smollm2 --dataset sample:faq --peft lora",
        "lepton train -f recipe.yaml --lr 1e-4",
    ],
)

sweep = RecipeCommand(
    "sweep",
    kind="sweep",
    callback=_callback("sweep"),
    params=_own_options(),
    short_help="Search for good settings: many trainings, the best one kept in view.",
    help="Search for good settings. Each trial is a training run of its own; the sweep chooses its values, watches "
    "its validation results, stops what leads nowhere (--pruner), and goes on where it was after a crash. "
    "Every option of lepton train works; --search says what varies.",
    examples=[
        "lepton sweep --task text-classification --model sample:minilm --dataset reviews.csv \\",
        "    --search lr=1e-5..1e-3:log --search epochs=1..3 --trials 12 --pruner median",
        "lepton sweep -f recipe.yaml --search lora_r=4,8,16 --search lr=1e-4,3e-4 --sampler grid",
    ],
)

compile = RecipeCommand(
    "compile",
    kind="compile",
    callback=_callback("compile"),
    params=[_run_argument(), *_own_options()],
    short_help="Make a trained model fast, and prove that it answers the same.",
    help="Make a trained model fast, and prove that it answers the same. RUN is a training run or a sweep, "
    "which stands for its best trial (default: last); if a training is not over yet, this queues behind it.",
    examples=["lepton compile last", "lepton compile last --backend openvino --precision bf16 --tolerance 0.3"],
)

benchmark = RecipeCommand(
    "benchmark",
    kind="benchmark",
    callback=_callback("benchmark"),
    params=[_run_argument(), *_own_options()],
    short_help="Measure latency, throughput and memory of a model.",
    help="Measure latency (p50, p95, p99), throughput and memory of a model, beside the uncompiled one. "
    "RUN is a training run (default: last); its newest compilation is measured.",
    examples=["lepton benchmark last", "lepton benchmark last --batch-sizes 1,8,32 --lengths 64"],
)
