"""``runs``, ``show``, ``events``, ``attach``, ``cancel``: what there is and how it stands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from .command import LeptonCommand, json_option, option
from .findings import findings_text
from .following import follow
from .results import (
    Column,
    EventFeed,
    Facts,
    Rows,
    Started,
    bytes_text,
    number_text,
    pairs_text,
    seconds_text,
    shorten,
    table_text,
)
from .trials import trials_text
from .values import OneOf, RunValue

_HEADLINES = (
    "test_accuracy",
    "test_f1",
    "test_r2",
    "test_loss",
    "speedup",
    "p50_ms",
    "eval_accuracy",
    "eval_f1",
    "eval_loss",
)


_SHOWN_KEYS = (
    *("run", "status", "kind", "task", "model", "created", "name", "tags", "notes", "parent"),
    *("stage", "reason", "message", "problems", "started", "ended", "seconds"),
    *("step", "max_steps", "epoch", "epochs", "progress", "metrics", "reports"),
)


def _run_argument(**attributes: Any) -> click.Argument:
    return click.Argument(["run"], type=RunValue(**attributes), required=False, default="last", metavar="[RUN]")


def _runs(limit: int, every: bool, as_json: bool) -> Rows:
    from .. import lab

    rows = lab.runs(None if every or as_json else limit)
    columns = (
        Column("run", "run"),
        Column("status", "status"),
        Column("kind", "kind"),
        Column("name", "name"),
        Column("task", "task"),
        Column("model", "model", lambda value: shorten(str(value), 40)),
        Column("created", "created", when),
        Column("metrics", "result", headline),
    )
    used = [each for each in columns if each.key != "name" or any(row.get("name") for row in rows)]
    below = f"The newest {limit}. All of them: lepton runs --all" if not every and len(rows) == limit else ""
    empty = "No runs yet. Start one with: lepton train --task … --model … --dataset …"
    return Rows(rows, used, empty=empty, below=below, as_json=as_json)


def _show(run: str, as_json: bool) -> Facts:
    from .. import lab

    found = lab.attach(run)
    view = found.view()
    folder = found.folder
    model = view.artifacts.get("compiled") or view.artifacts.get("model")
    artifacts = [
        {
            "name": name,
            **{key: body.get(key) for key in ("type", "digest", "bytes")},
            "path": str(folder.path / body["path"]),
        }
        for name, body in view.artifacts.items()
    ]
    attempts = []
    for attempt in folder.attempts():
        lease = attempt.lease()
        outcome = attempt.outcome() or {}
        attempts.append(
            {
                "attempt": attempt.number,
                "host": lease.get("host"),
                "pid": lease.get("pid"),
                "started": lease.get("time"),
                "heartbeat": attempt.heartbeat_time(),
                "status": outcome.get("status"),
                "message": outcome.get("message", ""),
                "log": str(attempt.path / "worker.log"),
            }
        )
    from ..record import aliases_of

    recipe = found.recipe
    values = {key: getattr(view, key) for key in _SHOWN_KEYS}
    values |= {
        "model_dir": str(folder.path / model["path"]) if model else None,
        "folder": str(folder.path),
        "recipe": recipe.to_dict(),
        "artifacts": artifacts,
        "attempts": attempts,
        "children": [child.id for child in found.children()],
        "aliases": aliases_of(found.id),
    }
    return Facts(values, _show_text(values, recipe.to_yaml()), as_json=as_json)


def _show_text(values: dict[str, Any], recipe_yaml: str) -> str:
    step = f"{values['step']} of {values['max_steps']}" if values["max_steps"] else values["step"]
    title = f"{values['kind']} run {values['run']}: {values['status']}"
    parts = [f"{title} ({values['reason']})" if values["reason"] else title]
    if values["message"]:
        parts.append(values["message"])
    parts += [f"  {each['what']}, got {each['got']}. {each['do']}" for each in values["problems"]]
    facts = {key: values[key] for key in ("name", "task", "model", "parent", "notes")}
    facts |= {
        "aliases": ", ".join(values["aliases"]),
        "tags": ", ".join(values["tags"]),
        "created": when(values["created"]),
        "step": step,
    }
    facts |= {"time": seconds_text(values["seconds"]), "folder": values["folder"], "model folder": values["model_dir"]}
    facts |= {"attempts": len(values["attempts"]), "children": ", ".join(values["children"])}
    parts.append(pairs_text(facts.items()))
    numbers = {name: number_text(value) for name, value in values["metrics"].items() if isinstance(value, (int, float))}
    if numbers:
        parts.append("Metrics\n" + _indented(pairs_text(numbers.items())))
    found = findings_text(values["reports"])
    if found:
        parts.append("Findings\n" + _indented(found))
    if "sweep" in values["reports"]:
        parts.append("Trials\n" + _indented(trials_text(values["reports"]["sweep"])))
    if values["artifacts"]:
        rows = [[each["name"], bytes_text(each["bytes"] or 0), each["path"]] for each in values["artifacts"]]
        parts.append("Artifacts\n" + _indented(table_text(["name", "size", "path"], rows)))
    parts.append("Recipe\n" + _indented(recipe_yaml.rstrip()))
    return "\n\n".join(parts)


def _events(run: str, raw: bool, following: bool, as_json: bool) -> EventFeed:
    from .. import lab

    found = lab.attach(run)
    events = follow(found, raw) if following else iter(found.events(raw))

    def objects() -> Iterator[dict[str, Any]]:
        for event in events:
            yield event.to_dict()

    return EventFeed(objects(), as_json)


def _attach(run: str, wait: bool | None, on_interrupt: Any, as_json: bool) -> Started:
    from .. import lab

    return Started(lab.attach(run), wait, as_json, on_interrupt, is_new=False)


def _cancel(run: str, as_json: bool) -> Facts:
    from .. import lab

    found = lab.attach(run)
    was_over = found.view().is_over
    status = found.cancel().status
    text = f"Run {found.id} had already ended: {status}." if was_over else f"Run {found.id}: {status}."
    if status == "cancelling":
        text += " It saves at its next step and stops."
    return Facts({"run": found.id, "status": status}, text, as_json=as_json)


def when(seconds: float) -> str:
    """A moment in local time, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def headline(metrics: dict[str, Any]) -> str:
    """The one number of a run that people look for first: the task's main score comes first of its scores."""
    names = [name for name, value in metrics.items() if name in _HEADLINES and isinstance(value, (int, float))]
    names.sort(key=lambda name: name.endswith("_loss"))
    names += [
        name for name, value in metrics.items() if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return f"{names[0]} {number_text(metrics[names[0]])}" if names else ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


runs = LeptonCommand(
    "runs",
    callback=_runs,
    params=[
        option(
            "-n",
            "--limit",
            type=click.IntRange(min=1),
            metavar="N",
            default=20,
            help="Show at most this many.",
            show_default=True,
        ),
        option("--all", "every", is_flag=True, help="Show every run."),
        json_option("Print a JSON array of every run, newest first."),
    ],
    short_help="List runs, newest first.",
    help="List runs, newest first.",
)

show = LeptonCommand(
    "show",
    callback=_show,
    params=[_run_argument(), json_option("Print one JSON object.")],
    short_help="Show one run: state, metrics, recipe, artifacts, attempts.",
    help="Show one run: state, metrics, recipe, artifacts, attempts. RUN is last (the default), an id, an alias, "
    "a name, or the beginning of an id; the first of these that fits is meant.",
)

events = LeptonCommand(
    "events",
    callback=_events,
    params=[
        _run_argument(),
        option("--raw", is_flag=True, help="Every event of every attempt, not each step once."),
        option("--follow", "following", is_flag=True, help="Go on until the run is over."),
        json_option("Print one JSON object a line."),
    ],
    short_help="Print what happened in a run, in order.",
    help="Print what happened in a run, in order; each step once.",
    examples=["lepton events last --json --follow"],
)

attach = LeptonCommand(
    "attach",
    callback=_attach,
    params=[
        _run_argument(),
        option("--wait/--no-wait", "wait", default=None, help="Wait for the end, or only show how it stands."),
        option(
            "--on-interrupt",
            type=OneOf("detach", "cancel"),
            metavar="detach|cancel",
            help="What Ctrl-C does to the run. Default: detach.",
        ),
        json_option("Print one line of JSON at the end; progress goes to stderr."),
    ],
    short_help="Watch a run that anybody started, with its full history.",
    help="Watch a run that anybody started, with its full history. Ctrl-C stops watching; the run goes on.",
)

cancel = LeptonCommand(
    "cancel",
    callback=_cancel,
    params=[
        click.Argument(["run"], type=RunValue(only_living=True), metavar="RUN"),
        json_option("Print one JSON object."),
    ],
    short_help="Ask a run to save and stop.",
    help="Ask a run to save at its next step and stop.",
)
