"""From what the user wrote after ``--dataset`` to one thing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError, Problem
from .addresses import check_address
from .dataframes import frames, is_frame, is_rows, write_frame
from .files import format_of
from .hub import check_hub_name
from .notes import name_values

_PREFIXES = ("var", "file", "hub", "sample")
_WHERE = "data.dataset"


def resolve_dataset(word: str, namespace: Mapping[str, Any] | None = None) -> str:
    """``word`` as ``file:/absolute/path``, ``sample:NAME``, ``hub:NAME`` or an address (``s3://…``).

    ``var:NAME`` is looked up in ``namespace`` and written as Parquet once, by digest. A bare name
    may be a data frame, a path or a sample, if it is only one of them. Reads no file.
    Raises :class:`DataError` that lists what there is.
    """
    prefix, found, rest = word.strip().partition(":")
    if not (rest if prefix in _PREFIXES else prefix + rest):
        do = "Name one, for example reviews.csv, sample:movie-sentiment or hub:stanfordnlp/imdb."
        raise DataError(Problem("a data set is needed", repr(word), do, _WHERE))
    if found and prefix in _PREFIXES:
        if prefix == "var":
            return _resolve_variable(rest, namespace)
        if prefix == "file":
            return _resolve_path(rest)
        if prefix == "sample":
            return _resolve_sample(rest)
        problem = check_hub_name(word.strip())
        if problem:
            raise DataError(problem)
        return word.strip()
    if rest.startswith("//"):
        wrong = check_address(word.strip(), _WHERE)
        if wrong:
            raise DataError(wrong)
        return word.strip()
    return _resolve_bare(word.strip(), namespace or {})


def _resolve_bare(word: str, namespace: Mapping[str, Any]) -> str:
    is_variable = word in namespace and (is_frame(namespace[word]) or is_rows(namespace[word]))
    path = Path(word).expanduser() if word else Path()
    meanings = {
        "var": is_variable,
        "file": bool(word) and _exists(path),
        "sample": word in _sample_names(),
    }
    means = [prefix for prefix, true in meanings.items() if true]
    if len(means) > 1:
        choices = " or ".join(f"{prefix}:{word}" for prefix in means)
        raise DataError(Problem(f"{word!r} can mean {len(means)} things", "", f"Write {choices}.", _WHERE))
    if means == ["var"]:
        return _resolve_variable(word, namespace)
    if means == ["file"]:
        return _resolve_path(word)
    if means == ["sample"]:
        return f"sample:{word}"
    if format_of(path):
        return _resolve_path(word)
    do = f"{_candidates(word, namespace)} For a data set of the hub write hub:{word}."
    if word in namespace:
        what = f"the variable {word} is not a data frame"
        raise DataError(Problem(what, type(namespace[word]).__name__, do, _WHERE))
    if "/" in word and check_hub_name(f"hub:{word}"):
        return _resolve_path(word)
    raise DataError(Problem("there is no such data set", repr(word), do, _WHERE))


def _resolve_variable(name: str, namespace: Mapping[str, Any] | None) -> str:
    if namespace is None:
        do = "Save the data frame to a file, for example with to_parquet, and name that file."
        raise DataError(Problem("var: names a variable of a notebook, and this is none", f"var:{name}", do, _WHERE))
    if name not in namespace:
        known = frames(namespace)
        do = _did_you_mean(name, known, "var:")
        do += f"Data frames here: {name_values(known)}." if known else "There is no data frame here."
        raise DataError(Problem(f"there is no variable {name!r}", "", do, _WHERE))
    return f"file:{write_frame(name, namespace[name])}"


def _resolve_path(text: str) -> str:
    path = Path(text).expanduser()
    if not text or not _exists(path):
        near = _files_near(path)
        do = _did_you_mean(path.name, near, "") or "Check the path. "
        do += f"The files there: {name_values(near, 6)}. " if near else ""
        do += f"Relative paths start from {Path.cwd()}." if not path.is_absolute() else ""
        raise DataError(Problem(f"there is no file {path.name}", f"the path {text}", do.strip(), _WHERE))
    return f"file:{path.absolute()}"


def _resolve_sample(name: str) -> str:
    known = _sample_names()
    if name not in known:
        do = f"{_did_you_mean(name, known, 'sample:')}Samples: {name_values(known)}."
        raise DataError(Problem("there is no such sample data set", repr(name), do, _WHERE))
    return f"sample:{name}"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # for example a name that is too long


def _sample_names() -> Sequence[str]:
    from .. import samples

    return list(samples.sample_names("data"))


def _files_near(path: Path) -> list[str]:
    """Data files in the folder of ``path``."""
    try:
        return sorted(each.name for each in path.parent.iterdir() if format_of(each))
    except OSError:
        return []


def _did_you_mean(word: str, known: Sequence[str], prefix: str) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean {prefix}{close[0]}? " if close else ""


def _candidates(word: str, namespace: Mapping[str, Any]) -> str:
    """The nearest names of each kind, else all of them."""
    kinds = {
        "data frames": [f"var:{name}" for name in frames(namespace)],
        "samples": [f"sample:{name}" for name in _sample_names()],
        "files": _files_near(Path(word or ".").expanduser()),
    }
    every = [name for names in kinds.values() for name in names]
    bare = {name.partition(":")[2] or name: name for name in every}
    close = difflib.get_close_matches(Path(word).name, list(bare), n=1, cutoff=0.6)
    hint = f"Did you mean {bare[close[0]]}? " if close else ""
    listed = "; ".join(f"{kind}: {name_values(names, 6)}" for kind, names in kinds.items() if names)
    return f"{hint}There are {listed}." if listed else f"{hint}There is no data frame or data file here."
