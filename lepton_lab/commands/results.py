"""What commands return: plain values that also know how to look as text and as HTML."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ..comparison import Comparison
    from ..lab import Run

Interrupt = Literal["detach", "cancel"]


class Shown:
    """A value with a face. ``as_json`` says that JSON was asked for."""

    as_json = False

    def text(self) -> str:
        """How it looks in a terminal."""
        raise NotImplementedError

    def plain(self) -> Any:
        """The value as built-in types, which JSON can hold."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        del cycle
        printer.text(self.text())

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()


class Text(Shown, str):
    """A text to show as it is."""

    def text(self) -> str:
        """Itself."""
        return str.__str__(self)

    def plain(self) -> str:
        """Itself."""
        return str.__str__(self)


@dataclass(frozen=True)
class Column:
    """One column of a table: the key of the row, its title, and how a value looks."""

    key: str
    title: str
    show: Callable[[Any], str] = str


class Rows(Shown, list[dict[str, Any]]):
    """A list of objects that is shown as a table."""

    def __init__(
        self,
        rows: Iterable[dict[str, Any]],
        columns: Iterable[Column],
        *,
        empty: str = "Nothing.",
        below: str = "",
        as_json: bool = False,
        most_shown: int | None = None,
    ) -> None:
        super().__init__(rows)
        self.most_shown = most_shown
        self.columns = tuple(columns)
        self.empty = empty
        self.below = below
        self.as_json = as_json

    def plain(self) -> list[dict[str, Any]]:
        """The objects."""
        return [dict(row) for row in self]

    def _cells(self) -> Iterator[list[str]]:
        for row in self[-self.most_shown :] if self.most_shown else self:
            yield ["" if row.get(each.key) is None else each.show(row[each.key]) for each in self.columns]

    def text(self) -> str:
        """Columns side by side."""
        if not self:
            return self.empty
        body = table_text([each.title for each in self.columns], list(self._cells()))
        return f"{body}\n\n{self.below}" if self.below else body

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>{html.escape(self.empty)}</p>"
        head = "".join(f'<th style="text-align:left">{html.escape(each.title)}</th>' for each in self.columns)
        body = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(cell)}</td>' for cell in cells) + "</tr>"
            for cells in self._cells()
        )
        below = f"<p>{html.escape(self.below)}</p>" if self.below else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


class Facts(Shown, dict[str, Any]):
    """One object that is shown as a text of its own."""

    def __init__(self, values: Mapping[str, Any], text: str = "", *, as_json: bool = False) -> None:
        super().__init__(values)
        self._text = text
        self.as_json = as_json

    def plain(self) -> dict[str, Any]:
        """The object."""
        return dict(self)

    def text(self) -> str:
        """Its text, or its keys and values."""
        return self._text or pairs_text(self.items())


class Answers(Shown, list[dict[str, Any]]):
    """The answers to some inputs, in their order."""

    def __init__(self, answers: Iterable[dict[str, Any]], inputs: Iterable[Any], *, as_json: bool = False) -> None:
        super().__init__(answers)
        self.inputs = list(inputs)
        self.as_json = as_json

    def plain(self) -> list[dict[str, Any]]:
        """The answers."""
        return [dict(each) for each in self]

    def _cells(self) -> list[list[str]]:
        return [[shorten(_said(given), 60), *_answer(answer)] for given, answer in zip(self.inputs, self, strict=True)]

    def text(self) -> str:
        """Input, answer and score, one line each; long generated texts below each other."""
        if any("text" in each for each in self):
            return "\n".join(
                f"> {_said(given)}\n{_answer(each)[0]}" for given, each in zip(self.inputs, self, strict=True)
            )
        return table_text(["input", "answer", "score"], self._cells())

    def _repr_html_(self) -> str:
        style = 'style="text-align:left;white-space:pre-wrap"'
        rows = "".join(
            "<tr>"
            + "".join(f"<td {style}>{html.escape(cell)}</td>" for cell in (_said(given), *_answer(each)))
            + "</tr>"
            for given, each in zip(self.inputs, self, strict=True)
        )
        head = "".join(f"<th {style}>{title}</th>" for title in ("input", "answer", "score"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


@dataclass(frozen=True, repr=False)
class Compared(Shown):
    """Runs side by side; a cell gives the comparison itself, which draws figures."""

    comparison: Comparison
    as_json: bool = False

    def plain(self) -> dict[str, Any]:
        """Runs, settings and metrics."""
        return self.comparison.to_dict()

    def text(self) -> str:
        """The tables."""
        return self.comparison.text()


@dataclass(frozen=True)
class Started:
    """A run to show. ``wait``: wait for its end; None lets the seat decide."""

    run: Run
    wait: bool | None = None
    as_json: bool = False
    on_interrupt: Interrupt | None = None
    is_new: bool = True


@dataclass(frozen=True)
class EventFeed:
    """Events of a run, one object each; endless while it is followed."""

    events: Iterable[dict[str, Any]]
    as_json: bool = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.events)


def ending(run: Run) -> dict[str, Any]:
    """How a run stands, for scripts: run, status, kind, metrics, model_dir, seconds; why, if it failed."""
    view = run.view()
    folder = run.model_dir
    found: dict[str, Any] = {
        "run": run.id,
        "status": view.status,
        "kind": view.kind,
        "metrics": view.metrics,
        "model_dir": str(folder) if folder else None,
        "seconds": round(view.seconds, 3) if view.seconds is not None else None,
    }
    if view.status in ("failed", "lost", "cancelled"):
        found |= {"reason": view.reason, "message": view.message, "problems": view.problems}
    return found


def table_text(titles: list[str], rows: list[list[str]]) -> str:
    """Aligned columns; wide characters count twice."""
    lines = [titles, *rows]
    widths = [max(width_of(line[index]) for line in lines) for index in range(len(titles))]
    return "\n".join(
        "  ".join(cell + " " * (width - width_of(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def pairs_text(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values, one line each."""
    shown = [(name, value) for name, value in pairs if value not in (None, "", [], {})]
    width = max((width_of(name) for name, _ in shown), default=0)
    return "\n".join(f"{name}{' ' * (width - width_of(name))}  {value}" for name, value in shown)


def width_of(text: str) -> int:
    """Columns that a text takes in a terminal."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def shorten(text: str, length: int) -> str:
    """The text on one line, cut with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def number_text(value: Any) -> str:
    """A number in at most four significant digits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value + 0.0:.4g}"  # never -0


def bytes_text(count: float) -> str:
    """A number of bytes with its unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def seconds_text(seconds: float | None) -> str:
    """A time span as people say it."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _said(given: Any) -> str:
    return given if isinstance(given, str) else " ".join(map(str, given)) if isinstance(given, list) else str(given)


def _answer(answer: Mapping[str, Any]) -> tuple[str, str]:
    """(answer, score) of one prediction, whatever its task."""
    score = number_text(answer["score"]) if answer.get("score") is not None else ""
    if "entities" in answer:
        found = [
            f"{each.get('text', each.get('word', ''))} = {each.get('label', each.get('tag', ''))}"
            for each in answer["entities"]
        ]
        return ", ".join(found) or "no entity", score
    for key in ("text", "label", "labels", "value"):
        if key in answer:
            value = answer[key]
            return (", ".join(map(str, value)) or "none") if isinstance(value, list) else number_text(value), score
    if list(answer) == ["score"]:  # regression
        return score, ""
    return ", ".join(f"{key}: {value}" for key, value in answer.items()), score
