"""The compilation job: try backends, prove them on validation rows, time them, pick, judge the pick on test rows."""

from __future__ import annotations

import functools
import shutil
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import LeptonError, Problem, RecipeError
from ..backends.backend import amend_manifest
from ..context import Stopped, WorkContext, parent_model
from ..evaluation.candidates import Candidate, list_candidates, pick_fastest
from ..evaluation.latency import conditions, interleave, ratio_of_medians, summarise, timed
from ..evaluation.parity import ParityGate
from ..evaluation.trial import Trial

if TYPE_CHECKING:
    from ..backends.backend import Runner

_ROUNDS = 40
_SECONDS = 45.0
_WARMUP = 3


def run(context: WorkContext) -> dict[str, Any]:
    """Compile the parent's model; the final metrics.

    Raises :class:`~lepton_lab.errors.RequestError` for a backend or precision that cannot be had here,
    :class:`LeptonError` when the only backend that was asked for failed.
    """
    from ...registry import load_task
    from ..backends.hardware import find_hardware

    model_dir, spec, splits = parent_model(context)
    recipe = context.recipe.compile
    task = load_task(spec.task)
    candidates = list_candidates(recipe.backend, recipe.precision, task, find_hardware())
    _check(candidates, context)
    tried = [each for each in candidates if each.status == "waiting"]
    context.events.status(stage="data", max_steps=3 * len(tried) + 2)
    scratch = context.attempt.path / "candidates"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    trial = Trial(model_dir, spec, task, splits, scratch, recipe, context.recipe.seed, threads(context))
    steps = _Steps(context)
    context.check_stop()
    context.stage("reference")
    gate = ParityGate(recipe.tolerance, seed=context.recipe.seed)
    reference = trial.score_reference("validation", on_batch=lambda _: context.check_stop())
    steps.done()

    context.stage("compile")
    for each in tried:
        context.check_stop()
        _attempt(each, trial, gate, context, reference, steps)
    _raise_if_hopeless(candidates, context)
    context.stage("latency")
    measured = _time(candidates, trial, context)
    steps.done(len(tried))

    context.stage("evaluate")
    pick = pick_fastest(candidates)
    for each in candidates:
        if each is not pick:
            trial.close(each)
    test = trial.judge_on_test(pick, gate, on_batch=lambda _: context.check_stop())
    trial.close(pick)
    report = _report(candidates, pick, test, trial, context, measured)
    context.stage("save")
    compiled = context.attempt.path / "compiled"
    shutil.rmtree(compiled, ignore_errors=True)
    trial.folder(pick).rename(compiled)
    amend_manifest(
        compiled,
        batch_size=trial.batch_size(pick) if pick.backend.depends_on_batch(pick.precision) else None,
        parity={"validation": pick.verdict.to_dict() if pick.verdict else None, "test": test},
    )
    shutil.rmtree(scratch)
    context.publish("compiled", "model", compiled)
    if context.recipe.output_dir:
        from ..outputs import deliver

        deliver(compiled, Path(context.recipe.output_dir))
    context.events.report("compile", report)
    steps.done()
    metrics = _metrics(pick, test)
    context.events.report("metrics", metrics)
    return metrics


def threads(context: WorkContext) -> int:
    """Threads of the compiled model: as asked, else those of the run."""
    return context.recipe.compile.threads or context.threads


class _Steps:
    """A rising step, so that the run shows progress."""

    def __init__(self, context: WorkContext) -> None:
        self._context, self._step = context, 0

    def done(self, count: int = 1) -> None:
        self._step += count
        self._context.events.metric(self._step, {"progress": float(self._step)})

    @property
    def step(self) -> int:
        return self._step


def _check(candidates: list[Candidate], context: WorkContext) -> None:
    """Refuse a request that leaves nothing to try beside the reference."""
    recipe = context.recipe.compile
    if any(each.asked and each.status == "waiting" for each in candidates):
        return
    reasons = "; ".join(f"{each.backend.name} {each.precision}: {each.reason}" for each in candidates if each.asked)
    do = "Set --backend auto, or --precision auto."
    what = f"nothing can be compiled with --backend {recipe.backend} --precision {recipe.precision}"
    raise RecipeError(Problem(what, reasons or "no such precision here", do, "compile.backend"))


def _attempt(
    candidate: Candidate, trial: Trial, gate: ParityGate, context: WorkContext, reference: Any, steps: _Steps
) -> None:
    """Compile, load and score one candidate. What goes wrong is the candidate's result, not the run's."""
    name = f"{candidate.backend.name} {candidate.precision}"
    context.events.log(f"trying {name}")
    end = steps.step + 2
    try:
        trial.build(candidate)
        steps.done()
        # The reference itself would only be scored twice.
        scored = (
            reference
            if candidate.is_reference
            else trial.score(candidate, "validation", on_batch=lambda _: context.check_stop())
        )
        candidate.verdict = gate.judge(reference, scored, trial.task, trial.spec, candidate.precision)
        candidate.status, candidate.reason = "ok", candidate.verdict.reason
        context.events.log(f"{name}: {candidate.verdict.verdict}, {candidate.verdict.reason}")
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001 - a compiler may raise anything; the report shows it
        traceback.print_exc()
        first = str(error).strip().splitlines()
        candidate.status = "failed"
        candidate.reason = f"{type(error).__name__}: {first[0] if first else 'no message'}"[:500]
        context.events.log(f"{name} failed: {candidate.reason}", "warning")
    steps.done(end - steps.step)


