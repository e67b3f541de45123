"""Which runs left a model, which of them have an alias, and which may get one.

A model version is a training or compilation that succeeded: its id is the version. An alias names
one of them and moves (see :mod:`lepton_lab.record.aliases`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .errors import Problem, RequestError
from .record import AliasMove, RunFolder, alias_word, aliases, children_of, list_runs, move_alias, view_of

VERSION_KINDS = ("train", "compile")
"""Kinds of runs that leave a model."""

# Looked for where the task's main metric is not among the numbers (it may depend on the labels).
_METRICS = ("accuracy", "f1", "r2", "loss")


def promote(folder: RunFolder, alias: str, name: str | None = None) -> AliasMove:
    """Let ``alias`` (of the model ``name``, where one is given) name this run from now on.

    Raises :class:`RequestError` for a run without a model, or whose compilation failed its parity check.
    """
    word = alias_word(alias, name)
    problems = _obstacles(folder)
    if problems:
        raise RequestError(*problems)
    return move_alias(word, folder.run)


def remove_alias(alias: str, name: str | None = None) -> AliasMove:
    """Let ``alias`` name no run. Its history stays. Raises :class:`RequestError` if it names none."""
    word = alias_word(alias, name)
    known = aliases()
    if word not in known:
        do = f"Aliases are: {', '.join(known)}." if known else "There are none; see: lepton promote --help"
        raise RequestError(Problem("there is no such alias", repr(word), do, where="alias"))
    return move_alias(word, None)


def list_models(limit: int | None = None) -> list[dict[str, Any]]:
    """Model versions: first those with an alias, by its word, then the newest ``limit`` others (None: all).

    Keys: ``run, aliases, kind, name, task, base_model, metric, value, backend, precision, verdict, bytes,
    created, path``. ``backend`` of a training run is what its newest compilation picked.
    """
    rows = list_runs()
    versions = {row["run"]: row for row in rows if row["kind"] in VERSION_KINDS and row["status"] == "succeeded"}
    compiled: dict[str, Mapping[str, Any]] = {}
    for row in versions.values():  # newest first
        if row["kind"] == "compile":
            compiled.setdefault(row["parent"], row["metrics"])
    words: dict[str, list[str]] = {}
    for word, move in aliases().items():
        words.setdefault(str(move.run), []).append(word)
    promoted = [run for run in words if run in versions]
    others = [run for run in versions if run not in words]
    found = []
    for run in [*promoted, *others[:limit]]:
        row = versions[run]
        picked = row["metrics"] if row["kind"] == "compile" else compiled.get(run, {})
        artifact = _model_of(RunFolder.named(run)) or {}
        metric, value = main_number(row["task"], row["metrics"])
        found.append(
            {
                "run": run,
                "aliases": words.get(run, []),
                **{key: row[key] for key in ("kind", "name", "task")},
                "base_model": row["model"],
                "metric": metric,
                "value": value,
                "backend": picked.get("backend"),
                "precision": picked.get("precision"),
                "verdict": verdict_of(picked),
                "bytes": artifact.get("bytes"),
                "created": row["created"],
                "path": artifact.get("path"),
            }
        )
    return found


def main_number(task: str | None, metrics: Mapping[str, Any]) -> tuple[str | None, float | None]:
    """(name, value) of the number that a model is judged by: on test rows, else on validation rows."""
    for name in (*_main_metrics(task), *_METRICS):
        for part in ("test", "eval", "validation"):
            value = metrics.get(f"{part}_{name}")
            if isinstance(value, (int, float)):
                return f"{part}_{name}", float(value)
    return None, None


def verdict_of(metrics: Mapping[str, Any]) -> str | None:
    """What the parity check of a compilation said: on the test rows, where there were any."""
    found = metrics.get("test_verdict") or metrics.get("validation_verdict")
    return str(found) if found else None


def _obstacles(folder: RunFolder) -> list[Problem]:
    view = view_of(folder)
    do = "Name another run; see: lepton models"
    if view.kind not in VERSION_KINDS:
        return [Problem(f"run {folder.run} left no model", f"a {view.kind} run", do, where="run")]
    if view.status != "succeeded":
        return [Problem("only a run that succeeded can be promoted", f"{folder.run}, {view.status}", do, where="run")]
    if _model_of(folder) is None:
        return [Problem(f"the model of run {folder.run} is gone", "no model folder", do, where="run")]
    # What answers for a training run is its newest compilation.
    judged: tuple[str, Mapping[str, Any]] = (folder.run, view.metrics)
    if view.kind == "train":
        judged = next(_compilations(folder.run), judged)
    compilation, metrics = judged
    if verdict_of(metrics) == "fail":
        what = f"compilation {compilation} does not answer like the trained model"
        do = f"Compile again with another --backend or --precision; see: lepton show {compilation}"
        return [Problem(what, "the parity verdict fail", do, where="run")]
    return []


def _compilations(run: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(id, metrics) of the compilations of a run that succeeded, newest first."""
    for folder in reversed(children_of(run, ("compile",))):
        final = folder.final() or {}
        if final.get("status") == "succeeded":
            yield folder.run, final.get("metrics") or {}


def _model_of(folder: RunFolder) -> dict[str, Any] | None:
    """``path`` and ``bytes`` of the model that a run left, or None."""
    artifacts = view_of(folder).artifacts
    found = artifacts.get("compiled") or artifacts.get("model")
    if found is None or not (folder.path / found["path"]).exists():
        return None
    return {"path": str(folder.path / found["path"]), "bytes": found["bytes"]}


def _main_metrics(task: str | None) -> Iterator[str]:
    from .registry import load_task

    try:
        yield load_task(str(task)).main_metric
    except (RequestError, ImportError):
        return  # a third party's task that is not installed here
