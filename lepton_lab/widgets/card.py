"""The static card: one run in one piece of HTML that lives as long as the notebook does.

No script, no outside resource, no state: what was known at one moment, and when that was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from ..record import RunView, Series
from ..record.live import summary
from .svg import curves_svg, histogram_svg
from .tables import Table, conclusions, metrics_table, report_tables, text_table, warnings_of
from .wording import clip, condition, duration, explanation, facts, moment, subject, title

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
_LINE = "1px solid rgba(128,128,128,0.35)"
_CARD = (
    f"font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.45;max-width:720px;"
    f"border:{_LINE};border-radius:6px;padding:12px 16px;margin:4px 0;color:inherit;background:transparent"
)
_SMALL = "font-size:12px;opacity:0.8"


def card_html(view: RunView) -> str:
    """The run as HTML of less than 60 kB; whatever people or models named is escaped."""
    head, last = [_heading(view), _progress(view), _explanation(view)], _footer(view)
    body = [*_tables(view), *_charts(view), _metrics(view), _preflight(view)]
    label_of_all = escape(f"Run {title(view)}: {condition(view)}", quote=True)
    start = f'<div class="lepton-card" data-run="{escape(view.run, quote=True)}" role="group" '
    start += f'aria-label="{label_of_all}" style="{_CARD}">'
    found = start + "".join(head)
    room = CARD_BYTES_AT_MOST - len((found + last).encode()) - 200
    for part in body:
        size = len(part.encode())
        if size > room:
            found += f'<div style="{_SMALL}">One section was too large to show.</div>'
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
        f'<div style="{_SMALL}">{escape(subject(view))}{parent}</div>'
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
        f'width:{percent:.1f}%;background:#3a8fd6"></div></div><div style="{_SMALL}">{escape(words)}</div>'
    )


def _explanation(view: RunView) -> str:
    lines = explanation(view)
    if not lines:
        return ""
    colour = "#d1495b" if view.status in ("failed", "lost") else "rgba(128,128,128,0.6)"
    rows = "".join(f"<div>{escape(line)}</div>" for line in lines)
    return f'<div style="border-left:3px solid {colour};padding-left:8px;margin:8px 0">{rows}</div>'


def _charts(view: RunView) -> Iterable[str]:
    losses: dict[str, Series] = {name: view.series[name] for name in ("loss", "eval_loss") if name in view.series}
    yield curves_svg(losses, "Loss by step")
    yield curves_svg(_scores(view), "Evaluation by step")
    searched: dict[str, Series] = {name: view.series[name] for name in ("value", "best_value") if name in view.series}
    yield curves_svg(searched, "Trials in the order of their ends") if view.kind == "sweep" else ""
    latency = summary(view)["latency"]
    # The model that was measured first is the one to compare with; the last is the case that was wanted most.
    for name in dict.fromkeys([*list(latency)[:1], *list(latency)[-1:]]):
        heading = f"Latency of {clip(name, 60)}"
        yield _section(heading, histogram_svg(latency[name], heading))


def _scores(view: RunView) -> dict[str, Series]:
    """Evaluation metrics that lie between 0 and 1: they share an axis."""
    wanted = {name: each for name, each in view.series.items() if name.startswith("eval_") and name != "eval_loss"}
    return {
        name: each
        for name, each in wanted.items()
        if len(each.values) > 1 and all(0 <= value <= 1 for value in each.values)
    }


def _tables(view: RunView) -> Iterable[str]:
    for table in report_tables(view):
        yield _section(table.heading, _table(table))
    for heading, text in conclusions(view):
        yield f'<div style="margin-top:6px"><b>{escape(heading)}:</b> {escape(text)}</div>'


def _metrics(view: RunView) -> str:
    metrics = metrics_table(view)
    return _section(metrics.heading, _table(metrics)) if metrics is not None else ""


def _preflight(view: RunView) -> str:
    warnings = "".join(f"<li>{escape(line)}</li>" for line in warnings_of(view))
    found = _section("Warnings", f'<ul style="margin:0;padding-left:20px">{warnings}</ul>') if warnings else ""
    preflight = view.reports.get("preflight")
    if isinstance(preflight, Mapping):
        inside = _facts(preflight)
        found += _section("Data", inside) if inside else ""
    return found


def _section(heading: str, inside: str) -> str:
    return f'<div style="margin-top:12px"><div style="font-weight:600">{escape(heading)}</div>{inside}</div>'


def _facts(content: Mapping[str, object]) -> str:
    rows = facts(content)
    if not rows:
        return ""
    cells = [[name, text] for name, text in rows]
    return _table(Table("", ["", ""], cells), has_head=False)


def _table(table: Table, has_head: bool = True) -> str:
    sides = ["right" if _is_numeric(table, place) else "left" for place in range(len(table.columns))]
    head = _row("th", table.columns, sides) if has_head else ""
    rows = "".join(_row("td", row, sides, place == table.picked) for place, row in enumerate(table.rows))
    more = f'<div style="{_SMALL}">and {table.left_out} more</div>' if table.left_out else ""
    return (
        f'<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:12px;margin:2px 0">'
        f"{f'<thead>{head}</thead>' if head else ''}<tbody>{rows}</tbody></table></div>{more}"
    )


def _is_numeric(table: Table, place: int) -> bool:
    cells = [row[place].lstrip("-+") for row in table.rows if row[place] != "–"]
    return bool(cells) and all(cell[:1].isdigit() for cell in cells)


def _row(tag: str, cells: Sequence[str], sides: Sequence[str], is_pick: bool = False) -> str:
    style = ' style="font-weight:600;background:rgba(31,158,119,0.15)"' if is_pick else ""
    inside = "".join(
        f'<{tag} style="text-align:{side};padding:2px 12px 2px 0;border-bottom:{_LINE};vertical-align:top">'
        f"{escape(cell)}</{tag}>"
        for cell, side in zip(cells, sides, strict=True)
    )
    return f"<tr{style}>{inside}</tr>"


def _footer(view: RunView) -> str:
    spent = "" if view.is_over or view.seconds is None else f" · {duration(view.seconds)} so far"
    return (
        f'<div style="{_SMALL};margin-top:10px">{escape(_attach_line(view))}'
        f" · as of {escape(moment(view.as_of or view.created))}{escape(spent)}</div>"
    )


def _attach_line(view: RunView) -> str:
    word = "Show it again" if view.is_over else "Follow it"
    return f"{word}: %lepton attach {view.run}"
