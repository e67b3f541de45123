"""Runs side by side: the settings that differ, and what the runs came to.

A pure function of views and recipes; the drawing is in :mod:`lepton_lab.widgets.comparing`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .errors import LeptonError, Problem, RequestError
from .record import RunFolder, RunView, children_of, view_of
from .registry import load_task
from .work.tasks.task import LESS_IS_BETTER

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from .recipe import Recipe

Direction = Literal["more", "less"]

_SPLITS = ("eval_", "test_", "train_")
_MORE_IS_BETTER = frozenset({"speedup", "agreement"})
# A name is the heading of its column.
_NO_SETTINGS = frozenset({"name"})


@dataclass(frozen=True)
class ComparedRow:
    """A setting or a metric: its value in each run, None where the run has none.

    ``better`` says which numbers are good; ``best`` has the places of the best, if the runs differ in it.
    """

    name: str
    values: tuple[Any, ...]
    better: Direction | None = None
    best: tuple[int, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the runs do not all have the same value."""
        return any(value != self.values[0] for value in self.values)


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two runs or more. ``settings`` and ``metrics`` have what differs, or with ``every`` all there is.

    ``objective`` is what the trials of a sweep were judged by; it is also the first of the metrics.
    """

    views: tuple[RunView, ...]
    settings: tuple[ComparedRow, ...]
    metrics: tuple[ComparedRow, ...]
    objective: ComparedRow | None = None
    every: bool = False

    def figure(self, name: str = "loss", *, x: str = "step", log: bool = False, smoothing: float = 0.0) -> Figure:
        """The runs in one Plotly figure: see :meth:`lepton_lab.Run.figure`, and ``parallel``, a line a run
        through its settings and what it came to. Hovering shows what the run was set to.

        Raises :class:`RequestError`.
        """
        from .widgets.comparing import comparison_figure

        return comparison_figure(self, name, x, log, smoothing)

    def to_dict(self) -> dict[str, Any]:
        """``runs``, ``settings`` and ``metrics`` as plain values, which JSON can hold."""
        runs = [view.run for view in self.views]
        keys = ("run", "name", "kind", "task", "model", "status", "parent", "created", "seconds")
        return {
            "runs": [{key: getattr(view, key) for key in keys} for view in self.views],
            "settings": [
                {"name": row.name, "values": dict(zip(runs, row.values, strict=True)), "differs": row.differs}
                for row in self.settings
            ],
            "metrics": [
                {
                    "name": row.name,
                    "values": dict(zip(runs, row.values, strict=True)),
                    "better": row.better,
                    "best": [runs[place] for place in row.best],
                }
                for row in self.metrics
            ],
        }

    def text(self) -> str:
        """The tables as plain text."""
        from .widgets.comparing import comparison_text

        return comparison_text(self)

    def _repr_html_(self) -> str:
        from .widgets.comparing import comparison_html

        return comparison_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        del cycle
        printer.text(self.text())

    def __repr__(self) -> str:
        return f"Comparison({', '.join(view.run for view in self.views)})"


def compare_runs(folders: Iterable[RunFolder], every: bool = False) -> Comparison:
    """Read these runs, a sweep standing for its trials, the best first. Raises :class:`RequestError` below two."""
    wanted = list({each.run: each for folder in folders for each in with_trials(folder)}.values())
    if len(wanted) < 2:
        got = f"run {wanted[0].run}" if wanted else "none"
        do = "Name another, or a sweep with two trials or more. See: lepton runs"
        raise RequestError(Problem("a comparison needs two runs", got, do))
    views = [view_of(folder) for folder in wanted]
    return compare_views(views, [folder.recipe() for folder in wanted], _judged(views), every)


def compare_views(
    views: Sequence[RunView], recipes: Sequence[Recipe], objective: ComparedRow | None = None, every: bool = False
) -> Comparison:
    """The comparison of runs that were read, each with its recipe."""
    settings = _rows([settings_of(recipe) for recipe in recipes])
    tasks = [view.task for view in views if view.task]
    metrics = [_with_best(row, direction_of(row.name, tasks)) for row in _rows([numbers_of(view) for view in views])]
    if objective is not None:
        metrics.insert(0, objective)
    return Comparison(
        tuple(views),
        tuple(row for row in settings if every or row.differs),
        tuple(row for row in metrics if every or row.differs),
        objective,
        every,
    )


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Every setting that this kind of run makes use of, by its dotted path."""
    from .recipe import SECTIONS_BY_KIND

    found: dict[str, Any] = {}
    for name, value in recipe.to_dict().items():
        if not isinstance(value, dict):
            found[name] = value
        elif name in SECTIONS_BY_KIND[recipe.kind]:
            found |= {f"{name}.{inner}": each for inner, each in value.items()}
    return {name: value for name, value in found.items() if name not in _NO_SETTINGS}


