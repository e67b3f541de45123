"""Curves of one run or of several: pure functions from views to an ordinary Plotly figure.

Of one run, each metric has a colour; of several, each run has one (and a dash, where there are more runs than
colours) and one entry of the legend, which toggles all its curves. Every curve is thinned with its peaks kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..errors import Problem, RequestError
from ..record import RunView, Series
from ..record.live import decimate
from .svg import COLOURS
from .wording import clip, label, names_of, title

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

POINTS_DRAWN = 5000
"""The most points of one curve; several runs share twice as many, with 200 for each at the least."""

_FEWEST_POINTS = 200
_DASHES = ("solid", "dash", "dot", "dashdot")
_X_AXES = ("step", "time", "tokens")
_UNITS = ((3 * 3600, 3600, "h"), (180, 60, "min"), (0, 1, "s"))


@dataclass(frozen=True)
class Axes:
    """How curves are drawn. ``x`` is ``step``, ``time`` (since the run began) or ``tokens`` (read so far);
    ``log`` makes the other axis logarithmic; ``smoothing``, from 0 up to 1, is the weight of what was before
    in a running mean, behind which the raw curve stays. Raises RequestError.
    """

    x: str = "step"
    log: bool = False
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        problems = []
        if self.x not in _X_AXES:
            problems.append(Problem("x must be one of " + ", ".join(_X_AXES), repr(self.x)))
        if not 0 <= self.smoothing < 1:
            do = "0 leaves curves as they are; 0.9 is much."
            problems.append(Problem("smoothing must be at least 0 and less than 1", f"{self.smoothing:g}", do))
        if problems:
            raise RequestError(*problems)


@dataclass(frozen=True)
class Curves:
    """What one figure shows. ``names`` gives the series of a view; ``right`` is (a series with an axis of its own
    on the right side, its unit).
    """

    heading: str
    unit: str
    names: Callable[[RunView], Iterable[str]]
    right: tuple[str, str] = ("", "")


def _only(*names: str) -> Callable[[RunView], Iterable[str]]:
    return lambda view: names


def _scores(view: RunView) -> Iterable[str]:
    wanted = [name for name in view.series if name.startswith("eval_") and name != "eval_loss"]
    return [name for name in wanted if not name.endswith(("_runtime", "_per_second"))]


CURVES = {
    "loss": Curves("Loss", "loss", _only("loss", "eval_loss")),
    "scores": Curves("Evaluation", "score", _scores),
    "learning_rate": Curves("Learning rate", "learning rate", _only("learning_rate")),
    "gradient_norm": Curves("Gradient norm", "norm", _only("grad_norm")),
    "throughput": Curves("Throughput", "rows/s", _only("samples_per_second"), ("tokens_per_second", "tokens/s")),
    "memory": Curves("Memory", "MB", _only("memory_mb", "gpu_memory_mb")),
}
"""Name → what it shows."""


def curves_of(metric: str) -> Curves:
    """The one curve of a metric by its own name."""
    return Curves(label(metric).capitalize(), label(metric), _only(metric))


def draw_curves(
    views: Sequence[RunView], curves: Curves, axes: Axes | None = None, about: Mapping[str, str] | None = None
) -> Figure:
    """The curves of these runs in one figure. ``about`` says what to tell of a run, by its id, where the mouse is."""
    axes, about = axes or Axes(), about or {}
    span = max((view.seconds or 0 for view in views), default=0)
    scale, unit = next((scale, unit) for least, scale, unit in _UNITS if span >= least)
    across = {"step": "step", "time": f"time since the start, {unit}", "tokens": "tokens"}[axes.x]
    made = empty_figure(views, curves.heading, across, curves.unit)
    if axes.log:
        made.update_layout(yaxis={"type": "log"})
    if any(curves.right[0] in view.series for view in views):
        right = {"title": {"text": curves.right[1]}, "overlaying": "y", "side": "right", "showgrid": False}
        made.update_layout(yaxis2=right, legend={"x": 1.1})  # beside the numbers of that axis
    is_one = len(views) == 1
    most = max(_FEWEST_POINTS, 2 * POINTS_DRAWN // (len(views) + 1))
    for run, (word, view) in enumerate(zip(names_of(views), views, strict=True)):
        for place, name in enumerate(each for each in (*curves.names(view), curves.right[0]) if each in view.series):
            series = view.series[name]
            called = plain(label(name) if is_one else word)
            line = _style(place, 0) if is_one else _style(run % len(COLOURS), run // len(COLOURS))
            told_there = f"{plain(label(name))} %{{y:.4~g}} at %{{x:,.6~g}}"
            options: dict[str, Any] = {
                "name": called,
                "legendgroup": name if is_one else view.run,
                "hovertemplate": f"{told_there}<extra>{called}{about.get(view.run, '')}</extra>",
            }
            if name == curves.right[0]:
                options["yaxis"], line["dash"] = "y2", "dot"
            x = _across(view, series, axes.x, scale)
            for trace in _lines(x, series.values, axes.smoothing, line, most):
                is_entry = trace["opacity"] == 1 and (is_one or place == 0)
                made.add_trace({**trace, **options, "showlegend": is_entry})
    return made


def empty_figure(views: Sequence[RunView], heading: str, across: str, up: str) -> Figure:
    """Axes and a title, with nothing in them."""
    import plotly.graph_objects as go

    of = title(views[0]) if len(views) == 1 else f"{len(views)} runs"
    return go.Figure(
        layout={
            "title": {"text": f"{heading} of {plain(of)}"},
            "xaxis": {"title": {"text": across}},
            "yaxis": {"title": {"text": up}},
            "template": "plotly_white",
            "showlegend": True,
            "margin": {"l": 60, "r": 30, "t": 50, "b": 45},
        }
    )


def plain(text: str) -> str:
    """Plotly reads a few tags in its texts; a run's name is no markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """The running mean in which everything before weighs ``weight``, without the pull of a start at zero."""
    sums = accumulate(values, lambda before, value: weight * before + (1 - weight) * value, initial=0.0)
    return [each / (1 - weight**count) for count, each in enumerate(sums) if count]


