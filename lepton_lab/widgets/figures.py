"""Figures of a run: pure functions from a view to an ordinary Plotly figure.

``figure(view, "loss")`` and its like; :data:`FIGURES` has all names. Curves are thinned to
:data:`POINTS_DRAWN` points with every peak kept. plotly is loaded at the first call.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..errors import Problem, RequestError
from ..record import RunView
from ..record.live import decimate, summary
from .svg import COLOURS
from .wording import clip, label, title

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

POINTS_DRAWN = 5000


def figure(view: RunView, name: str = "loss") -> Figure:
    """The figure ``name`` of :data:`FIGURES`. Raises RequestError for another name."""
    if name not in FIGURES:
        near = difflib.get_close_matches(name, FIGURES, n=1)
        hint = f"Did you mean {near[0]}?" if near else ""
        raise RequestError(Problem("a figure must be one of " + ", ".join(FIGURES), repr(name), hint))
    return FIGURES[name](view)


def figures(view: RunView) -> dict[str, Figure]:
    """Every figure that this run has something to show in."""
    made = {name: make(view) for name, make in FIGURES.items()}
    return {name: each for name, each in made.items() if each.data}


def loss(view: RunView) -> Figure:
    """Training and evaluation loss by step."""
    return _curves(view, "Loss", ("loss", "eval_loss"), "loss")


def scores(view: RunView) -> Figure:
    """Evaluation metrics other than the loss, by step."""
    wanted = [name for name in view.series if name.startswith("eval_") and name != "eval_loss"]
    kept = [name for name in wanted if not name.endswith(("_runtime", "_per_second"))]
    return _curves(view, "Evaluation", kept, "score")


def learning_rate(view: RunView) -> Figure:
    """Learning rate by step."""
    return _curves(view, "Learning rate", ("learning_rate",), "learning rate")


def throughput(view: RunView) -> Figure:
    """Rows and tokens a second by step; tokens on an axis of their own."""
    made = _curves(view, "Throughput", ("samples_per_second",), "rows/s")
    if "tokens_per_second" in view.series:
        made.add_trace(_line(view, "tokens_per_second", 1, yaxis="y2"))
        made.update_layout(
            yaxis2={"title": {"text": "tokens/s"}, "overlaying": "y", "side": "right", "showgrid": False}
        )
    return made


def memory(view: RunView) -> Figure:
    """Memory by step, MB."""
    return _curves(view, "Memory", ("memory_mb", "gpu_memory_mb"), "MB")


def latency(view: RunView) -> Figure:
    """Histogram of latencies, ms, a colour for each case, with lines at p50, p95 and p99."""
    import plotly.graph_objects as go

    made = _empty(view, "Latency", "ms", "share of requests, %")
    made.update_layout(barmode="overlay")
    for place, (name, found) in enumerate(summary(view)["latency"].items()):
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


def candidates(view: RunView) -> Figure:
    """Latency of every candidate of a compilation, ms, by what the parity check said."""
    import plotly.graph_objects as go

    made = _empty(view, "Candidates", "ms", "")
    rows = _candidates(view.reports.get("compile"))
    verdicts = dict.fromkeys(str(row.get("verdict") or row.get("status") or "measured") for row in rows)
    for place, verdict in enumerate(verdicts):
        these = [row for row in rows if str(row.get("verdict") or row.get("status") or "measured") == verdict]
        names = [" ".join(clip(row[key], 30) for key in ("backend", "precision") if row.get(key)) for row in these]
        made.add_trace(
            go.Bar(
                x=[row["latency_ms"] for row in these],
                y=names,
                orientation="h",
                name=clip(verdict, 40),
                marker_color=COLOURS[place % len(COLOURS)],
            )
        )
    return made


def trials(view: RunView) -> Figure:
    """What the trials of a sweep came to, in the order in which they ended, and the best so far."""
    import plotly.graph_objects as go

    report = view.reports.get("sweep")
    metric = str(report.get("metric")) if isinstance(report, Mapping) else "value"
    made = _empty(view, "Trials", "trials done", clip(metric, 60))
    if "value" in view.series and "best_value" in view.series:
        values = view.series["value"]
        made.add_trace(
            go.Scatter(
                x=list(values.steps), y=list(values.values), name="trial", mode="markers", marker_color=COLOURS[0]
            )
        )
        made.add_trace(_line(view, "best_value", 1))
    return made


def _candidates(report: object) -> list[Mapping[str, Any]]:
    rows = report.get("candidates") if isinstance(report, Mapping) else None
    found = [row for row in rows or [] if isinstance(row, Mapping)]
    return [row for row in found if isinstance(row.get("latency_ms"), (int, float))]


def _curves(view: RunView, heading: str, names: Iterable[str], unit: str) -> Figure:
    made = _empty(view, heading, "step", unit)
    for place, name in enumerate(each for each in names if each in view.series):
        made.add_trace(_line(view, name, place))
    return made


def _line(view: RunView, name: str, place: int, **options: Any) -> Any:
    import plotly.graph_objects as go

    series = view.series[name]
    steps, values = decimate(series.steps, series.values, POINTS_DRAWN)
    mode = "lines+markers" if len(steps) <= 30 else "lines"
    line = {"color": COLOURS[place % len(COLOURS)], "width": 1.6}
    return go.Scatter(x=steps, y=values, name=label(name), mode=mode, line=line, **options)


def _empty(view: RunView, heading: str, across: str, up: str) -> Figure:
    import plotly.graph_objects as go

    return go.Figure(
        layout={
            "title": {"text": f"{heading} of {_plain(title(view))}"},
            "xaxis": {"title": {"text": across}},
            "yaxis": {"title": {"text": up}},
            "template": "plotly_white",
            "showlegend": True,
            "margin": {"l": 60, "r": 30, "t": 50, "b": 45},
        }
    )


def _plain(text: str) -> str:
    """Plotly reads a few tags in titles; a run's name is no markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FIGURES: dict[str, Callable[[RunView], Figure]] = {
    "loss": loss,
    "scores": scores,
    "learning_rate": learning_rate,
    "throughput": throughput,
    "memory": memory,
    "latency": latency,
    "candidates": candidates,
    "trials": trials,
}
"""Name → function."""
