"""The HTML that cards and comparisons share: no script, no style sheet, no colours that fail on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .tables import Table

LINE = "1px solid rgba(128,128,128,0.35)"
CARD = (
    f"font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.45;max-width:720px;"
    f"border:{LINE};border-radius:6px;padding:12px 16px;margin:4px 0;color:inherit;background:transparent"
)
SMALL = "font-size:12px;opacity:0.8"


def section_html(heading: str, inside: str) -> str:
    """A part with its heading."""
    return f'<div style="margin-top:12px"><div style="font-weight:600">{escape(heading)}</div>{inside}</div>'


def table_html(table: Table, has_head: bool = True) -> str:
    """A table as HTML; the picked row stands out, and columns of numbers are to the right."""
    sides = ["right" if _is_numeric(table, place) else "left" for place in range(len(table.columns))]
    head = _row("th", table.columns, sides) if has_head else ""
    rows = "".join(_row("td", row, sides, place == table.picked) for place, row in enumerate(table.rows))
    more = f'<div style="{SMALL}">and {table.left_out} more</div>' if table.left_out else ""
    return (
        f'<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:12px;margin:2px 0">'
        f"{f'<thead>{head}</thead>' if head else ''}<tbody>{rows}</tbody></table></div>{more}"
    )


def _is_numeric(table: Table, place: int) -> bool:
    cells = [row[place].lstrip("-+* ") for row in table.rows if row[place] != "–"]
    return bool(cells) and all(cell[:1].isdigit() for cell in cells)


def _row(tag: str, cells: Sequence[str], sides: Sequence[str], is_pick: bool = False) -> str:
    style = ' style="font-weight:600;background:rgba(31,158,119,0.15)"' if is_pick else ""
    common = f"padding:2px 12px 2px 0;border-bottom:{LINE};vertical-align:top"
    wraps = "nowrap" if tag == "td" else "normal"  # a number, and its star, stay on one line
    inside = "".join(
        f'<{tag} style="text-align:{side};white-space:{wraps if side == "right" else "normal"};{common}">'
        f"{escape(cell)}</{tag}>"
        for cell, side in zip(cells, sides, strict=True)
    )
    return f"<tr{style}>{inside}</tr>"
