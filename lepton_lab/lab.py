"""The facade. Every front end calls this and nothing deeper.

::

    run = lepton_lab.train(task="text-classification", model="sample:minilm", dataset=reviews, epochs=2)
    run.wait()
    lepton_lab.compile(run)                     # queues behind it
    lepton_lab.predict(run, "A fine film.")     # waits for both
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import places, promotion, session
from .errors import LeptonError, Problem, RequestError, RunCancelled, RunFailed
from .promotion import list_models
from .record import (
    AliasMove,
    Event,
    RunFolder,
    RunTail,
    RunView,
    best_trial,
    children_of,
    folded_events,
    last_complete,
    list_runs,
    view_of,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from .comparison import Comparison
    from .recipe import Recipe
    from .work.predictor import Predictor

__all__ = [
    "Run",
    "attach",
    "benchmark",
    "cancel",
    "checkpoint",
    "clone",
    "compare",
    "compile",
    "load",
    "models",
    "plan",
    "predict",
    "promote",
    "remove_alias",
    "report",
    "resolve_run",
    "resume",
    "runs",
    "start",
    "submit",
    "sweep",
    "train",
    "use_cluster",
]

_POLL_SECONDS = 0.05
_WAKE_SECONDS = 2.0
_TAKEOVER_SECONDS = 30.0


class Run:
    """A run, whoever submitted it. Reading it never changes it."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        view = self.view()
        return f"Run({self.id!r}, {view.kind}, {view.status}, step {view.step} of {view.max_steps or '?'})"

    @property
    def id(self) -> str:
        """The run's id."""
        return self.folder.run

    @property
    def kind(self) -> str:
        """``train``, ``sweep``, ``compile`` or ``benchmark``."""
        return str(self.folder.header()["kind"])

    @property
    def recipe(self) -> Recipe:
        """The plan that this run executes."""
        return self.folder.recipe()

    @property
    def status(self) -> str:
        """``queued``, ``running``, ``succeeded``, ``failed``, ``cancelling``, ``cancelled`` or ``lost``."""
        return self.view().status

    @property
    def metrics(self) -> dict[str, Any]:
        """The final numbers; empty before the end."""
        return self.view().metrics

    @property
    def reports(self) -> dict[str, Any]:
        """``preflight``, ``metrics``, ``compile``, ``benchmark`` or ``sweep``, as far as there are any."""
        return self.view().reports

    @property
    def model_dir(self) -> Path | None:
        """The folder of the trained (or compiled) model, or None before there is one."""
        view = self.view()
        if view.kind == "sweep":
            return Run(best_trial(self.folder)).model_dir if view.status == "succeeded" else None
        found = view.artifacts.get("compiled") or view.artifacts.get("model")
        return self.folder.artifact_path(found) if found else None

    def view(self) -> RunView:
        """The run as it is now."""
        return view_of(self.folder)

    def events(self, raw: bool = False) -> list[Event]:
        """What happened, in order; each step once unless ``raw``."""
        found = self.folder.events()
        return found if raw else folded_events(found)

    def wait(self, on_view: Callable[[RunView], None] | None = None, timeout: float | None = None) -> Run:
        """Wait until the run is over, at most ``timeout`` seconds; ``on_view`` sees every change.

        Does not raise when the run failed: see :meth:`raise_for_status`. Raises TimeoutError.
        """
        from . import tracking

        tracking.wake_for(self.id)
        tail = RunTail(self.folder)
        deadline = None if timeout is None else time.monotonic() + timeout
        before = ""
        patience = time.monotonic() + _TAKEOVER_SECONDS
        is_looked_after, next_wake = False, 0.0
        while True:
            if time.monotonic() >= next_wake:
                # Whoever looks after it may die while we wait.
                is_looked_after, next_wake = _wake(self.folder), time.monotonic() + _WAKE_SECONDS
            fresh = tail.read()
            view = tail.view
            if view.status == "lost" and is_looked_after and self.folder.final() is None:
                # Nobody has looked after it for a while; the agent that was just woken takes it over.
                if time.monotonic() < patience:
                    time.sleep(_POLL_SECONDS)
                    continue
            else:
                patience = time.monotonic() + _TAKEOVER_SECONDS
            if on_view is not None and (fresh or view.status != before):
                on_view(view)
            before = view.status
            if view.is_over:
                return self
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"run {self.id} is {view.status} after {timeout:g} s")
            time.sleep(_POLL_SECONDS)

    def raise_for_status(self) -> Run:
        """Raise :class:`RunFailed` or :class:`RunCancelled` if that is how the run ended."""
        view = self.view()
        if view.status in ("failed", "lost"):
            raise RunFailed(self.id, failure_text(view))
        if view.status == "cancelled":
            raise RunCancelled(self.id)
        return self

    def cancel(self) -> Run:
        """Ask the run to save and stop."""
        from .dispatch import request_cancel

        if self.folder.final() is None:
            if self.folder.is_pulled:
                self.folder.ask("cancel")  # its own host does the rest
            else:
                request_cancel(self.folder)
        return self

    def checkpoint(self) -> Run:
        """Ask the run for a checkpoint at its next step; it goes on. Raises :class:`RequestError` unless it runs."""
        view = self.view()
        do = f"See: lepton show {self.id}"
        if view.kind != "train":
            raise RequestError(Problem("only a training saves checkpoints", f"run {self.id}, a {view.kind}", do))
        if view.status != "running":
            raise RequestError(Problem("only a running run can save a checkpoint", f"run {self.id}, {view.status}", do))
        self.folder.ask("save")
        return self

    def resume(self) -> Run:
        """Let a run that failed, was cancelled or was lost go on from its last complete checkpoint.

        It is the same run, with one more attempt; its curves continue. Raises :class:`RequestError`
        for a run that goes on or has succeeded, and :class:`ClusterError`.
        """
        from . import dispatch, planning, tracking

        if places.store_url():
            # What the store says of an end is never taken back.
            do = f"Start a new run from its checkpoint: lepton clone {self.id}"
            got = f"run {self.id} in {places.store_url()}"
            raise RequestError(Problem("a run in an object store cannot be resumed, in this version", got, do))
        final = self.folder.final()
        if final is None or final["status"] == "succeeded":
            do = f"Change and repeat it with: lepton clone {self.id}" if final else f"Watch it: lepton attach {self.id}"
            got = f"run {self.id}, {self.status}"
            raise RequestError(Problem("only a run that failed, was cancelled or lost can be resumed", got, do))
        recipe = self.recipe
        after = _unfinished_before(recipe)
        dispatch.check_readiness(recipe, planning.question_of(recipe))
        dispatch.hand_over_again(self.folder, recipe, dispatch.collect_environment(), after)
        tracking.follow_resumed(self.id)
        return self

    def children(self) -> list[Run]:
        """Compile and benchmark runs of this run, or the trials of this sweep, oldest first."""
        return [Run(folder) for folder in children_of(self.id)]

    def predict(self, inputs: Any) -> Any:
        """See :func:`predict`."""
        return predict(self, inputs)

    def figure(self, name: str = "loss", *, x: str = "step", log: bool = False, smoothing: float = 0.0) -> Figure:
        """A Plotly figure: ``loss``, ``scores``, ``learning_rate``, ``gradient_norm``, ``throughput``, ``memory``,
        ``latency``, ``candidates``, ``trials``, or any metric by its name (``eval_f1``).

        Of curves, ``x`` is ``step``, ``time`` or ``tokens``; ``log`` makes the other axis logarithmic; ``smoothing``,
        from 0 up to 1, is the weight of what was before. Raises :class:`RequestError`.
        """
        from .widgets.curves import Axes
        from .widgets.figures import figure

        return figure([self.view()], name, Axes(x, log, smoothing))


