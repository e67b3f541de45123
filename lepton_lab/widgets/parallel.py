"""Parallel coordinates: a line for each run through what it was set to and what it came to.

Drawn with plain lines, not with Plotly's own type, which needs WebGL, takes no words and is in no small bundle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..comparison import ComparedRow, Comparison, is_number, short_names
from ..errors import Problem, RequestError
from .curves import empty_figure, plain, told
from .wording import clip, label, names_of, number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_AXES_SHOWN = 10
_TICKS_SHOWN = 12
_LOG_FROM = 20  # times the least is the most: such values were meant by their size
_SCALE = "Viridis"  # dark is good
_PALEST = 0.9  # of the scale: its end cannot be seen on white
_GREY = "#8a8f98"


def parallel(comparison: Comparison) -> Figure:
    """A line a run through the settings that differ, to the metric by which it is coloured: the objective of a
    sweep, or the first that is known to be good or bad. Raises RequestError where there is no such setting.
    """
    import plotly.graph_objects as go
    from plotly.colors import sample_colorscale

    rows = [row for row in comparison.settings if row.differs][: _AXES_SHOWN - 1]
    if not rows:
        raise RequestError(Problem("parallel coordinates need a setting that differs", "the same in all runs"))
    judged = [row for row in (comparison.objective, *comparison.metrics) if row is not None and row.better]
    short = short_names(comparison.settings)
    scales = [_scale_of(row, short[row.name]) for row in rows]
    scales += [_scale_of(row, label(row.name)) for row in judged[:1]]
    made = empty_figure(comparison.views, "Settings and results", "", "")
    made.update_layout(
        showlegend=False,
        hovermode="closest",
        xaxis={"tickvals": list(range(len(scales))), "ticktext": [plain(each.name) for each in scales], "side": "top"},
        yaxis={"visible": False, "range": [-0.05, 1.05]},
        margin={"l": 60, "r": 60, "t": 90, "b": 25},
    )
    result: Sequence[float | None] = scales[-1].places if judged else [None] * len(comparison.views)
    names = names_of(comparison.views)
    sign = -1 if judged and judged[0].better == "less" else 1
    # The best is drawn last, above all others.
    drawn = sorted(enumerate(result), key=lambda pair: -math.inf if pair[1] is None else sign * pair[1])
    for run, height in drawn:
        badness = None if height is None else (1 - height if sign > 0 else height)
        colour = _GREY if badness is None else sample_colorscale(_SCALE, [_PALEST * badness])[0]
        words = told([("", names[run]), *((each.name, each.texts[run]) for each in scales)]).removeprefix("<br>")
        is_best = bool(judged) and run in judged[0].best
        made.add_trace(
            go.Scatter(
                x=list(range(len(scales))),
                y=[each.places[run] for each in scales],
                mode="lines+markers",
                name=plain(names[run]),
                line={"color": colour, "width": 4 if is_best else 1.6},
                marker={"size": 7},
                hovertemplate=f"{words}<extra></extra>",
            )
        )
    for place, each in enumerate(scales):
        made.add_vline(x=place, line={"color": "rgba(128,128,128,0.5)", "width": 1})
        for height, text in each.ticks[:_TICKS_SHOWN]:
            where = {"x": place, "y": height, "xanchor": "right", "xshift": -6}
            made.add_annotation(**where, text=plain(text), showarrow=False, bgcolor="rgba(255,255,255,0.75)")
    return made


@dataclass(frozen=True)
class _Scale:
    """One axis: where each run is on it, from 0 to 1 or nowhere, in what words, and what stands beside it."""

    name: str
    places: list[Any]
    texts: list[str]
    ticks: list[tuple[float, str]]


def _scale_of(row: ComparedRow, name: str) -> _Scale:
    texts = [number(value) for value in row.values]
    given = [value for value in row.values if value is not None]
    if given and all(is_number(value) for value in given):
        return _Scale(name, *_along_numbers(row.values, texts))
    kinds = list(dict.fromkeys(texts))
    heights = {text: place / max(len(kinds) - 1, 1) for place, text in enumerate(kinds)}
    return _Scale(name, [heights[text] for text in texts], texts, [(heights[text], clip(text, 24)) for text in kinds])


def _along_numbers(
    values: Sequence[Any], texts: list[str]
) -> tuple[list[float | None], list[str], list[tuple[float, str]]]:
    given = [float(value) for value in values if value is not None]
    low, high = min(given), max(given)
    is_log = low > 0 and high / low >= _LOG_FROM
    first, last = (math.log(low), math.log(high)) if is_log else (low, high)
    span = (last - first) or 1.0
    middle = math.exp((first + last) / 2) if is_log else (first + last) / 2
    places = [None if value is None else ((math.log(value) if is_log else value) - first) / span for value in values]
    ticks = [(0.0, number(low)), (0.5, number(middle)), (1.0, number(high))] if high > low else [(0.0, number(low))]
    return places, texts, ticks
