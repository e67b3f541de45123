"""From options to a recipe that can run: resolved, filled in and checked, nothing written.

Torch free, so that a wrong request is answered in a second or two.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import places
from .errors import MissingExtra, Problem, RecipeError, RequestError, RunNotFound
from .recipe import TRAINING_KINDS, Recipe, build_recipe, grid_of, read_search, recipe_from_yaml, with_values
from .recipe.defaults import resolve_defaults
from .record import RunFolder, best_trial, children_of, view_of
from .registry import backend_names, load_backend, load_task
from .session import resolve_run
from .tracking import check_mlflow, is_wanted

if TYPE_CHECKING:
    from .data import Splits
    from .dispatch.readiness import Question
    from .recipe import Dimension
    from .work.tasks.task import Task


_LARGEST_GRID = 10_000


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
    return prepare(read_recipe(kind, options, namespace, yaml_text), namespace)


def read_recipe(
    kind: str,
    options: Mapping[str, Any],
    namespace: Mapping[str, Any] | None = None,
    yaml_text: str | None = None,
) -> Recipe:
    """The recipe as it was written, for :func:`prepare`.

    One that breaks the schema is refused together with all that :func:`prepare` would refuse.
    """
    from .data import frames_of_request

    try:
        return build_recipe(kind, options) if yaml_text is None else recipe_from_yaml(yaml_text, options, kind)
    except RecipeError as error:
        if error.rest is None:
            raise
        problems = list(error.problems)
        rest = error.rest
    with frames_of_request():
        _collect(problems, lambda: problems.extend(_examine(rest, namespace)[1]))
        raise RecipeError(*problems)


def prepare(recipe: Recipe, namespace: Mapping[str, Any] | None = None) -> Recipe:
    """``recipe`` with names resolved and defaults filled in, after every check that needs no torch."""
    from .data import frames_of_request

    with frames_of_request():
        ready, problems = _examine(recipe, namespace)
        if problems:
            raise RequestError(*problems)
        return ready


def _examine(recipe: Recipe, namespace: Mapping[str, Any] | None) -> tuple[Recipe, list[Problem]]:
    """The recipe made ready, as far as it can be, and what is wrong with it. It may lack its main fields."""
    problems: list[Problem] = []
    recipe = _place_output(_choose_cluster(recipe, problems), problems)
    if recipe.kind in TRAINING_KINDS:
        recipe = _examine_train(recipe, namespace, problems)
    else:
        recipe = _examine_child(recipe, problems)
    if is_wanted(recipe):
        _collect(problems, check_mlflow)
    return recipe, [*problems, *_check_cluster(recipe), *_check_places()]


def _examine_train(recipe: Recipe, namespace: Mapping[str, Any] | None, problems: list[Problem]) -> Recipe:
    from . import data
    from .work.training.versions import check_transformers
    from .work.training.wishes import check_trackers, check_wishes

    tasks: list[Task] = []
    if recipe.task:
        _collect(problems, lambda: tasks.append(load_task(str(recipe.task))))
    task = tasks[0] if tasks else None
    recipe = resolve_defaults(recipe)
    resolved: dict[str, str] = {}
    words = {name: getattr(recipe.data, name) for name in ("dataset", "validation_dataset", "test_dataset")}
    words = {name: word for name, word in words.items() if word}
    for name, word in words.items():
        _collect(problems, lambda name=name, word=word: resolved.update({name: data.resolve_dataset(word, namespace)}))  # type: ignore[misc]
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=resolved)})
    model_is_fine = _check_model(recipe, task, problems)
    splits: list[Splits] = []
    if task is not None and "dataset" in words and len(resolved) == len(words):
        _collect(problems, lambda: _check_data(recipe, task, model_is_fine, splits))
    if recipe.resources.cluster == "local":  # what another place has is found out there
        problems += [*check_trackers(recipe), *check_transformers()]
    problem_type = splits[0].problem_type if splits else None
    if task is not None:
        problems += check_wishes(recipe, task, problem_type)
    if recipe.kind == "sweep":
        recipe = _examine_search(recipe, task, problem_type, problems)
    if recipe.train.resume_from_checkpoint:
        checkpoint = Path(recipe.train.resume_from_checkpoint).expanduser().absolute()
        train = recipe.train.model_copy(update={"resume_from_checkpoint": str(checkpoint)})
        recipe = recipe.model_copy(update={"train": train})
        problems += _check_checkpoint(checkpoint)
    problems += _check_space(recipe)
    return recipe


def _examine_search(recipe: Recipe, task: Task | None, problem_type: str | None, problems: list[Problem]) -> Recipe:
    from .work.training.objective import resolve_objective

    if importlib.util.find_spec("optuna") is None:
        problems.extend(MissingExtra("optuna", "sweep", "a sweep").problems)
    dimensions, wrong = read_search(recipe.sweep.search, recipe)
    problems += wrong
    for each in dimensions:
        # What decides whether a model can be used is looked at for every value; numbers were checked by their fields.
        if each.path in ("model", "peft.method", "data.max_length"):
            for value in each.ends:
                found: list[Problem] = []
                _check_model(with_values(recipe, {each.path: value}), task, found)
                problems += [problem for problem in found if problem not in problems]
    if recipe.sweep.sampler == "grid" and not wrong:
        problems += _check_grid(dimensions)
    if task is not None:
        recipe, wrong = resolve_objective(recipe, task, problem_type)
        problems += wrong
    return recipe


def _check_grid(dimensions: list[Dimension]) -> list[Problem]:
    do = "List what to try, for example lr=1e-5,1e-4, or set --sampler tpe."
    endless = [each.text for each in dimensions if each.count is None]
    if endless:
        return [Problem("a grid has no end with such a range", ", ".join(endless), do, where="sweep.search")]
    size = grid_of(dimensions) or 0
    if size > _LARGEST_GRID:
        what = f"a grid has at most {_LARGEST_GRID:,} combinations"
        return [Problem(what, f"{size:,}", "Try fewer values, or set --sampler tpe.", where="sweep.search")]
    return []


def _check_model(recipe: Recipe, task: Task | None, problems: list[Problem]) -> bool:
    """Whether the model can be used for the task, or for any when the task is not known."""
    from .work.models.layers import check_target_modules
    from .work.models.source import check_length, check_model_source, local_model_dir, read_config

    before = len(problems)
    if not recipe.model:
        return False
    model, train = recipe.model, recipe.train
    _collect(
        problems,
        lambda: problems.extend(check_model_source(model, task, train.allow_pickle, train.trust_remote_code)),
    )
    is_fine = len(problems) == before
    folder = local_model_dir(model) if is_fine else None
    if folder is not None:
        problems += check_length(recipe.data.max_length, read_config(folder))
    if folder is not None and recipe.peft.method == "lora":
        problems += check_target_modules(recipe.peft.target_modules, folder)
    return is_fine


def _examine_child(recipe: Recipe, problems: list[Problem]) -> Recipe:
    if recipe.kind == "compile" and recipe.compile.backend != "auto":
        _collect(problems, lambda: _check_backend(recipe.compile.backend))
    if not recipe.parent:
        return recipe
    try:
        parent = resolve_run(recipe.parent)
    except RunNotFound as error:
        if not problems:
            raise
        problems.extend(error.problems)
        return recipe
    if parent.header()["kind"] == "sweep":
        parent = best_trial(parent)
    header = parent.header()
    if recipe.kind == "compile" and header["kind"] != "train" and header.get("parent"):
        parent = resolve_run(header["parent"])
        header = parent.header()
    view = view_of(parent)
    if view.is_over and view.status != "succeeded":
        problems.append(
            Problem(
                f"run {parent.run} has no model to {recipe.kind}",
                f"a run that ended {view.status}",
                "Name another run; see: lepton runs",
                where="parent",
            )
        )
    return recipe.model_copy(update={"parent": parent.run, "task": header["task"], "model": header["model"]})


def _check_backend(name: str) -> None:
    from .errors import MissingExtra

    if name not in backend_names():
        load_backend(name)  # raises with the nearest name
    backend = load_backend(name)
    missing = backend.missing()
    if missing:
        raise MissingExtra(", ".join(missing), backend.extra, f"the backend {name}")


def _collect(problems: list[Problem], check: Callable[[], object]) -> None:
    """Run one check; what it refuses joins the others."""
    try:
        check()
    except RequestError as error:
        problems.extend(error.problems)


def _check_data(recipe: Recipe, task: Any, model_is_fine: bool, found: list[Splits]) -> None:
    """Read the data, into ``found``, and check it as far as that needs no tokenizer of the worker."""
    from . import data
    from .work.models.source import local_model_dir

    splits = data.load_splits(recipe, task.needs, whole=False)
    found.append(splits)
    folder = local_model_dir(str(recipe.model)) if model_is_fine else None
    if task.generates and folder is not None:
        data.check_masks(splits, folder, recipe.data.max_length or 512, recipe.train.completion_only_loss)


def _place_output(recipe: Recipe, problems: list[Problem]) -> Recipe:
    """``recipe`` with its output folder as an absolute path: the work is done in another folder."""
    from .work.outputs import check_output_dir

    if not recipe.output_dir:
        return recipe
    path = Path(recipe.output_dir).expanduser().absolute()
    problems += check_output_dir(path)
    return recipe.model_copy(update={"output_dir": str(path)})


def _check_checkpoint(checkpoint: Path) -> list[Problem]:
    if (checkpoint / "trainer_state.json").is_file():
        return []
    do = "Name a folder checkpoint-N that a training wrote."
    return [Problem("there is no such checkpoint", str(checkpoint), do, where="train.resume_from_checkpoint")]


def _check_space(recipe: Recipe) -> list[Problem]:
    from .work.models.source import local_model_dir
    from .work.space import check_space

    try:
        folder = local_model_dir(recipe.model) if recipe.model else None
    except RequestError:
        return []  # reported by the model check
    return check_space(recipe, folder, places.lepton_home()) if folder is not None else []


def _choose_cluster(recipe: Recipe, problems: list[Problem]) -> Recipe:
    """``recipe`` with the user's own default cluster, unless it names one."""
    from .dispatch.providers.saved import load_clusters

    if "cluster" in recipe.resources.model_fields_set:
        return recipe
    chosen: list[str] = []
    _collect(problems, lambda: chosen.append(load_clusters().default))
    resources = recipe.resources.model_copy(update={"cluster": chosen[0] if chosen else "local"})
    return recipe.model_copy(update={"resources": resources})