def failure_text(view: RunView) -> str:
    """Why a run failed, for people."""
    text = view.message or view.reason or "no reason was recorded"
    if view.problems:
        text = "\n".join(str(Problem(**problem)) for problem in view.problems)
    return f"Run {view.run} {view.status}: {text}\nSee: lepton show {view.run}"


def plan(
    kind: str,
    options: Mapping[str, Any],
    namespace: Mapping[str, Any] | None = None,
    yaml_text: str | None = None,
) -> Recipe:
    """A checked recipe; see :func:`lepton_lab.planning.plan`."""
    from . import planning

    return planning.plan(kind, options, namespace, yaml_text)


def submit(recipe: Recipe, namespace: Mapping[str, Any] | None = None) -> Run:
    """Check ``recipe``, write its run folder and hand it to the cluster. Returns at once.

    Raises :class:`RequestError` (nothing was left behind) or :class:`ClusterError`.
    """
    from . import planning
    from .data import frames_of_request
    from .recipe import TRAINING_KINDS

    with frames_of_request():
        run = start(planning.prepare(recipe, namespace))
    if run.kind in TRAINING_KINDS:
        session.remember(run.id)
    return run


def start(recipe: Recipe, parent: str | None = None, **details: Any) -> Run:
    """Write the folder of a run whose recipe was checked, and hand it to the cluster.

    ``parent`` is the sweep that it is a trial of; ``details`` are kept in its header. Raises as :func:`submit`.
    """
    from . import dispatch, planning, tracking

    after = _unfinished_before(recipe)
    dispatch.check_readiness(recipe, planning.question_of(recipe))
    folder = RunFolder.create(recipe, {"pid": os.getpid(), "cwd": os.getcwd(), **details}, parent)
    try:
        if places.store_url():
            from .record.remote import enlist

            enlist(folder.run)  # from now on what its parents end with is brought here at once
            _bring(folder)
        dispatch.hand_over(folder, recipe, dispatch.collect_environment(), after)
    except BaseException:
        # Nobody has it, so nobody will run it.
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    if tracking.is_wanted(recipe, parent):
        tracking.follow(folder.run)
    return Run(folder)


