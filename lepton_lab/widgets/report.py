"""One self-contained HTML file about runs and what followed them.

The cards and the comparison need no script; below them the same curves as Plotly figures,
with one copy of plotly.js in the file.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ..comparison import Comparison
from ..errors import OutputError, Problem
from ..record import RunView
from .card import card_html
from .comparing import comparison_figures, comparison_html
from .figures import figures
from .wording import label, moment, subject, title

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_BUNDLE = Path(__file__).parent / "static" / "plotly.js"

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.figure { height: 380px; margin: 1rem 0; background: #fff; color: #222; border-radius: 6px; }
.about { opacity: .75; }
"""

# The bundle is base64 because nothing in it may look like the end of a script element.
_DRAW = """
const bytes = Uint8Array.from(atob(document.getElementById('plotly').textContent), c => c.charCodeAt(0));
const url = URL.createObjectURL(new Blob([bytes], { type: 'text/javascript' }));
const { default: Plotly } = await import(url);
for (const element of document.querySelectorAll('.figure')) {
  const { data, layout } = JSON.parse(document.getElementById(element.dataset.figure).textContent);
  await Plotly.newPlot(element, data, layout, { responsive: true, displaylogo: false });
}
document.body.dataset.drawn = 'yes';
"""


_HEAD = '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="generator" content="Lepton Lab">'
"""How each report begins: one of ours may be replaced, any other file is left alone."""


def report_html(stories: Sequence[Sequence[RunView]], comparison: Comparison | None = None) -> str:
    """The report of runs, each with those that followed it; about 2 MB, most of it plotly.js.

    What a run of ``comparison`` has to show stands in the figures that it shares with the others.
    """
    views = [view for story in stories for view in story]
    shared = {view.run for view in comparison.views} if comparison is not None else set()
    heading = title(views[0]) if len(stories) == 1 else f"{len(stories)} runs"
    about = f"{escape(subject(views[0]))} · run <code>{escape(views[0].run)}</code> · " if len(stories) == 1 else ""
    sections = [_section(view, [] if view.run in shared else figures([view]).items()) for view in views]
    if comparison is not None:
        compared = comparison_html(comparison), _drawn("comparison", comparison_figures(comparison).items())
        # Of one sweep, what it came to is said before how its trials differ.
        sections.insert(len(sections) if len(stories) == 1 else 0, f"<h2>Comparison</h2>{''.join(compared)}")
    body = "".join(sections)
    script = ""
    if 'class="figure"' in body:
        script = f'<script type="text/plain" id="plotly">{base64.b64encode(_plotly()).decode()}</script>'
        script += f'<script type="module">{_DRAW}</script>'
    written = escape(moment(max(each.as_of for each in views)))
    return (
        f"{_HEAD}<title>{escape(heading)} – Lepton Lab</title>"
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f'<body><h1>{escape(heading)}</h1><p class="about">{about}written {written}</p>{body}{script}</body></html>'
    )


def write_report(path: Path, html: str) -> Path:
    """Write the report, whole or not at all; only another report is replaced. Raises OutputError."""
    do = "Set --output to another file."
    try:
        if path.exists() and not path.read_bytes().startswith(_HEAD.encode()):
            raise OutputError(Problem("the file is there and is no report of ours", str(path), do))
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            fresh.write_text(html, encoding="utf-8")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(Problem(f"the report cannot be written: {error.strerror}", str(path), do)) from None
    return path


def _section(view: RunView, drawn: Iterable[tuple[str, Figure]]) -> str:
    return f"<h2>{escape(view.kind.capitalize())}</h2>{card_html(view)}{_drawn(view.run, drawn)}"


def _drawn(owner: str, drawn: Iterable[tuple[str, Figure]]) -> str:
    """A place for each figure, and behind it what to draw there."""
    parts = []
    for name, made in drawn:
        identity = escape(f"{owner}-{name}", quote=True)
        words = escape(f"{label(name)}, interactive", quote=True)
        data = made.to_json().replace("<", "\\u003c")
        parts.append(f'<div class="figure" role="img" aria-label="{words}" data-figure="{identity}"></div>')
        parts.append(f'<script type="application/json" id="{identity}">{data}</script>')
    return "".join(parts)


def _plotly() -> bytes:
    """plotly.js as an ES module: our partial bundle, or the whole of it where ours was not built."""
    if _BUNDLE.is_file():
        return _BUNDLE.read_bytes()
    from plotly.offline import get_plotlyjs

    return f"{get_plotlyjs()}\nexport default globalThis.Plotly;".encode()
