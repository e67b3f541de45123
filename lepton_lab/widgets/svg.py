"""Charts as inline SVG: no script, no fonts, no colours that fail on a dark page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..record import Series
from ..record.live import decimate
from .wording import number

# Told apart by people who see no red or no green, at 3:1 or better on white and on black.
COLOURS = ("#3a8fd6", "#d5751a", "#1f9e77", "#b55fa8")

CURVES_SHOWN = 2 * len(COLOURS)
"""The most lines of one chart; those beyond the colours are dashed."""

_WIDTH, _HEIGHT = 640, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 26
_POINTS = 240


def curves_svg(series: Mapping[str, Series], subject: str) -> str:
    """A line for each series over the steps, by what it is called; empty text when there is nothing to draw."""
    shown = [(name, each) for name, each in series.items() if each.steps][:CURVES_SHOWN]
    if not shown:
        return ""
    low, high = _bounds([value for _, each in shown for value in (min(each.values), max(each.values))])
    first = min(each.steps[0] for _, each in shown)
    last = max(*(each.steps[-1] for _, each in shown), first + 1)
    x = _scale(first, last, _LEFT, _WIDTH - _RIGHT)
    y = _scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    parts = [_frame(low, high, y), _below(f"step {first:,}", f"{last:,}")]
    key = []
    for place, (name, each) in enumerate(shown):
        colour, dash = COLOURS[place % len(COLOURS)], "" if place < len(COLOURS) else ' stroke-dasharray="7 4"'
        key.append((name if not dash else f"{name} (dashed)", colour, number(each.values[-1])))
        steps, values = decimate(each.steps, each.values, _POINTS)
        points = [(x(step), y(value)) for step, value in zip(steps, values, strict=True)]
        if len(points) > 1:
            path = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
            parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6"{dash} points="{path}"/>')
        if len(points) <= 30 or name.startswith("eval"):
            parts += [f'<circle cx="{a:.1f}" cy="{d:.1f}" r="2.4" fill="{colour}"/>' for a, d in points[-30:]]
    spoken = "; ".join(
        f"{name} from {number(each.values[0])} at step {each.steps[0]:,} "
        f"to {number(each.values[-1])} at step {each.steps[-1]:,}"
        for name, each in shown
    )
    return _legend(key) + _svg("".join(parts), f"{subject}: {spoken}")


def histogram_svg(found: Mapping[str, Any], subject: str) -> str:
    """A :func:`~lepton_lab.record.live.histogram` with lines at p50, p95 and p99; milliseconds."""
    edges, counts = found["edges"], found["counts"]
    low, high = edges[0], max(edges[-1], found["p99"])
    x = _scale(low, high, _LEFT, _WIDTH - _RIGHT)
    y = _scale(0, max(counts), _HEIGHT - _BOTTOM, _TOP)
    parts = [_frame(0, max(counts), y), _below(f"{number(low)} ms", f"{number(high)} ms")]
    for start, stop, count in zip(edges, edges[1:], counts, strict=False):
        if count:
            width = max(1.0, x(stop) - x(start) - 1)
            parts.append(
                f'<rect x="{x(start):.1f}" y="{y(count):.1f}" width="{width:.1f}" '
                f'height="{_HEIGHT - _BOTTOM - y(count):.1f}" fill="{COLOURS[0]}"/>'
            )
    points = [(part, found[part], colour) for part, colour in zip(("p50", "p95", "p99"), COLOURS[1:], strict=True)]
    for _, value, colour in points:
        parts.append(
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" '
            f'stroke="{colour}" stroke-width="2"/>'
        )
    spoken = ", ".join(f"{part} {number(value)} ms" for part, value, _ in points)
    key = [(part, colour, f"{number(value)} ms") for part, value, colour in points]
    return _legend(key) + _svg("".join(parts), f"{subject}: {spoken}, {found['count']:,} requests")


def _svg(inside: str, spoken: str) -> str:
    words = escape(spoken, quote=True)
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 {_WIDTH} {_HEIGHT}" xmlns="http://www.w3.org/2000/svg" '
        f'style="display:block;width:100%;max-width:{_WIDTH}px;height:auto;color:inherit">'
        f"<title>{words}</title>{inside}</svg>"
    )


def _legend(entries: Sequence[tuple[str, str, str]]) -> str:
    parts = [
        f'<span style="margin-right:14px;white-space:nowrap"><span aria-hidden="true" style="display:inline-block;'
        f'width:10px;height:10px;margin-right:5px;background:{colour}"></span>{escape(name)} {escape(value)}</span>'
        for name, colour, value in entries
    ]
    return f'<div style="font-size:12px;margin:8px 0 2px">{"".join(parts)}</div>'


def _frame(low: float, high: float, y: Any) -> str:
    lines = []
    for value in (low, (low + high) / 2, high):
        down = f"{y(value):.1f}"
        lines.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down}" y2="{down}" stroke="currentColor" '
            f'stroke-opacity="0.18"/>{_text(_LEFT - 6, y(value) + 4, f"{value:.3g}", "end")}'
        )
    return "".join(lines)


def _below(left: str, right: str) -> str:
    down = _HEIGHT - 8
    return _text(_LEFT, down, left, "start") + _text(_WIDTH - _RIGHT, down, right, "end")


def _text(across: float, down: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}" font-size="11" fill="currentColor" '
        f'fill-opacity="0.75">{escape(words)}</text>'
    )


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if math.isclose(low, high, rel_tol=1e-9):
        margin = abs(low) * 0.1 or 1.0
        return low - margin, high + margin
    return low, high


def _scale(low: float, high: float, start: float, stop: float) -> Any:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (stop - start)