def ensure_handed_over(folder: RunFolder) -> None:
    """Hand a run over that was written and has not begun; one that was taken already stays where it is."""
    from . import dispatch, tracking

    if folder.final() is not None or folder.attempts():
        return
    recipe = folder.recipe()
    dispatch.hand_over(folder, recipe, dispatch.collect_environment(), [])
    if tracking.is_wanted(recipe, folder.header()["parent"]):
        tracking.follow(folder.run)


def train(recipe: Recipe | None = None, *, wait: bool = False, **options: Any) -> Run:
    """Fine-tune a model. Options are the recipe's fields by name (``task``, ``model``, ``dataset``, ``lr`` …).

    ``dataset`` may be a data frame. Returns at once unless ``wait``; then raises if the run failed.
    """
    from . import planning

    options, namespace = name_frames(options)
    plan_of_run = recipe if recipe is not None else planning.read_recipe("train", options, namespace)
    return _started(submit(plan_of_run, namespace), wait)


def sweep(recipe: Recipe | None = None, *, wait: bool = False, **options: Any) -> Run:
    """Search for good settings: ``search={"lr": "1e-5..1e-3:log", "lora_r": [4, 8]}``, ``trials``, ``pruner`` …

    Options are those of :func:`train` and of the recipe's section ``sweep``. Each trial is a run of its own
    (:meth:`Run.children`); the sweep answers with the model of its best one.
    """
    from . import planning

    options, namespace = name_frames(options)
    plan_of_run = recipe if recipe is not None else planning.read_recipe("sweep", options, namespace)
    return _started(submit(plan_of_run, namespace), wait)


def compile(run: Run | str = "last", *, wait: bool = False, **options: Any) -> Run:
    """Make a trained model fast, and prove that it answers the same. Queues behind the training."""
    from . import planning

    return _started(submit(planning.read_recipe("compile", {**options, "parent": _id(run)})), wait)


def benchmark(run: Run | str = "last", *, wait: bool = False, **options: Any) -> Run:
    """Measure latency, throughput and memory of a model. Queues behind training and compilation."""
    from . import planning

    return _started(submit(planning.read_recipe("benchmark", {**options, "parent": _id(run)})), wait)


def use_cluster(provider: str, *, name: str | None = None, **options: Any) -> dict[str, Any]:
    """Send runs that name no cluster to this one from now on: ``use_cluster("ssh", hosts=["gpu1"], name="lab")``.

    Options are those of ``lepton cluster use PROVIDER``; starts nothing. Raises :class:`RequestError`.
    """
    from .dispatch.providers.choosing import use_provider
    from .dispatch.providers.saved import default_name

    return use_provider(provider, options, name or default_name(provider))


def resume(run: Run | str = "last", *, wait: bool = False) -> Run:
    """See :meth:`Run.resume`."""
    return _started(attach(run).resume(), wait)


def checkpoint(run: Run | str = "last") -> Run:
    """See :meth:`Run.checkpoint`."""
    return attach(run).checkpoint()