def _raise_if_hopeless(candidates: list[Candidate], context: WorkContext) -> None:
    """A backend that was asked for by name must work; of ``auto`` one is enough."""
    asked = [each for each in candidates if each.asked]
    if any(each.status == "ok" for each in asked):
        return
    reasons = "; ".join(f"{each.backend.name} {each.precision}: {each.reason}" for each in asked)
    raise LeptonError(f"no candidate could be compiled: {reasons}")


def _time(candidates: list[Candidate], trial: Trial, context: WorkContext) -> dict[str, Any]:
    """Time every candidate that works against the reference, interleaved, as many at a time as memory holds."""
    found = conditions(trial.threads)
    if not found["alone"]:
        context.events.log(
            f"other processes use {found['busy_elsewhere']:.0%} of this machine: latencies are less sure", "warning"
        )
    batch = trial.latency_batch()
    working = [each for each in candidates if each.status == "ok"]
    base = next(each for each in working if each.is_reference)
    rest = [each for each in working if not each.is_reference]
    # Those that are open fit already.
    size = sum(trial.is_open(each) for each in rest) + trial.most_in_memory(working)
    groups = [rest[start : start + size] for start in range(0, len(rest), size)] or [[]]
    for group in groups:
        context.check_stop()
        runners: dict[str, Runner] = {each.key: trial.load(each) for each in (base, *group)}
        try:
            samples = interleave(
                {key: timed(functools.partial(trial.answer, runner, batch)) for key, runner in runners.items()},
                _ROUNDS,
                warmup=_WARMUP,
                seconds=_SECONDS,
                seed=context.recipe.seed,
                should_stop=context.should_stop,
            )
        finally:
            if len(groups) > 1:
                for each in group:
                    trial.close(each)
        context.check_stop()
        for each in (base, *group):
            each.latency = summarise(samples[each.key], context.recipe.seed)
            each.speedup = ratio_of_medians(samples[base.key], samples[each.key], context.recipe.seed)
    rows, tokens = batch["input_ids"].shape
    return {**found, "batch_size": rows, "length": tokens, "groups": len(groups), "rounds": base.latency.requests}  # type: ignore[union-attr]


def _report(
    candidates: list[Candidate],
    pick: Candidate,
    test: dict[str, Any] | None,
    trial: Trial,
    context: WorkContext,
    at: Any,
) -> dict[str, Any]:
    recipe = context.recipe.compile
    metric, greater = trial.task.metric_of(trial.spec)
    warnings = []
    if not at["alone"]:
        warnings.append("other processes were busy while latencies were measured; repeat it on a quiet machine")
    if test is None:
        warnings.append("there are no test rows, so the pick has no verdict on rows that chose nothing")
    elif test["verdict"] == "fail":
        warnings.append(f"the pick is worse on the test rows: {test['reason']}")
    if pick.is_reference and any(each.status == "ok" and not each.is_reference for each in candidates):
        warnings.append("nothing faster passed the gate, so the model stays as it was trained")
    return {
        "candidates": [each.row() for each in candidates],
        "pick": {
            "backend": pick.backend.name,
            "precision": pick.precision,
            "speedup": pick.speedup[0] if pick.speedup else None,
            "latency_ms": pick.latency.p50_ms if pick.latency else None,
            "verdict": pick.verdict.verdict if pick.verdict else None,
            "reason": pick.reason,
        },
        "test": test,
        "main_metric": metric,
        "greater_is_better": greater,
        "tolerance_points": recipe.tolerance,
        "validation_rows": trial.count("validation"),
        "test_rows": trial.count("test"),
        "measured": at,
        "warnings": warnings,
    }


def _metrics(pick: Candidate, test: dict[str, Any] | None) -> dict[str, Any]:
    metrics: dict[str, Any] = {"backend": pick.backend.name, "precision": pick.precision}
    if pick.latency and pick.speedup:
        metrics |= {"latency_ms": pick.latency.p50_ms, "speedup": pick.speedup[0]}
        metrics |= {"speedup_low": pick.speedup[1], "speedup_high": pick.speedup[2]}
    for name, verdict in (("validation", pick.verdict.to_dict() if pick.verdict else None), ("test", test)):
        if verdict:
            metrics |= {
                f"{name}_verdict": verdict["verdict"],
                f"{name}_{verdict['metric']}": verdict["candidate"],
                f"{name}_difference_points": verdict["difference_points"],
                f"{name}_bound_points": verdict["bound_points"],
                f"{name}_agreement": verdict["agreement"],
            }
    return metrics
