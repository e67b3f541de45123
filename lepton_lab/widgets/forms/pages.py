"""What a form shows beside its fields, as HTML. Pure: a look in, text out; what people named is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ...commands.preflight import preflight_text
from ...commands.results import bytes_text, seconds_text, shorten
from ...errors import Problem
from .looking import Look

_CELL_LETTERS = 90
_COLUMNS_AT_MOST = 12

STYLE = """<style>
.lepton-form { color: var(--jp-ui-font-color1, inherit); font-size: 13px; max-width: 1000px }
.lepton-form .widget-label { color: var(--jp-ui-font-color1, inherit); text-align: left }
.lepton-form input[type='text'], .lepton-form textarea, .lepton-form select { border-radius: 3px }
.lepton-form-title { font-size: 15px; font-weight: 600 }
.lepton-form-quiet { opacity: .8; font-size: 12px }
.lepton-form-wrong { color: var(--jp-error-color1, #c62828); font-size: 12px; line-height: 1.35; margin: 0 0 4px 194px }
.lepton-form-wrongs { border-left: 3px solid var(--jp-error-color1, #c62828); padding: 2px 10px; margin: 4px 0 }
.lepton-form-warning { border-left: 3px solid var(--jp-warn-color1, #ef6c00); padding: 2px 10px; margin: 4px 0 }
.lepton-form-scroll { overflow-x: auto; margin: 4px 0 }
.lepton-form table { border-collapse: collapse; font-size: 12px }
.lepton-form th, .lepton-form td { text-align: left; vertical-align: top; padding: 3px 14px 3px 0;
  border-bottom: 1px solid var(--jp-border-color2, rgba(128,128,128,.35)); max-width: 420px }
.lepton-form th span { font-weight: 400; opacity: .8 }
.lepton-form pre { font-family: var(--jp-code-font-family, monospace); font-size: 12px; line-height: 1.45;
  white-space: pre-wrap; margin: 4px 0 }
.lepton-form details { margin: 4px 0 } .lepton-form summary { cursor: pointer }
.lepton-form .jupyter-widget-tab > .lm-TabBar .lm-TabBar-tab, .lepton-form .widget-tab > .p-TabBar .p-TabBar-tab {
  flex: 0 1 auto; min-width: 70px; padding: 2px 14px }
</style>"""


def preview_html(look: Look) -> str:
    """The first rows with what each column is used for, then the preflight."""
    peek = look.peek
    if peek is None or not peek.columns:
        return ""
    columns = sorted(peek.columns, key=lambda column: column not in look.uses)[:_COLUMNS_AT_MOST]
    head = "".join(f"<th>{escape(column)}{_use(look.uses.get(column))}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(row.get(column)))}</td>" for column in columns) + "</tr>"
        for row in peek.rows
    )
    count = f"{peek.row_count:,} rows" if peek.row_count is not None else "rows"
    left = len(peek.columns) - len(columns)
    more = f", {left} more columns" if left > 0 else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    words = f"The first of {count}{more}" if not look.is_part else f"The first rows{more}; read so far: {count}"
    quiet = f'<div class="lepton-form-quiet">{words}</div>'
    return f'{quiet}<div class="lepton-form-scroll">{table}</div>{_preflight(look)}'


def estimate_html(look: Look) -> str:
    """Memory and time, and what they are made of."""
    found = look.estimate
    if found is None:
        return f'<span class="lepton-form-quiet">No estimate: {escape(look.basis)}.</span>' if look.basis else ""
    spans = found.seconds
    if spans is None:
        span = "time unknown"
    else:
        low, high = (round_seconds(each) for each in spans)
        span = low if low == high else f"{low} to {high}"
    said_of_time = "" if spans is None else "beside the start of a process, from "
    parts = " + ".join(f"{escape(name)} {round_bytes(size)}" for name, size in found.memory.items() if size)
    return (
        f"<details><summary><b>About {round_bytes(found.memory_bytes)} of memory, {span}</b> "
        f'<span class="lepton-form-quiet">a coarse estimate</span></summary>'
        f'<div class="lepton-form-quiet">Memory: {parts}.<br>Time: {said_of_time}{escape(look.basis)}.</div></details>'
    )


def problems_html(problems: Iterable[Problem], head: str = "") -> str:
    """Problems that no field has, as a list."""
    lines = "".join(f"<div>{escape(str(each))}</div>" for each in problems)
    return f'<div class="lepton-form-wrongs">{escape(head)}{lines}</div>' if lines or head else ""


def wrong_html(problems: Iterable[Problem]) -> str:
    """What is wrong with one field."""
    lines = "".join(f"<div>{escape(str(each))}</div>" for each in problems)
    return f'<div class="lepton-form-wrong" role="alert">{lines}</div>'


def text_html(text: str, title: str = "") -> str:
    """A text as it is, under a title."""
    head = f'<div class="lepton-form-quiet">{escape(title)}</div>' if title else ""
    return f"{head}<pre>{escape(text)}</pre>"


def quiet_html(text: str) -> str:
    """A remark."""
    return f'<div class="lepton-form-quiet">{escape(text)}</div>' if text else ""


def round_bytes(count: float) -> str:
    """A size no finer than an estimate is: two digits."""
    digits = max(0, len(str(int(count))) - 2)
    text = bytes_text(round(count, -digits))
    return text.replace(".0 ", " ")


def round_seconds(seconds: float) -> str:
    """A time span no finer than an estimate is."""
    if seconds < 50:
        return f"{max(5, round(seconds / 5) * 5)} s"
    if seconds < 3000:
        return f"{max(1, round(seconds / 60))} min"
    return seconds_text(round(seconds / 600) * 600)


def _preflight(look: Look) -> str:
    if not look.report:
        return ""
    report: dict[str, Any] = {**look.report, "warnings": []}
    about = preflight_text(report).partition("\n")[2]
    warnings = "".join(
        f'<div class="lepton-form-warning">{escape(_said(each))}</div>' for each in look.report.get("warnings") or ()
    )
    part = " of the first rows" if look.is_part else ""
    return f'{warnings}<div class="lepton-form-quiet">Preflight{part}</div><pre>{escape(about)}</pre>'


def _said(warning: Any) -> str:
    if not isinstance(warning, Mapping):
        return str(warning)
    return str(Problem(**{key: str(warning.get(key, "")) for key in ("what", "got", "do")}))


def _use(name: str | None) -> str:
    return f"<br><span>→ {escape(name)}</span>" if name else ""


def _cell(value: Any) -> str:
    return "" if value is None else shorten(str(value), _CELL_LETTERS)
