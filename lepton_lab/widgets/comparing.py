"""A comparison as tables and figures: HTML that lives as long as the notebook does, text for a shell, Plotly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from ..comparison import ComparedRow, Comparison, short_names
from .curves import Axes, told
from .figures import CHARTS, Chart, figure, figures
from .markup import CARD, SMALL, section_html, table_html
from .parallel import parallel
from .svg import CURVES_SHOWN, curves_svg
from .tables import ROWS_SHOWN, Table, text_table
from .wording import clip, label, moment, names_of, number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_NamedRow = tuple[str, ComparedRow]

RUNS_ACROSS = 6
"""As many runs stand side by side; more stand below each other, with fewer settings and metrics."""

_COLUMNS_DOWN = 10
_CELL_CHARACTERS = 60


def comparison_figure(
    comparison: Comparison, name: str = "loss", x: str = "step", log: bool = False, smoothing: float = 0.0
) -> Figure:
    """``parallel``, or any of :data:`~lepton_lab.widgets.figures.FIGURES` with all runs in it. Raises RequestError."""
    return figure(comparison.views, name, Axes(x, log, smoothing), settings_told(comparison), _charts_of(comparison))


def comparison_figures(comparison: Comparison) -> dict[str, Figure]:
    """Every figure that has something to show."""
    has_lines = len(comparison.views) > 2 and any(row.differs for row in comparison.settings)
    found = figures(comparison.views, settings_told(comparison))
    return {"parallel": parallel(comparison), **found} if has_lines else found


def _charts_of(comparison: Comparison) -> dict[str, Chart]:
    return {"parallel": lambda views: parallel(comparison), **CHARTS}


def settings_told(comparison: Comparison) -> dict[str, str]:
    """What to say of each run, by its id, where the mouse is: the settings that differ."""
    rows = [row for row in comparison.settings if row.differs][:12]
    short = short_names(comparison.settings)
    return {
        view.run: told((short[row.name], _cell(row.values[place])) for row in rows)
        for place, view in enumerate(comparison.views)
    }


def comparison_tables(comparison: Comparison) -> list[Table]:
    """The settings and the metrics, the runs across; of many runs one table, the runs down."""
    if len(comparison.views) > RUNS_ACROSS and not comparison.every:
        return [_runs_down(comparison)]
    found = [_runs_across(comparison, "Settings", [*_about(comparison), *_settings(comparison)])]
    if comparison.metrics:
        found.append(_runs_across(comparison, "Metrics", _metrics(comparison)))
    return found


def comparison_text(comparison: Comparison) -> str:
    """The tables as plain text."""
    lines = []
    for table in comparison_tables(comparison):
        lines += [table.heading, *text_table(table), ""]
    return "\n".join([*lines, *_notes(comparison)]).rstrip()


def comparison_html(comparison: Comparison) -> str:
    """The tables and overlaid curves: no script, so that it is there in whatever shows the saved notebook."""
    tables = [section_html(table.heading, table_html(table)) for table in comparison_tables(comparison)]
    heading = f"{len(comparison.views)} runs compared"
    notes = "".join(f"<div>{escape(line)}</div>" for line in _notes(comparison))
    as_of = escape(moment(max(view.as_of for view in comparison.views)))
    return (
        f'<div class="lepton-comparison" role="group" aria-label="{heading}" style="{CARD};max-width:960px">'
        f'<div style="font-size:15px"><b>{heading}</b></div>{"".join(tables)}{"".join(_charts(comparison))}'
        f'<div style="{SMALL};margin-top:10px">{notes}as of {as_of}</div></div>'
    )


def _charts(comparison: Comparison) -> Iterable[str]:
    """The losses on one pair of axes, and the first score on another."""
    views = comparison.views[:CURVES_SHOWN]
    of = f" of the first {len(views)} runs" if len(views) < len(comparison.views) else ""
    losses = [name for name in ("eval_loss", "loss") if sum(name in view.series for view in views) > 1]
    scores = [name for view in views for name in view.series if name.startswith("eval_") and name != "eval_loss"]
    for name in [*losses, *scores[:1]]:
        curves = {
            word: view.series[name] for word, view in zip(names_of(views), views, strict=True) if name in view.series
        }
        heading = f"{label(name).capitalize()} by step{of}"
        yield section_html(heading, curves_svg(curves, heading))


def _runs_across(comparison: Comparison, heading: str, rows: Sequence[_NamedRow]) -> Table:
    cells = [[name, *(_marked(row, place) for place in range(len(comparison.views)))] for name, row in rows]
    most = len(cells) if comparison.every else ROWS_SHOWN
    columns = ["", *(view.run for view in comparison.views)]
    return Table(heading, columns, cells[:most], None, max(0, len(cells) - most))


def _runs_down(comparison: Comparison) -> Table:
    about, settings, metrics = _about(comparison), _settings(comparison), _metrics(comparison)
    # Of the metrics, those first that say which run is better.
    metrics.sort(key=lambda pair: pair[1].better is None)
    settings = settings[: _COLUMNS_DOWN - min(3, len(metrics))]
    rows = [*about, *[*settings, *metrics][:_COLUMNS_DOWN]]
    cells = [[view.run, *(_marked(row, place) for _, row in rows)] for place, view in enumerate(comparison.views)]
    columns = ["run", *(name for name, _ in rows)]
    left_out = max(0, len(cells) - ROWS_SHOWN)
    return Table(f"{len(comparison.views)} runs", columns, cells[:ROWS_SHOWN], None, left_out)


def _about(comparison: Comparison) -> list[_NamedRow]:
    """What is shown of each run whether or not it differs."""
    found = [ComparedRow(name, tuple(getattr(view, name) for view in comparison.views)) for name in ("name", "status")]
    return [(row.name, row) for row in found if any(row.values)]


def _settings(comparison: Comparison) -> list[_NamedRow]:
    short = short_names(comparison.settings)
    return [(short[row.name], row) for row in comparison.settings]


def _metrics(comparison: Comparison) -> list[_NamedRow]:
    return [(label(row.name), row) for row in comparison.metrics]


def _notes(comparison: Comparison) -> list[str]:
    found = []
    if not any(row.differs for row in comparison.settings):
        found.append("No setting differs.")
    if not comparison.metrics:
        found.append("No number differs." if any(view.metrics for view in comparison.views) else "No numbers yet.")
    if any(row.best for row in comparison.metrics):
        found.append("* the best")
    going = [view.run for view in comparison.views if not view.metrics and view.series]
    if going:
        found.append(f"The newest numbers, not final ones, of: {', '.join(going[:8])}{' …' if going[8:] else ''}")
    shown = len(comparison.settings) + len(comparison.metrics)
    if len(comparison.views) > RUNS_ACROSS and not comparison.every and shown > _COLUMNS_DOWN:
        found.append(f"{shown - _COLUMNS_DOWN} more settings and metrics differ: --all or --json shows them.")
    return found


def _marked(row: ComparedRow, place: int) -> str:
    text = _cell(row.values[place])
    return f"* {text}" if place in row.best else text


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value)) or None
    elif isinstance(value, Mapping):
        value = ", ".join(f"{name}: {each}" for name, each in value.items()) or None
    return clip(number(value), _CELL_CHARACTERS)
