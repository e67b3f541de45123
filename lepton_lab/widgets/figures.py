"""Figures of runs: pure functions from views to an ordinary Plotly figure.

``figure([view], "loss")`` and its like; :data:`FIGURES` has all names, and each metric has a figure by its own.
plotly is loaded at the first call.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..errors import Problem, RequestError
from ..record import RunView
from ..record.live import summary
from .curves import CURVES, Axes, curves_of, draw_curves, empty_figure
from .svg import COLOURS
from .wording import clip, names_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


Chart = Callable[[Sequence[RunView]], "Figure"]


def figure(
    views: Sequence[RunView],
    name: str = "loss",
    axes: Axes | None = None,
    about: Mapping[str, str] | None = None,
    charts: Mapping[str, Chart] | None = None,
) -> Figure:
    """The figure ``name`` of :data:`FIGURES`, or of a metric by its name, of one run or several.

    ``axes`` and ``about`` are those of :func:`~lepton_lab.widgets.curves.draw_curves`; ``charts`` are what there is
    beside curves. Raises RequestError for another name, and for axes of what is no curve.
    """
    charts = CHARTS if charts is None else charts
    if name in charts:
        if axes not in (None, Axes()):
            do = f"Leave them out, or draw one of {', '.join(CURVES)}."
            raise RequestError(Problem("x, log and smoothing are for curves", name, do))
        return charts[name](views)
    known = list(dict.fromkeys([*CURVES, *charts, *(metric for view in views for metric in view.series)]))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else ""
        raise RequestError(Problem("a figure must be one of " + ", ".join(known[:40]), repr(name), hint))
    return draw_curves(views, CURVES[name] if name in CURVES else curves_of(name), axes, about)


def figures(
    views: Sequence[RunView], about: Mapping[str, str] | None = None, charts: Mapping[str, Chart] | None = None
) -> dict[str, Figure]:
    """Every figure that these runs have something to show in."""
    charts = CHARTS if charts is None else charts
    made = {name: figure(views, name, None, about, charts) for name in (*CURVES, *charts)}
    return {name: each for name, each in made.items() if each.data}


def latency(views: Sequence[RunView]) -> Figure:
    """Histogram of latencies, ms, a colour for each case, with lines at p50, p95 and p99."""
    import plotly.graph_objects as go

    made = empty_figure(views, "Latency", "ms", "share of requests, %")
    made.update_layout(barmode="overlay")
    cases = [
        (f"{run}: {name}" if len(views) > 1 else name, found)
        for run, view in zip(names_of(views), views, strict=True)
        for name, found in summary(view)["latency"].items()
    ]
    for place, (name, found) in enumerate(cases):
        colour = COLOURS[place % len(COLOURS)]
        edges = found["edges"]
        centres = [(start + stop) / 2 for start, stop in pairwise(edges)]
        heights = [100 * count / found["count"] for count in found["counts"]]
        widths = [stop - start for start, stop in pairwise(edges)]
        bars = go.Bar(x=centres, y=heights, width=widths, name=clip(name, 60), marker_color=colour, opacity=0.6)
        made.add_trace(bars)
        for part, dash in (("p50", "solid"), ("p95", "dash"), ("p99", "dot")):
            made.add_vline(x=found[part], line={"color": colour, "dash": dash, "width": 1.5}, annotation_text=part)
    return made


def candidates(views: Sequence[RunView]) -> Figure:
    """Latency of every candidate of a compilation, ms, by what the parity check said."""
    import plotly.graph_objects as go

    made = empty_figure(views, "Candidates", "ms", "")
    rows = [
        (f"{run}: " if len(views) > 1 else "", row)
        for run, view in zip(names_of(views), views, strict=True)
        for row in _candidates(view.reports.get("compile"))
    ]
    verdicts = [str(row.get("verdict") or row.get("status") or "measured") for _, row in rows]
    for place, verdict in enumerate(dict.fromkeys(verdicts)):
        these = [row for row, said in zip(rows, verdicts, strict=True) if said == verdict]
        names = [
            run + " ".join(clip(row[key], 30) for key in ("backend", "precision") if row.get(key)) for run, row in these
        ]
        made.add_trace(
            go.Bar(
                x=[row["latency_ms"] for _, row in these],
                y=names,
                orientation="h",
                name=clip(verdict, 40),
                marker_color=COLOURS[place % len(COLOURS)],
            )
        )
    return made


def trials(views: Sequence[RunView]) -> Figure:
    """What the trials of a sweep came to, in the order in which they ended, and the best so far."""
    metrics = {str(view.reports["sweep"]["metric"]) for view in views if "sweep" in view.reports}
    made = empty_figure(views, "Trials", "trials done", clip(metrics.pop(), 60) if len(metrics) == 1 else "value")
    for place, (run, view) in enumerate(zip(names_of(views), views, strict=True)):
        of_run = f" of {run}" if len(views) > 1 else ""
        for name, words, mode in (("value", "trial", "markers"), ("best_value", "best so far", "lines")):
            if "value" in view.series and name in view.series:
                series, colour = view.series[name], COLOURS[(place * 2 + (mode == "lines")) % len(COLOURS)]
                points = {"x": list(series.steps), "y": list(series.values), "mode": mode}
                made.add_scatter(**points, name=words + of_run, marker_color=colour)
    return made


def _candidates(report: object) -> list[Mapping[str, Any]]:
    rows = report.get("candidates") if isinstance(report, Mapping) else None
    found = [row for row in rows or [] if isinstance(row, Mapping)]
    return [row for row in found if isinstance(row.get("latency_ms"), (int, float))]


CHARTS: dict[str, Chart] = {
    "latency": latency,
    "candidates": candidates,
    "trials": trials,
}
"""Figures that are no curves: name → function."""

FIGURES = (*CURVES, *CHARTS)
"""The names of all figures."""