def clone(run: Run | str = "last", *, wait: bool = False, from_checkpoint: bool = False, **options: Any) -> Run:
    """A new run with the recipe of ``run`` and changed options (``lr`` …): see :func:`train`.

    With ``from_checkpoint`` it goes on from the last complete checkpoint of ``run`` instead of from the beginning.
    """
    options, namespace = name_frames(options)
    return _started(submit(clone_recipe(attach(run), options, namespace, from_checkpoint), namespace), wait)


def clone_recipe(
    run: Run, options: Mapping[str, Any], namespace: Mapping[str, Any] | None = None, from_checkpoint: bool = False
) -> Recipe:
    """The recipe of :func:`clone`. Raises :class:`RequestError`."""
    from . import planning

    if from_checkpoint:
        found = last_complete(run.folder)
        if found is None:
            do = "Leave --from-checkpoint out, or ask the run for one: lepton checkpoint"
            raise RequestError(Problem("a clone goes on from a complete checkpoint", f"none of run {run.id}", do))
        options = {"resume_from_checkpoint": str(found), **options}
    yaml_text = (run.folder.path / "recipe.yaml").read_text(encoding="utf-8")
    return planning.read_recipe(run.kind, options, namespace, yaml_text)


def predict(run: Run | str, inputs: Any) -> Any:
    """The model's answer to one input (a dict) or to a list of inputs (a list of dicts).

    Waits for a training, and for its compilation if one is queued; answers through the picked backend.
    """
    if hasattr(inputs, "tolist"):  # a column of a data frame, an array
        inputs = inputs.tolist()
    many = isinstance(inputs, Sequence) and not isinstance(inputs, (str, bytes))
    answers = load(run).predict(list(inputs) if many else [inputs])
    return answers if many else answers[0]


def load(run: Run | str = "last") -> Predictor:
    """The model of a run, ready to answer, through the backend that its newest compilation picked.

    A benchmark run stands for the run that it measured, a sweep that has ended for its best trial.
    """
    from . import planning

    found = model_run(attach(run))
    found.wait().raise_for_status()
    for folder in planning.pending_of(found.folder):
        Run(folder).wait()
    compiled = _newest_compiled(found)
    _bring(RunFolder(found.folder.path.with_name(compiled)) if compiled else found.folder)
    return _predictor(found.folder.path, compiled)


def model_run(run: Run) -> Run:
    """The run whose model answers for ``run``: itself, what a benchmark measured, or the best trial of a sweep.

    Raises :class:`RunNotFound` for a sweep that goes on, and :class:`RunFailed` or :class:`RunCancelled`.
    """
    while run.kind == "benchmark":
        run = Run(RunFolder(run.folder.path.with_name(run.folder.header()["parent"])))
    if run.kind == "sweep":
        run = Run(best_trial(run.raise_for_status().folder))
    return run


def runs(limit: int | None = None) -> list[dict[str, Any]]:
    """Every run, newest first."""
    rows = list_runs(limit)
    _wake(*(RunFolder.named(row["run"]) for row in rows if row["status"] not in ("succeeded", "failed", "cancelled")))
    return rows


def models(limit: int | None = None) -> list[dict[str, Any]]:
    """Models that runs left: those with an alias first, then the others, newest first.

    Keys: ``run, aliases, kind, name, task, base_model, metric, value, backend, precision, verdict, bytes,
    created, path``.
    """
    return list_models(limit)


def promote(run: Run | str = "last", *, alias: str, name: str | None = None) -> AliasMove:
    """Let ``alias`` name this run's model from now on: ``load("champion")``, ``predict("champion", …)``.

    ``name`` groups the versions of one model, where a home has several: its alias is then ``NAME@ALIAS``.
    The result has ``previous``, the run that it named before. Raises :class:`RequestError` for a run without
    a model, and for a compilation that failed its parity check.
    """
    from . import tracking

    found = attach(run)
    model = best_trial(found.folder) if found.kind == "sweep" else found.folder
    move = promotion.promote(model, alias, name)
    tracking.follow_moved_alias(move)
    return move


def remove_alias(alias: str, *, name: str | None = None) -> AliasMove:
    """Let ``alias`` name no run; its history stays."""
    from . import tracking

    move = promotion.remove_alias(alias, name)
    tracking.follow_moved_alias(move)
    return move