def short_names(rows: Sequence[ComparedRow]) -> dict[str, str]:
    """Settings by the last part of their path, or by the whole of it where two end the same."""
    ends = Counter(row.name.rpartition(".")[2] for row in rows)
    last = {row.name: row.name.rpartition(".")[2] for row in rows}
    return {name: end if ends[end] == 1 else name for name, end in last.items()}


def numbers_of(view: RunView) -> dict[str, Any]:
    """What a run came to; of one that is not over, or ended early, the newest of its losses and evaluations."""
    final = {name: value for name, value in view.metrics.items() if isinstance(value, (str, int, float))}
    if final:
        return final
    wanted = [name for name in view.series if name == "loss" or name.startswith("eval_")]
    return {name: view.series[name].values[-1] for name in wanted if view.series[name].values}


def direction_of(metric: str, tasks: Iterable[str] = ()) -> Direction | None:
    """Which numbers of this metric are good; None where neither is known to be."""
    bare = metric
    for split in _SPLITS:
        bare = bare.removeprefix(split)
    if bare in LESS_IS_BETTER or bare.endswith(("_ms", "memory_mb")) or bare == "seconds":
        return "less"
    if bare in _MORE_IS_BETTER or bare.endswith("_per_second"):
        return "more"
    return "more" if any(bare in _metrics_of(task) for task in set(tasks)) else None


def _metrics_of(task: str) -> Sequence[str]:
    """The metrics of a task; none of one that is not installed here."""
    try:
        return load_task(task).metric_names()
    except LeptonError:
        return ()


def _rows(columns: Sequence[Mapping[str, Any]]) -> list[ComparedRow]:
    names = dict.fromkeys(name for column in columns for name in column)
    return [ComparedRow(name, tuple(column.get(name) for column in columns)) for name in names]


def _with_best(row: ComparedRow, better: Direction | None) -> ComparedRow:
    numbers = {place: value for place, value in enumerate(row.values) if is_number(value)}
    if better is None or len(set(numbers.values())) < 2:
        return ComparedRow(row.name, row.values, better)
    top = (max if better == "more" else min)(numbers.values())
    return ComparedRow(row.name, row.values, better, tuple(each for each, value in numbers.items() if value == top))


def is_number(value: object) -> bool:
    """Whether this is a finite number, and not yes or no."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def with_trials(folder: RunFolder) -> list[RunFolder]:
    """A sweep's trials, the best first; any other run as it is."""
    if folder.header()["kind"] != "sweep":
        return [folder]
    report = _report_of(folder)
    sign = -1 if report.get("direction") == "maximize" else 1
    values = _values_of(report)
    # Those without a value come last, in the order in which they began.
    return sorted(children_of(folder.run, ["train"]), key=lambda each: sign * values.get(each.run, sign * math.inf))


def _judged(views: Sequence[RunView]) -> ComparedRow | None:
    """What sweeps said of their trials among these runs, where they all judged by the same."""
    reports = {view.parent: _report_of(RunFolder.named(view.parent)) for view in views if view.parent}
    reports = {run: report for run, report in reports.items() if report}
    judged_by = {(report["metric"], report["direction"]) for report in reports.values()}
    if len(judged_by) != 1:
        return None
    ((metric, direction),) = judged_by
    values = {run: value for report in reports.values() for run, value in _values_of(report).items()}
    row = ComparedRow(f"best {metric} on validation", tuple(values.get(view.run) for view in views))
    return _with_best(row, "more" if direction == "maximize" else "less")


def _report_of(folder: RunFolder) -> Mapping[str, Any]:
    """What a sweep has found so far; empty for any other run, and for one that was removed."""
    try:
        report = view_of(folder).reports.get("sweep") if folder.header()["kind"] == "sweep" else None
    except (LeptonError, OSError):
        return {}
    return report if isinstance(report, Mapping) else {}


def _values_of(report: Mapping[str, Any]) -> dict[str, float]:
    """The value of each trial by its run, of those that have one."""
    return {row["run"]: row["value"] for row in report.get("trials", ()) if row["run"] and is_number(row["value"])}