def _check_cluster(recipe: Recipe) -> list[Problem]:
    from .dispatch.providers import find_provider

    try:
        find_provider(recipe.resources.cluster)
    except RequestError as error:
        return list(error.problems)
    return []


def question_of(recipe: Recipe) -> Question:
    """What the run will need of the worker that it goes to."""
    from .dispatch.readiness import Question, way_out

    packages = {"the work": ["torch", "transformers", "accelerate", "datasets"]}
    extras: dict[str, str] = {}
    if recipe.kind in TRAINING_KINDS and recipe.peft.method != "none":
        packages["the work"].append("peft")
    if recipe.kind == "compile" and recipe.compile.backend != "auto":
        backend = load_backend(recipe.compile.backend)
        what = f"the backend {backend.name}"
        packages[what] = [*backend.packages, *backend.build_packages]
        extras[what] = backend.extra
    data = recipe.data
    words = [
        data.dataset,
        data.validation_dataset,
        data.test_dataset,
        recipe.model,
        recipe.train.resume_from_checkpoint,
    ]
    named = [word for word in words if word] if recipe.kind in TRAINING_KINDS else []
    paths = [word.removeprefix("file:") for word in named]
    hosts = set()
    if any(word.startswith("hub:") for word in named) or (recipe.kind in TRAINING_KINDS and _is_on_hub(recipe.model)):
        hosts.add(way_out(os.environ.get("HF_ENDPOINT") or "https://huggingface.co", os.environ))
    return Question(packages, extras, tuple(path for path in paths if Path(path).is_absolute()), tuple(hosts))


def _is_on_hub(model: str | None) -> bool:
    from .work.models.source import local_model_dir

    return bool(model) and local_model_dir(str(model)) is None


def _check_store() -> None:
    """Refuse an object store that cannot be spoken to. Nothing is asked of it yet."""
    from .record.remote import open_bucket

    open_bucket()


def _check_places() -> list[Problem]:
    """Whether runs and their state can be written where the environment says."""
    from .dispatch.security import valid_days

    problems: list[Problem] = []
    _collect(problems, valid_days)
    if places.store_url():
        _collect(problems, _check_store)
    for name, path in (("LEPTON_HOME", places.lepton_home()), ("LEPTON_STATE_DIR", places.state_root())):
        existing = next(each for each in (path, *path.parents) if each.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            got = f"{existing}, which is {'read-only' if existing.is_dir() else 'a file'}"
            problems.append(Problem(f"{name} cannot be written", got, f"Set {name} to a folder of yours."))
    return problems


def pending_of(folder: RunFolder, kinds: tuple[str, ...] = ("compile",)) -> list[RunFolder]:
    """Children of a run of these kinds that have not ended, oldest first."""
    return [each for each in children_of(folder.run, kinds) if each.final() is None]