def compare(*runs: Run | str, every: bool = False) -> Comparison:
    """Runs side by side: the settings and the final numbers that differ, with ``every`` all of them.

    A sweep stands for its trials, the best first. ``.figure("loss")`` has all curves in one figure, and
    ``.figure("parallel")`` a line a run through its settings. Raises :class:`RequestError` below two runs.
    """
    from .comparison import compare_runs

    return compare_runs([attach(run).folder for run in runs], every)


def report(*runs: Run | str, path: str | os.PathLike[str] | None = None) -> Path:
    """Write one HTML file about these runs (default: last) and what followed them; where it is.

    It needs nothing beside itself. Of several runs, and of a sweep, the comparison is in it. Default path:
    ``lepton-report-RUN.html`` in the current folder. Raises :class:`OutputError` rather than replace another file.
    """
    from .comparison import compare_runs, with_trials
    from .widgets.report import report_html, write_report

    found = list({run.id: run for run in map(attach, runs or ("last",))}.values())
    stories = [
        [run.view(), *(child.view() for child in (run.children() if run.kind != "sweep" else ()))] for run in found
    ]
    compared = {each.run: each for run in found for each in with_trials(run.folder)}
    comparison = compare_runs(compared.values()) if len(compared) > 1 else None
    wanted = Path(path) if path is not None else Path(f"lepton-report-{'-'.join(run.id for run in found[:3])}.html")
    return write_report(wanted.expanduser(), report_html(stories, comparison))


def attach(run: Run | str = "last") -> Run:
    """A run submitted by anybody, at any time, with its full history."""
    found = run if isinstance(run, Run) else Run(resolve_run(run))
    _wake(found.folder)
    return found


def cancel(run: Run | str) -> Run:
    """Ask a run to save and stop."""
    return attach(run).cancel()


def resolve_run(word: str) -> RunFolder:
    """The run that ``word`` names: ``last``, an id, an alias, a name, or an unambiguous prefix."""
    return session.resolve_run(word)


def _wake(*folders: RunFolder) -> bool:
    """See that an agent looks after those of these runs that were submitted here; whether it does so for any."""
    from . import dispatch

    try:
        return bool(dispatch.wake_all(folders))
    except (OSError, LeptonError):
        return False  # who only looks need not be able to start anything


def _started(run: Run, wait: bool) -> Run:
    return run.wait().raise_for_status() if wait else run


def _id(run: Run | str) -> str:
    return run.id if isinstance(run, Run) else run


def name_frames(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options in which paths became text and objects ``var:NAME``, and the namespace that holds them."""
    named, namespace = {}, {}
    for name, value in options.items():
        is_data = name in ("dataset", "validation_dataset", "eval_dataset", "test_dataset")
        if value is None:
            continue
        if isinstance(value, os.PathLike):
            named[name] = f"file:{os.fspath(value)}" if is_data else os.fspath(value)
        elif is_data and not isinstance(value, str):
            namespace[name] = value
            named[name] = f"var:{name}"
        else:
            named[name] = value
    return named, namespace


def _unfinished_before(recipe: Recipe) -> list[str]:
    """Runs that must end before this one starts."""
    from . import planning

    if not recipe.parent:
        return []
    parent = resolve_run(recipe.parent)
    waiting = [parent] if parent.final() is None else []
    if recipe.kind == "benchmark":
        waiting += planning.pending_of(parent)
    return [folder.run for folder in waiting]


def _bring(folder: RunFolder) -> None:
    """Have here what a run that ended elsewhere left, and the runs that it builds on with their compilations."""
    while True:
        for artifact in view_of(folder).artifacts.values():
            folder.artifact_path(artifact)
        parent = folder.header().get("parent")
        if not parent:
            return
        folder = RunFolder(folder.path.with_name(parent))
        for child in children_of(parent, ["compile"]):
            for artifact in view_of(child).artifacts.values():
                child.artifact_path(artifact)


def _newest_compiled(run: Run) -> str:
    """The id of the newest compilation that succeeded, or an empty string."""
    for child in reversed(run.children()):
        if child.kind == "compile" and child.status == "succeeded":
            return child.id
    return ""


@lru_cache(maxsize=2)
def _predictor(path: Path, compiled: str) -> Predictor:
    """A loaded model; a new compilation of the run makes a new one."""
    from .work.predictor import load_predictor

    return load_predictor(RunFolder(path.with_name(compiled)) if compiled else RunFolder(path))
