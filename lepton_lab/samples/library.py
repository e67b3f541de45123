"""The samples on this machine: where each is, and how it gets there.

Layout under ``LEPTON_HOME/samples/NAME``: ``source-VERSION`` holds the members of the release
as they came; ``tables-EDITION`` and ``model-EDITION`` what was made of them, each written whole or not at all.
A release that is installed as a package is read where it is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import places
from ..errors import DataError, ModelError, Problem, RequestError
from .archives import unpack
from .download import download
from .entries import SampleInfo, find
from .folders import make_folder
from .llama_gguf import write_llama

if TYPE_CHECKING:
    from .tables import SampleData

Progress = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class SampleStatus:
    """Whether a sample can be used now.

    ``origin`` is ``package`` (an installed one), ``home`` (unpacked under LEPTON_HOME) or empty.
    ``path`` is the folder that it is read from. ``note`` says what stands in the way.
    """

    name: str
    installed: bool
    origin: str
    path: Path | None
    licence: str
    note: str = ""


def status(name: str) -> SampleStatus:
    """Whether a sample is installed, and where. Nothing is imported, read or written."""
    info = find(name)
    files = info.source.installed_files()
    if files:
        return SampleStatus(info.name, True, "package", _common_folder(files), info.licence)
    for home in (_source_dir(info), _made_dir(info)):
        if home.is_dir():
            return SampleStatus(info.name, True, "home", home, info.licence)
    other = info.source.installed_version() if info.source.is_wheel else None
    note = f"{info.source.project} {other} is installed, {info.source.version} is needed; " if other else ""
    return SampleStatus(info.name, False, "", None, info.licence, f"{note}run: {info.command}")


def is_installed(name: str) -> bool:
    """Whether :func:`resolve` or :func:`load` would find it."""
    return status(name).installed


def resolve(name: str) -> Path:
    """The folder of a sample model: config.json, tokenizer and safetensors, as Hugging Face lays them out.

    A model that comes as GGUF is converted at first use (some seconds).
    Raises :class:`~lepton_lab.errors.ModelError` naming ``lepton samples install NAME``.
    """
    info = find(name, "model")
    place = _made_dir(info)
    if place.is_dir():
        return place
    files = _files(info)
    if "model.gguf" not in files:
        return files["config.json"].parent
    return make_folder(place, lambda folder: write_llama(files["model.gguf"], folder))


def load(name: str) -> SampleData:
    """The rows of a sample data set, in its fixed splits.

    Made from the source at first use, read from Parquet afterwards. Raises
    :class:`~lepton_lab.errors.DataError` naming ``lepton samples install NAME``.
    """
    from .tables import read_tables, write_tables

    info = find(name, "data")
    place = _made_dir(info)
    if not place.is_dir():
        files = {each: path.read_bytes() for each, path in _files(info).items()}
        make_folder(place, lambda folder: write_tables(info, files, folder))
    return read_tables(info, place)


def made_folder(name: str) -> tuple[Path, str]:
    """What was made of an installed sample: where it is, and the path below ``LEPTON_HOME`` under which another
    host would find it. Raises like :func:`resolve` and :func:`load`."""
    info = find(name)
    if info.kind == "model":
        folder = resolve(name)
    else:
        load(name)
        folder = _made_dir(info)
    return folder, f"samples/{info.name}/{_made_dir(info).name}"


def install(name: str, progress: Progress | None = None) -> Path:
    """Download a sample, check its digest, unpack it; the folder it is in. Nothing happens when it is there.

    ``progress`` is called with a line of text a step. Raises
    :class:`~lepton_lab.errors.RequestError` when it cannot be had.
    """
    info = find(name)
    say = progress or (lambda _: None)
    if not _is_there(info):
        with tempfile.TemporaryDirectory(prefix="lepton-sample-") as folder:
            archive = download(info.source, Path(folder), say)
            say(f"Unpacking {info.name} (licence {info.licence})")
            shutil.rmtree(_source_dir(info), ignore_errors=True)  # of which somebody has deleted a part
            make_folder(_source_dir(info), lambda draft: unpack(archive, info.source.members, draft))
    if info.kind == "model":
        return resolve(name)
    load(name)
    return _dir(info)


def _files(info: SampleInfo) -> dict[str, Path]:
    """Our name of each file of the release -> where it is."""
    files = info.source.installed_files()
    if files:
        return files
    home = _source_dir(info)
    found = {each: home / each for each in info.source.members.values()}
    missing = [each for each, path in found.items() if not path.is_file()]
    if not missing:
        return found
    kind: type[RequestError] = ModelError if info.kind == "model" else DataError
    got = f"no {info.source.requirement} here" if not home.is_dir() else f"no {missing[0]} in {home}"
    raise kind(Problem(f"sample:{info.name} is not installed", got, f"Run: {info.command}"))


def _is_there(info: SampleInfo) -> bool:
    """Whether all of it can be used without a download."""
    if _made_dir(info).is_dir() or info.source.installed_files():
        return True
    return all((_source_dir(info) / each).is_file() for each in info.source.members.values())


def _common_folder(files: dict[str, Path]) -> Path:
    """The folder above all files."""
    return min((path.parent for path in files.values()), key=lambda folder: len(folder.parts))


def _dir(info: SampleInfo) -> Path:
    return places.samples_dir() / info.name


def _made_dir(info: SampleInfo) -> Path:
    """What is made of the source: tables, or a converted model."""
    return _dir(info) / f"{'model' if info.kind == 'model' else 'tables'}-{info.edition}"


def _source_dir(info: SampleInfo) -> Path:
    return _dir(info) / f"source-{info.source.version}"
