"""``predict``: ask a trained model."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import click

from ..errors import Problem, RequestError
from .command import LeptonCommand, json_option, option
from .results import Answers
from .seat import seat_of
from .values import FileValue, RunValue

_ENDINGS = (".txt", ".csv", ".tsv", ".json", ".jsonl")


@click.pass_context
def _predict(
    context: click.Context, run: str, text: tuple[str, ...], file: str | None, column: str | None, as_json: bool
) -> Answers:
    from .. import lab
    from ..planning import pending_of

    seat = seat_of(context)
    inputs: list[Any] = [*text, *(_inputs_of(Path(file).expanduser(), column) if file else [])]
    if not inputs:
        do = 'For example: lepton predict last "A fine film." or lepton predict last --file texts.txt'
        raise RequestError(Problem("predict needs at least one text", "none", do))
    found = lab.model_run(lab.attach(run))
    for folder in (found.folder, *pending_of(found.folder)):
        if folder.final() is None:
            seat.watch(lab.Run(folder))
    return Answers(lab.predict(found, inputs), inputs, as_json=as_json)


def _inputs_of(path: Path, column: str | None) -> list[Any]:
    """The inputs in a file: a line each, or a row each."""
    ending = path.suffix.lower()
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RequestError(Problem("there is no such file", str(path), "Check --file.", where="file")) from None
    except UnicodeDecodeError:
        do = "Save it as UTF-8."
        raise RequestError(Problem(f"{path} is not text in UTF-8", "other bytes", do, "file")) from None
    except OSError as error:
        got = (error.strerror or str(error)).lower()
        do = "Name a file with a text a line, or CSV, TSV, JSON, JSONL."
        raise RequestError(Problem(f"{path} cannot be read", got, do, where="file")) from None
    if ending in (".csv", ".tsv"):
        return _column_of(
            list(csv.DictReader(io.StringIO(content), delimiter="\t" if ending == ".tsv" else ",")), column, path
        )
    lines = [line.rstrip("\r") for line in content.split("\n") if line.strip()]
    if ending not in (".json", ".jsonl"):
        return list(lines)
    try:
        values = json.loads(content) if ending == ".json" else [json.loads(line) for line in lines]
    except ValueError as error:
        raise RequestError(Problem(f"{path} is not JSON", str(error), "Mend it at that place.", where="file")) from None
    if not isinstance(values, list):
        do = "Write them between [ and ], or one a line in a .jsonl file."
        raise RequestError(Problem(f"{path} must hold a JSON array of inputs", type(values).__name__, do, where="file"))
    return _column_of(values, column, path) if column else values


def _column_of(rows: list[Any], column: str | None, path: Path) -> list[Any]:
    if not rows:
        raise RequestError(Problem(f"{path} has no rows", "a header at most", "Give a file with inputs.", where="file"))
    names = list(rows[0]) if rows and isinstance(rows[0], dict) else []
    chosen = column or ("text" if "text" in names else names[0] if len(names) == 1 else None)
    if chosen is None or chosen not in names:
        do = f"Set --column to one of: {', '.join(map(str, names))}." if names else "Check --file."
        raise RequestError(
            Problem(f"a column of {path.name} is needed", repr(column) if column else "none", do, where="column")
        )
    # One answer a row, so that answers can be laid beside the rows they are for.
    return ["" if row.get(chosen) is None else row[chosen] for row in rows]


predict = LeptonCommand(
    "predict",
    callback=_predict,
    params=[
        click.Argument(["run"], type=RunValue(kinds=("train", "sweep", "compile")), metavar="RUN"),
        click.Argument(["text"], nargs=-1, metavar="[TEXT]..."),
        option(
            "-f",
            "--file",
            "file",
            type=FileValue(endings=_ENDINGS),
            help="Inputs: a text a line, or CSV, TSV, JSON, JSONL.",
        ),
        option("--column", metavar="NAME", help="Column of the file. Default: text, or the only one."),
        json_option("Print a JSON array, one object an input."),
    ],
    short_help="Ask a trained model, through its fastest compiled form.",
    help="Ask a trained model, through its fastest compiled form. Waits for a training and its compilation; a sweep "
    "that has ended answers through its best trial.",
    examples=[
        'lepton predict last "The film never recovers from its first ten minutes."',
        "lepton predict last --file texts.txt --json",
    ],
)
