"""The static card: one run in one piece of HTML that lives as long as the notebook does.

No script, no outside resource, no state: what was known at one moment, and when that was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from ..record import RunView, Series
from ..record.live import summary
from .markup import CARD, SMALL, section_html, table_html
from .svg import curves_svg, histogram_svg
from .tables import Table, conclusions, metrics_table, report_tables, text_table, warnings_of
from .wording import clip, condition, duration, explanation, facts, label, moment, subject, title

CARD_BYTES_AT_MOST = 60_000

_DOTS = {
    "succeeded": "#1f9e77",
    "failed": "#d1495b",
    "lost": "#d1495b",
    "cancelled": "#8a8f98",
    "cancelling": "#d5751a",
    "running": "#3a8fd6",
    "queued": "#8a8f98",
}


def card_html(view: RunView) -> str:
    """The run as HTML of less than 60 kB; whatever people or models named is escaped."""
    head, last = [_heading(view), _progress(view), _explanation(view)], _footer(view)
    body = [*_tables(view), *_charts(view), _metrics(view), _preflight(view)]
    label_of_all = escape(f"Run {title(view)}: {condition(view)}", quote=True)
    start = f'<div class="lepton-card" data-run="{escape(view.run, quote=True)}" role="group" '
    start += f'aria-label="{label_of_all}" style="{CARD}">'
    found = start + "".join(head)
    room = CARD_BYTES_AT_MOST - len((found + last).encode()) - 200
    for part in body:
        size = len(part.encode())
        if size > room:
            found += f'<div style="{SMALL}">One section was too large to show.</div>'
            break
        room -= size
        found += part
    return found + last + "</div>"


def card_text(view: RunView) -> str:
    """The run as plain text."""
    lines = [f"Run {view.run}" + (f" ({title(view)})" if view.name else "") + f": {condition(view)}", subject(view)]
    lines += [f"  {line}" for line in explanation(view)]
    for table in (metrics_table(view), *report_tables(view)):
        if table is not None:
            lines += ["", table.heading, *text_table(table)]
    lines += [f"{heading}: {text}" for heading, text in conclusions(view)]
    warnings = warnings_of(view)
    if warnings:
        lines += ["", "Warnings", *(f"  {line}" for line in warnings)]
    lines += ["", _attach_line(view)]
    return "\n".join(lines)


def _heading(view: RunView) -> str:
    dot = f'<span aria-hidden="true" style="color:{_DOTS.get(view.status, "currentColor")}">●</span>'
    identity = f" <code>{escape(view.run)}</code>" if view.name else ""
    parent = f" · of <code>{escape(clip(view.parent, 40))}</code>" if view.parent else ""
    return (
        f'<div style="font-size:15px"><b>{escape(title(view))}</b>{identity} {dot} {escape(condition(view))}</div>'
        f'<div style="{SMALL}">{escape(subject(view))}{parent}</div>'
    )


def _progress(view: RunView) -> str:
    if view.is_over or view.progress is None:
        return ""
    percent = 100 * view.progress
    left = f", about {duration(view.seconds_left)} left" if view.seconds_left is not None else ""
    epoch = f", epoch {view.epoch:.2f} of {view.epochs:g}" if view.epoch is not None and view.epochs else ""
    words = f"{percent:.0f} %{epoch}{left}"
    return (
        f'<div role="img" aria-label="{escape(words, quote=True)}" style="height:6px;border-radius:3px;'
        f'margin:8px 0 2px;background:rgba(128,128,128,0.25)"><div style="height:6px;border-radius:3px;'
        f'width:{percent:.1f}%;background:#3a8fd6"></div></div><div style="{SMALL}">{escape(words)}</div>'
    )


def _explanation(view: RunView) -> str:
    lines = explanation(view)
    if not lines:
        return ""
    colour = "#d1495b" if view.status in ("failed", "lost") else "rgba(128,128,128,0.6)"
    rows = "".join(f"<div>{escape(line)}</div>" for line in lines)
    return f'<div style="border-left:3px solid {colour};padding-left:8px;margin:8px 0">{rows}</div>'


def _charts(view: RunView) -> Iterable[str]:
    yield curves_svg(_series(view, "loss", "eval_loss"), "Loss by step")
    yield curves_svg(_scores(view), "Evaluation by step")
    if view.kind == "sweep":
        yield curves_svg(_series(view, "value", "best_value"), "Trials in the order of their ends")
    latency = summary(view)["latency"]
    # The model that was measured first is the one to compare with; the last is the case that was wanted most.
    for name in dict.fromkeys([*list(latency)[:1], *list(latency)[-1:]]):
        heading = f"Latency of {clip(name, 60)}"
        yield section_html(heading, histogram_svg(latency[name], heading))


def _series(view: RunView, *names: str) -> dict[str, Series]:
    """These curves, by what they are called."""
    return {label(name): view.series[name] for name in names if name in view.series}


def _scores(view: RunView) -> dict[str, Series]:
    """Evaluation metrics that lie between 0 and 1: they share an axis."""
    wanted = [name for name in view.series if name.startswith("eval_") and name != "eval_loss"]
    found = _series(view, *wanted)
    return {
        name: each
        for name, each in found.items()
        if len(each.values) > 1 and all(0 <= value <= 1 for value in each.values)
    }


def _tables(view: RunView) -> Iterable[str]:
    for table in report_tables(view):
        yield section_html(table.heading, table_html(table))
    for heading, text in conclusions(view):
        yield f'<div style="margin-top:6px"><b>{escape(heading)}:</b> {escape(text)}</div>'


def _metrics(view: RunView) -> str:
    metrics = metrics_table(view)
    return section_html(metrics.heading, table_html(metrics)) if metrics is not None else ""


def _preflight(view: RunView) -> str:
    warnings = "".join(f"<li>{escape(line)}</li>" for line in warnings_of(view))
    found = section_html("Warnings", f'<ul style="margin:0;padding-left:20px">{warnings}</ul>') if warnings else ""
    preflight = view.reports.get("preflight")
    if isinstance(preflight, Mapping):
        inside = _facts(preflight)
        found += section_html("Data", inside) if inside else ""
    return found


def _facts(content: Mapping[str, object]) -> str:
    rows = facts(content)
    if not rows:
        return ""
    cells = [[name, text] for name, text in rows]
    return table_html(Table("", ["", ""], cells), has_head=False)


def _footer(view: RunView) -> str:
    spent = "" if view.is_over or view.seconds is None else f" · {duration(view.seconds)} so far"
    return (
        f'<div style="{SMALL};margin-top:10px">{escape(_attach_line(view))}'
        f" · as of {escape(moment(view.as_of or view.created))}{escape(spent)}</div>"
    )


def _attach_line(view: RunView) -> str:
    word = "Show it again" if view.is_over else "Follow it"
    return f"{word}: %lepton attach {view.run}"
