"""What a form shows beside its fields: data, preflight, what the run will take, what is wrong. No widgets, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ... import data, lab
from ...commands.drafts import RecipeDraft
from ...errors import LeptonError, Problem, RequestError
from ...recipe import TRAINING_KINDS, Recipe
from ...record import RunFolder, list_runs, view_of
from ...registry import load_task
from ...work.estimate import Estimate, Rows, estimate, measure_flops
from ...work.models.source import local_model_dir

if TYPE_CHECKING:
    from ...data import Peek, Splits

# Earlier runs that are asked how fast they were.
_RUNS_ASKED = 50
_CHARACTERS_A_TOKEN = 4  # of English; the estimate is no finer than that
# What is read where it is. Others are far away: they are looked at when somebody asks.
_DATA = ("dataset", "validation_dataset", "test_dataset")
_FAR = ("hub:", "s3://", "gs://", "abfs://", "http://", "https://")


@dataclass(frozen=True)
class Look:
    """All that is known of a draft."""

    problems: tuple[Problem, ...] = ()
    peek: Peek | None = None
    uses: Mapping[str, str] = field(default_factory=dict)
    """What columns are used for: those that somebody named, and those that were found."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """The preflight, as far as it needs no tokenizer."""
    is_part: bool = False
    """Whether only the first rows were read."""
    estimate: Estimate | None = None
    basis: str = ""
    """What the estimate of time was computed from, or why there is none."""


def is_far(draft: RecipeDraft) -> bool:
    """Whether looking at its data would fetch it from elsewhere."""
    words = [str(draft.values.get(f"data.{name}") or "") for name in _DATA]
    return any(word.strip().startswith(_FAR) for word in words)


def look_at(draft: RecipeDraft, namespace: Mapping[str, Any] | None) -> Look:
    """Look at everything that needs no torch. Writes nothing, raises nothing that is the user's to mend."""
    word = draft.values.get("data.dataset")
    heads, times = data.heads_of_frames(namespace or {}, str(word or ""))
    look = Look(peek=_peek(draft, heads), uses=_named(draft)) if draft.kind in TRAINING_KINDS else Look()
    try:
        with data.frames_of_request(keeps=False):
            recipe = lab.plan(draft.kind, draft.options(), heads)
            if recipe.kind not in TRAINING_KINDS:
                return look
            splits = data.load_splits(recipe, load_task(str(recipe.task)).needs, whole=False)
            report = data.report(splits)
    except RequestError as error:
        return replace(look, problems=error.problems)
    except LeptonError as error:
        return replace(look, problems=(Problem(str(error)),))
    uses = {str(column): name for name, column in report["mapping"].items()}
    look = replace(look, report=report, uses=uses, is_part=times > 1 or not splits.complete)
    return _estimated(look, recipe, splits, times)


def _named(draft: RecipeDraft) -> dict[str, str]:
    columns = {path: str(value) for path, value in draft.values.items() if path.endswith("_column")}
    return {column: path.removeprefix("data.").removesuffix("_column") for path, column in columns.items()}


def _peek(draft: RecipeDraft, namespace: Mapping[str, Any]) -> Peek | None:
    """The first rows, also of data that cannot be used yet: that is when one maps its columns."""
    if not draft.values.get("data.dataset"):
        return None
    said = draft.typed()
    names = ("dataset", "format", "encoding", "hub_config")
    wanted = {name: said[f"data.{name}"] for name in names if said.get(f"data.{name}") is not None}
    try:
        return data.peek(Recipe.model_validate({"data": wanted}, context={"partial": True}).data, namespace)
    except (RequestError, ValueError):
        return None  # said by the plan


def _estimated(look: Look, recipe: Recipe, splits: Splits, times: float) -> Look:
    try:
        model = local_model_dir(str(recipe.model))
    except RequestError:
        model = None
    if model is None:
        return replace(look, basis="the model is not on this machine yet")
    counts = look.report["rows"]
    characters = look.report.get("characters") or {}
    rows = Rows(
        train=counts["train"] * times,
        scored=(counts["validation"] + counts["test"]) * times,
        usual_tokens=max(characters.get("p50", 0) / _CHARACTERS_A_TOKEN, 8),
        long_tokens=max(characters.get("p99", 0) / _CHARACTERS_A_TOKEN, 8),
    )
    if not splits.complete:
        return replace(look, estimate=estimate(recipe, model, rows), basis="how many rows there are is not known yet")
    run, speed = _earlier_speed(recipe)
    if speed:
        return replace(look, estimate=estimate(recipe, model, rows, speed), basis=f"{speed:,.0f} rows/s in run {run}")
    if recipe.resources.cluster != "local" or recipe.resources.gpu:
        found = estimate(recipe, model, rows)
        return replace(look, estimate=found, basis="no run of this model has been there yet")
    flops = measure_flops()
    basis = f"this processor's {flops / 1e9:,.0f} GFLOP/s, measured now; within a factor of three"
    return replace(look, estimate=estimate(recipe, model, rows, flops=flops), basis=basis)


def _earlier_speed(recipe: Recipe) -> tuple[str, float]:
    """(run, rows a second) of the newest training that differs in nothing that matters for speed; ("", 0) if none."""
    for row in list_runs(_RUNS_ASKED):
        if (row["kind"], row["task"], row["model"]) != ("train", recipe.task, recipe.model):
            continue
        folder = RunFolder.named(row["run"])
        before = folder.recipe()
        if _pace(before) != _pace(recipe):
            continue
        series = view_of(folder).series.get("samples_per_second")
        if series is not None and len(series.values):
            ordered = sorted(series.values)
            return row["run"], float(ordered[len(ordered) // 2])
    return "", 0.0


def _pace(recipe: Recipe) -> tuple[Any, ...]:
    """What decides how fast rows are learnt."""
    where = recipe.resources
    return (
        *(recipe.data.dataset, recipe.data.max_length, recipe.peft.method, recipe.train.precision),
        *(where.cluster, where.gpu, where.cpus, where.processes, where.workers),
    )
