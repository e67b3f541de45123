"""From options to a recipe that can run: resolved, filled in and checked, nothing written.

Torch free, so that a wrong request is answered in a second or two.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import places
from .errors import Problem, RequestError
from .recipe import Recipe, build_recipe, recipe_from_yaml
from .recipe.defaults import resolve_defaults
from .record import RunFolder, view_of
from .registry import backend_names, load_backend, load_task
from .session import resolve_run

# Bytes kept free beside what a run is expected to write.
_MARGIN_BYTES = 200 * 2**20


def plan(
    kind: str,
    options: Mapping[str, Any],
    namespace: Mapping[str, Any] | None = None,
    yaml_text: str | None = None,
) -> Recipe:
    """A checked recipe from options by name, on top of YAML where there is some.

    ``namespace`` is where ``var:NAME`` looks for data frames. Raises
    :class:`RequestError` with every problem found.
    """
    if yaml_text is None:
        recipe = build_recipe(kind, options)
    else:
        recipe = recipe_from_yaml(yaml_text, options, kind)
    return prepare(recipe, namespace)


def prepare(recipe: Recipe, namespace: Mapping[str, Any] | None = None) -> Recipe:
    """``recipe`` with names resolved and defaults filled in, after every check that needs no torch."""
    if recipe.kind == "train":
        return _prepare_train(recipe, namespace)
    return _prepare_child(recipe)


def _prepare_train(recipe: Recipe, namespace: Mapping[str, Any] | None) -> Recipe:
    from . import data
    from .work.models.source import check_model_source
    from .work.outputs import check_output_dir

    task = load_task(str(recipe.task))
    recipe = resolve_defaults(recipe)
    problems: list[Problem] = []
    words = {
        name: getattr(recipe.data, name)
        for name in ("dataset", "validation_dataset", "test_dataset")
        if getattr(recipe.data, name)
    }
    resolved = {}
    for name, word in words.items():
        _collect(problems, lambda name=name, word=word: resolved.update({name: data.resolve_dataset(word, namespace)}))  # type: ignore[misc]
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=resolved)})
    _collect(
        problems,
        lambda: problems.extend(
            check_model_source(str(recipe.model), task, recipe.train.allow_pickle, recipe.train.trust_remote_code)
        ),
    )
    if len(resolved) == len(words):
        _collect(problems, lambda: _check_data(recipe, task, not problems))
    if recipe.output_dir:
        recipe = recipe.model_copy(update={"output_dir": str(Path(recipe.output_dir).expanduser().absolute())})
        problems += check_output_dir(Path(str(recipe.output_dir)))
    problems += _check_space(recipe)
    problems += _check_cluster(recipe)
    if problems:
        raise RequestError(*problems)
    return recipe


def _prepare_child(recipe: Recipe) -> Recipe:
    parent = resolve_run(str(recipe.parent))
    header = parent.header()
    if recipe.kind == "compile" and header["kind"] != "train" and header.get("parent"):
        parent = resolve_run(header["parent"])
        header = parent.header()
    view = view_of(parent)
    if view.is_over and view.status != "succeeded":
        raise RequestError(
            Problem(
                f"run {parent.run} has no model to {recipe.kind}",
                f"a run that ended {view.status}",
                "Name another run; see: lepton runs",
                where="parent",
            )
        )
    if recipe.kind == "compile" and recipe.compile.backend != "auto":
        _check_backend(recipe.compile.backend)
    problems = _check_cluster(recipe)
    if problems:
        raise RequestError(*problems)
    return recipe.model_copy(update={"parent": parent.run, "task": header["task"], "model": header["model"]})


def _check_backend(name: str) -> None:
    from .errors import MissingExtra

    if name not in backend_names():
        load_backend(name)  # raises with the nearest name
    backend = load_backend(name)
    missing = backend.missing()
    if missing:
        raise MissingExtra(", ".join(missing), backend.extra, f"the backend {name}")


def _collect(problems: list[Problem], check: Callable[[], None]) -> None:
    """Run one check; what it refuses joins the others."""
    try:
        check()
    except RequestError as error:
        problems.extend(error.problems)


def _check_data(recipe: Recipe, task: Any, model_is_fine: bool) -> None:
    from . import data
    from .work.models.source import local_model_dir

    splits = data.load_splits(recipe, task.needs, whole=False)
    folder = local_model_dir(str(recipe.model)) if model_is_fine else None
    if task.generates and folder is not None:
        data.check_masks(splits, folder, recipe.data.max_length or 512, recipe.train.completion_only_loss)


def _check_space(recipe: Recipe) -> list[Problem]:
    """Refuse a run whose checkpoints cannot fit. A full fine-tuning checkpoint holds the
    weights and two moments of AdamW, each as large as the fp32 weights; LoRA's is small."""
    from .work.models.source import local_model_dir

    try:
        folder = local_model_dir(str(recipe.model))
    except RequestError:
        return []  # reported by the model check
    if folder is None:
        return []
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors")) or sum(
        path.stat().st_size for path in folder.glob("*.gguf")
    )
    per_checkpoint = 3 * weights if recipe.peft.method == "none" else weights // 5
    copies = recipe.train.save_total_limit + 1 if recipe.train.save_strategy != "no" else 0
    needed = weights + per_checkpoint * copies + _MARGIN_BYTES
    home = places.lepton_home()
    existing = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free >= needed:
        return []
    return [
        Problem(
            f"this run needs about {needed / 2**20:,.0f} MB of disk in {home}",
            f"{free / 2**20:,.0f} MB free",
            "Free some with: lepton prune, or set LEPTON_HOME to a larger disk.",
        )
    ]


def _check_cluster(recipe: Recipe) -> list[Problem]:
    cluster = recipe.resources.cluster
    if cluster == "local" or cluster.startswith(("tcp://", "tls://")):
        return []
    do = "Set --cluster local, or the tls:// address of a scheduler."
    return [Problem("there is no such cluster", repr(cluster), do, where="resources.cluster")]


def pending_of(folder: RunFolder, kinds: tuple[str, ...] = ("compile",)) -> list[RunFolder]:
    """Children of a run of these kinds that have not ended, oldest first."""
    from .record import run_folders

    found = []
    for each in run_folders():
        header = each.header()
        if header.get("parent") == folder.run and header["kind"] in kinds and each.final() is None:
            found.append((header["created"], each))
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]
