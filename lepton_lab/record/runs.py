"""All runs of a home: listed newest first, found by id, alias, name or prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import places
from ..errors import Problem, RunNotFound
from .aliases import find_alias
from .folder import RunFolder
from .index import Answer, RunIndex, ask_index
from .view import view_of


def _ask(question: Callable[[RunIndex], Answer]) -> Answer:
    """What the index says, after a look for the runs of other hosts."""
    if places.store_url():
        from .remote import refresh_runs

        refresh_runs()
    return ask_index(question)


def run_folders() -> Iterator[RunFolder]:
    """Every run of ``LEPTON_HOME``, in no order."""
    root = places.runs_dir()
    if root.is_dir():
        for path in root.iterdir():
            if not path.name.startswith(".") and (path / "run.json").is_file():
                yield RunFolder(path)


def list_runs(limit: int | None = None) -> list[dict[str, Any]]:
    """Runs newest first: ``run, status, kind, task, model, created, name, tags, parent, metrics``.

    A run that has ended is never read again, and of a living one only what is new.
    """
    return _ask(lambda index: index.rows(limit))


def unfinished_runs() -> list[RunFolder]:
    """Runs without a last status, oldest first."""
    return _ask(lambda index: index.folders("NOT ended"))


def children_of(run: str, kinds: Sequence[str] = ()) -> list[RunFolder]:
    """Runs whose parent is ``run``, oldest first; of these kinds, or of any."""
    wanted = "".join(f" AND kind IN ({', '.join('?' * len(kinds))})" for _ in range(bool(kinds)))
    return _ask(lambda index: index.folders(f"parent = ?{wanted}", run, *kinds))


def find_run(word: str) -> RunFolder:
    """The run with this id, this alias, this name (the newest of them), or the only one whose id begins so.

    Raises :class:`RunNotFound`. ``last`` is not known here: it depends on who asks.
    """
    exact = RunFolder.named(word) if word and "/" not in word and not word.startswith(".") else None
    if exact is not None and (exact.path / "run.json").is_file():
        return exact
    if not word.strip():
        raise RunNotFound(Problem("there is no such run", repr(word), "See: lepton runs"))
    alias = find_alias(word)
    if alias is not None:
        folder = RunFolder.named(str(alias.run))
        if (folder.path / "run.json").is_file():
            return folder
        do = f"Promote another: lepton promote RUN --alias {alias.alias}"
        raise RunNotFound(Problem(f"the run that {alias.alias} names is gone", str(alias.run), do))

    def look_up(index: RunIndex) -> list[RunFolder]:
        # A whole name says more than the beginning of an id.
        named = index.newest("name = ?", word)
        return [named] if named else index.folders("substr(run, 1, ?) = ?", len(word), word)

    found = _ask(look_up)
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        names = ", ".join(sorted(folder.run for folder in found)[:5])
        raise RunNotFound(Problem(f"{len(found)} runs begin with {word}", names, "Type more of the one that is meant."))
    raise RunNotFound(Problem("there is no such run", repr(word), "See: lepton runs"))


def best_trial(sweep: RunFolder) -> RunFolder:
    """The training run that won a sweep which has ended well. Raises :class:`RunNotFound`."""
    view = view_of(sweep)
    best = view.metrics.get("best_run") if view.status == "succeeded" else None
    if best:
        return RunFolder.named(str(best))
    if view.is_over:
        what, do = f"sweep {sweep.run} has no best trial", f"Name one of its trials; see: lepton show {sweep.run}"
    else:
        what = f"the best trial of sweep {sweep.run} is known when it ends"
        do = f"Wait for it: lepton attach {sweep.run}. Or name one of its trials; see: lepton show {sweep.run}"
    raise RunNotFound(Problem(what, f"a sweep that is {view.status}", do))


def newest_training() -> RunFolder | None:
    """The newest run that somebody asked a model of: a training or a sweep, not a trial of one."""
    return ask_index(lambda index: index.newest("kind IN ('train', 'sweep') AND parent IS NULL"))


def newest_run(kind: str | None = "train") -> RunFolder | None:
    """The newest run of this kind in ``LEPTON_HOME``, or None."""
    return _ask(lambda index: index.newest("kind = ?", kind) if kind else index.newest("TRUE"))