def tokens_by_step(view: RunView) -> tuple[list[int], list[float]]:
    """(steps, tokens read up to each): rows of an update times tokens of a row, as measured since the step before.

    Raises RequestError for a run whose record does not say.
    """
    batch = view.reports.get("batch")
    rows = batch.get("effective", 0) if isinstance(batch, Mapping) else 0
    row_rates, token_rates = (view.series.get(name, Series()) for name in ("samples_per_second", "tokens_per_second"))
    rows_at = {step: rate for step, rate in zip(row_rates.steps, row_rates.values, strict=True) if rate > 0}
    steps, tokens = [0], [0.0]
    for step, rate in zip(token_rates.steps, token_rates.values, strict=True):
        if step in rows_at and rows:
            tokens.append(tokens[-1] + (step - steps[-1]) * rows * rate / rows_at[step])
            steps.append(step)
    if len(steps) < 2:
        do = "Draw by step or time."
        raise RequestError(Problem("only a training that has begun counts tokens", f"run {view.run}", do))
    return steps, tokens


def _across(view: RunView, series: Series, x: str, scale: int) -> Sequence[float]:
    if x == "time":
        start = view.started if view.started is not None else min(each.times[0] for each in view.series.values())
        return [(when - start) / scale for when in series.times]
    if x == "tokens":
        steps, tokens = tokens_by_step(view)
        return [_between(steps, tokens, step) for step in series.steps]
    return series.steps


def _between(steps: Sequence[int], tokens: Sequence[float], step: int) -> float:
    """The tokens at a step, on a straight line between those that were counted."""
    place = min(max(bisect_right(steps, step), 1), len(steps) - 1)
    first, last = steps[place - 1], steps[place]
    share = (step - first) / (last - first)
    return tokens[place - 1] + share * (tokens[place] - tokens[place - 1])


def _style(colour: int, dash: int) -> dict[str, Any]:
    return {"color": COLOURS[colour % len(COLOURS)], "width": 1.6, "dash": _DASHES[dash % len(_DASHES)]}


def _lines(
    x: Sequence[float], values: Sequence[float], smoothing: float, line: Mapping[str, Any], most: int
) -> Iterable[dict[str, Any]]:
    """The trace of one curve; a smoothed one has the raw one behind it, hardly visible."""
    drawn = [(list(values), 1.0)] if not smoothing else [(list(values), 0.25), (smoothed(values, smoothing), 1.0)]
    for heights, opacity in drawn:
        places, kept = decimate(range(len(heights)), heights, most)
        mode = "lines+markers" if len(places) <= 30 else "lines"
        points = {"x": [x[each] for each in places], "y": kept, "mode": mode}
        yield {"type": "scatter", **points, "line": dict(line), "opacity": opacity}


def told(pairs: Iterable[tuple[str, str]]) -> str:
    """Settings of a run as lines of what Plotly shows where the mouse is."""
    return "".join(f"<br>{plain(clip(name, 40))} {plain(clip(text, 40))}" for name, text in pairs)
