"""The benchmark job: latency, throughput and peak memory of the picked model beside the trained one."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import Problem, RecipeError
from ...record import RunFolder, children_of, view_of
from ...registry import load_task
from ..backends.backend import read_manifest
from ..context import WorkContext, parent_model
from ..evaluation.contestant import Contestant
from ..evaluation.latency import conditions, histogram, interleave, ratio_of_medians, summarise
from ..tasks.task import ModelSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SOURCE_ROWS = 64
_SETTLE = 1


def run(context: WorkContext) -> dict[str, Any]:
    """Measure every shape of the recipe; the final metrics. Raises :class:`RequestError` for impossible shapes."""
    model_dir, spec, splits = parent_model(context)
    recipe = context.recipe.benchmark
    task = load_task(spec.task)
    context.stage("data")
    warnings: list[str] = []
    shapes = _shapes(context, model_dir, warnings, recipe.max_new_tokens if task.generates else 0)
    tokens = _tokens(splits, model_dir, spec, context)
    compiled = _newest_compiled(context)
    threads = int(read_manifest(compiled)["threads"]) if compiled else context.threads
    if compiled is None:
        warnings.append("this run has no compiled model, so only the trained one is measured; see: lepton compile")
    folders = {"compiled": compiled} if compiled else {}
    if recipe.baseline or not folders:
        folders["eager"] = model_dir
    context.check_stop()
    context.events.status(stage="model", max_steps=len(shapes) * recipe.repeats * len(folders))
    with ExitStack() as stack:
        contestants = [Contestant(name, folder, threads) for name, folder in folders.items()]
        for each in contestants:
            stack.callback(each.close)
        about = {each.name: each.wait_ready() for each in contestants}
        at = conditions(threads)
        if not at["alone"]:
            warnings.append("other processes were busy while this was measured; repeat it on a quiet machine")
        context.stage("latency")
        samples, memory = _measure(context, contestants, shapes, tokens, task.generates)
    report = _report(context, about, samples, memory, at, warnings, task.generates)
    context.events.report("benchmark", report)
    metrics = _metrics(report)
    context.events.report("metrics", metrics)
    return metrics


Shape = tuple[int, int]
Samples = dict[tuple[str, Shape], list[float]]


def _measure(
    context: WorkContext, contestants: list[Contestant], shapes: list[Shape], tokens: list[int], generates: bool
) -> tuple[Samples, dict[tuple[str, Shape], dict[str, Any]]]:
    recipe = context.recipe.benchmark
    samples: Samples = {}
    memory = {}
    step = 0
    for shape in shapes:
        context.check_stop()
        batch = _batch(tokens, shape)
        for each in contestants:
            each.give(batch, recipe.warmup, recipe.max_new_tokens if generates else None)
        series = f"b{shape[0]}.l{shape[1]}"

        def tell(name: str, milliseconds: float, series: str = series) -> None:
            nonlocal step
            step += 1
            context.events.metric(step, {f"latency_ms.{name}.{series}": milliseconds})

        found = interleave(
            {each.name: functools.partial(each.answer, _SETTLE) for each in contestants},
            recipe.repeats,
            seed=context.recipe.seed,
            on_request=tell,
            should_stop=context.should_stop,
        )
        context.check_stop()
        for each in contestants:
            samples[each.name, shape] = found[each.name]
            memory[each.name, shape] = each.memory()
    return samples, memory


def _shapes(context: WorkContext, model_dir: Path, warnings: list[str], written: int) -> list[Shape]:
    """Every batch size × length that the model has positions for, small ones first."""
    import transformers

    from ..backends.torch_model import longest

    recipe = context.recipe.benchmark
    limit = longest(transformers.AutoConfig.from_pretrained(model_dir)) - written
    wrong = [each for each in (*recipe.batch_sizes, *recipe.lengths) if each < 1]
    fitting = [each for each in recipe.lengths if 1 <= each <= limit]
    if wrong or not fitting or not recipe.batch_sizes:
        do = f"Set --lengths to 1 … {limit} and --batch-sizes to 1 or more."
        got = f"lengths {recipe.lengths}, batch sizes {recipe.batch_sizes}"
        raise RecipeError(Problem("no such shape can be measured", got, do, "benchmark.lengths"))
    warnings += [
        f"length {each} is left out: the model takes {limit} tokens" for each in recipe.lengths if each > limit
    ]
    return [(rows, length) for length in sorted(set(fitting)) for rows in sorted(set(recipe.batch_sizes))]


def _tokens(splits: Path, model_dir: Path, spec: ModelSpec, context: WorkContext) -> list[int]:
    """Tokens of real rows, one after the other: what requests are cut from."""
    import pyarrow.parquet as pq

    from ..evaluation.scoring import encode_rows
    from ..models.loading import load_tokenizer

    task, tokenizer = load_task(spec.task), load_tokenizer(model_dir)
    for name in ("test", "validation", "train"):
        path = splits / f"{name}.parquet"
        table = pq.read_table(path) if path.exists() else None
        if table is not None and table.num_rows:
            rows = encode_rows(table, task, tokenizer, spec, _SOURCE_ROWS, context.recipe.seed)
            found = [token for row in rows for token in row["input_ids"]]
            if found:
                return found
    return [tokenizer.pad_token_id or 0]


def _batch(tokens: list[int], shape: Shape) -> dict[str, NDArray[np.int64]]:
    """A full batch: every row has ``length`` tokens, so that its cost is that of the shape."""
    import numpy as np

    ids = np.resize(np.asarray(tokens, dtype=np.int64), shape)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def _newest_compiled(context: WorkContext) -> Path | None:
    """The compiled folder of the parent, or of its newest compilation that succeeded."""
    parent = RunFolder(context.folder.path.with_name(str(context.recipe.parent)))
    itself = [parent] if parent.header()["kind"] == "compile" else []
    for folder in [*itself, *reversed(children_of(parent.run, ["compile"]))]:
        view = view_of(folder)
        if view.status == "succeeded" and "compiled" in view.artifacts:
            return folder.path / str(view.artifacts["compiled"]["path"])
    return None


def _report(
    context: WorkContext,
    about: dict[str, dict[str, Any]],
    samples: Samples,
    memory: dict[tuple[str, Shape], dict[str, Any]],
    at: dict[str, Any],
    warnings: list[str],
    generates: bool,
) -> dict[str, Any]:
    seed, recipe = context.recipe.seed, context.recipe.benchmark
    results, ratios, histograms = [], [], {}
    for (name, (rows, length)), values in samples.items():
        timing = summarise(values, seed)
        tokens = recipe.max_new_tokens if generates else length
        slow = samples.get(("eager", (rows, length)))
        ratio = ratio_of_medians(slow, values, seed) if slow and name != "eager" else None
        used = memory[name, (rows, length)]
        results.append(
            {
                "model": f"{name} ({about[name]['backend']} {about[name]['precision']})",
                "contestant": name,
                "batch_size": rows,
                "length": length,
                "speedup": ratio[0] if ratio else None,
                **timing.to_dict(),
                "rows_per_second": rows / timing.mean_ms * 1000,
                "tokens_per_second": rows * tokens / timing.mean_ms * 1000,
                "peak_memory_mb": round(used["peak_mb"], 1),
            }
        )
        histograms[f"{name}.b{rows}.l{length}"] = histogram(values)
        if ratio:
            ratios.append({"batch_size": rows, "length": length, "ratio": ratio[0], "low": ratio[1], "high": ratio[2]})
    resettable = all(each["resettable"] for each in memory.values())
    return {
        "results": results,
        "ratios": ratios,
        "histograms": histograms,
        "contestants": about,
        "measured": {**at, "settle": _SETTLE, "warmup": recipe.warmup, "repeats": recipe.repeats},
        "memory": "highest resident memory of each model's own process, Python and the runtime with it, no tokenizer, "
        + ("at this shape" if resettable else "up to and with this shape"),
        "max_new_tokens": recipe.max_new_tokens if generates else None,
        "warnings": warnings,
    }


def _metrics(report: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the first shape, and each shape's speed-up."""
    first = report["results"][0]
    names = ("p50_ms", "p95_ms", "p99_ms", "rows_per_second", "tokens_per_second", "peak_memory_mb", "batch_size")
    metrics = {"model": first["model"], "length": first["length"], **{name: first[name] for name in names}}
    for each in report["ratios"]:
        metrics[f"speedup.b{each['batch_size']}.l{each['length']}"] = each["ratio"]
    return metrics
