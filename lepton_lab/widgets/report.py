"""One self-contained HTML file about a run and what followed it.

The cards stand first and need no script; below them the same curves as Plotly figures,
with one copy of plotly.js in the file.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

from ..record import RunView
from .card import card_html
from .figures import figures
from .wording import label, moment, subject, title

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


def report_html(view: RunView, children: Iterable[RunView] = ()) -> str:
    """The report of ``view`` and of the runs that followed it; about 2 MB, most of it plotly.js."""
    views = [view, *children]
    parts = [
        f"<h1>{escape(title(view))}</h1>",
        f'<p class="about">{escape(subject(view))} · run <code>{escape(view.run)}</code> · '
        f"written {escape(moment(max(each.as_of for each in views)))}</p>",
    ]
    for each in views:
        parts += [f"<h2>{escape(each.kind.capitalize())}</h2>", card_html(each)]
    drawn = [(f"{each.run}-{name}", name, made.to_json()) for each in views for name, made in figures(each).items()]
    for identity, name, json_text in drawn:
        words = escape(f"{label(name)}, interactive", quote=True)
        parts.append(
            f'<div class="figure" role="img" aria-label="{words}" data-figure="{escape(identity, quote=True)}"></div>'
        )
        data = json_text.replace("<", "\\u003c")
        parts.append(f'<script type="application/json" id="{escape(identity, quote=True)}">{data}</script>')
    if drawn:
        parts.append(f'<script type="text/plain" id="plotly">{base64.b64encode(_plotly()).decode()}</script>')
        parts.append(f'<script type="module">{_DRAW}</script>')
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title(view))} – Lepton Lab</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>"
    )


def _plotly() -> bytes:
    """plotly.js as an ES module: our partial bundle, or the whole of it where ours was not built."""
    if _BUNDLE.is_file():
        return _BUNDLE.read_bytes()
    from plotly.offline import get_plotlyjs

    return f"{get_plotlyjs()}\nexport default globalThis.Plotly;".encode()
