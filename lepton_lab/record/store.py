"""All runs of a home: listed newest first, found by id, prefix or name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import places
from ..errors import Problem, RunNotFound
from .files import read_json
from .folder import RunFolder
from .view import view_of


def run_folders() -> Iterator[RunFolder]:
    """Every run of ``LEPTON_HOME``, in no order."""
    root = places.runs_dir()
    if root.is_dir():
        for path in root.iterdir():
            if not path.name.startswith(".") and (path / "run.json").is_file():
                yield RunFolder(path)


def list_runs(limit: int | None = None) -> list[dict[str, Any]]:
    """Runs newest first: ``run, status, kind, task, model, created, name, tags, parent, metrics``.

    A run that has ended is read from its two small files; only living ones are folded.
    """
    headers = []
    for folder in run_folders():
        header = read_json(folder.path / "run.json")
        if header:  # deleted while we looked
            headers.append((header["created"], header, folder))
    headers.sort(key=lambda row: row[0], reverse=True)
    rows = []
    for _, header, folder in headers[:limit]:
        keys = ("run", "kind", "task", "model", "created", "name", "tags", "parent")
        row = {key: header.get(key) for key in keys}
        final = folder.final()
        if final is not None:
            row.update(status=final["status"], metrics=final.get("metrics", {}), ended=final["ended"])
        else:
            view = view_of(folder)
            row.update(status=view.status, metrics=view.metrics, ended=view.ended, progress=view.progress)
        rows.append({"run": row.pop("run"), "status": row.pop("status"), **row})
    return rows


def find_run(word: str) -> RunFolder:
    """The run with this id, with this name (the newest of them), or the only one whose id begins so.

    Raises :class:`RunNotFound`. ``last`` is not known here: it depends on who asks.
    """
    exact = RunFolder(places.runs_dir() / word) if word and "/" not in word and not word.startswith(".") else None
    if exact is not None and (exact.path / "run.json").is_file():
        return exact
    if not word.strip():
        raise RunNotFound(Problem("there is no such run", repr(word), "See: lepton runs"))
    folders = list(run_folders())
    # A whole name says more than the beginning of an id.
    named = [(header["created"], folder) for folder in folders if (header := folder.header()).get("name") == word]
    if named:
        return max(named, key=lambda pair: pair[0])[1]
    by_prefix = [folder for folder in folders if folder.run.startswith(word)]
    if len(by_prefix) == 1:
        return by_prefix[0]
    if len(by_prefix) > 1:
        names = ", ".join(sorted(folder.run for folder in by_prefix)[:5])
        raise RunNotFound(
            Problem(f"{len(by_prefix)} runs begin with {word}", names, "Type more of the one that is meant.")
        )
    raise RunNotFound(Problem("there is no such run", repr(word), "See: lepton runs"))


def newest_run(kind: str | None = "train") -> RunFolder | None:
    """The newest run of this kind in ``LEPTON_HOME``, or None."""
    newest: tuple[float, RunFolder] | None = None
    for folder in run_folders():
        header = folder.header()
        if (kind is None or header["kind"] == kind) and (newest is None or header["created"] > newest[0]):
            newest = (header["created"], folder)
    return newest[1] if newest else None
