"""Reads data sets by address, through ``fsspec``, on the machine that needs the rows.

``http(s)://`` works out of the box; object stores need their driver. Credentials are the driver's
own (``AWS_*``, ``GOOGLE_*``, ``AZURE_*`` travel with a run). What was fetched is kept in the cache
for as long as the store says that it has not changed.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from .. import places
from ..errors import MissingExtra, Problem
from ..recipe import DataConfig
from ..redaction import find_secret
from .files import FORMATS, HEAD_BYTES, format_of, read_path
from .notes import Notes
from .raw import Raw

_DRIVERS = {
    "http": ("aiohttp", "all"),
    "https": ("aiohttp", "all"),
    "s3": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "az": ("adlfs", "azure"),
}
"""Scheme → the package that reads it, and the extra that brings it."""

_SECRET = re.compile(r"(?i)(signature|token|secret|password|api_?key|(^|&)sig)=")

# What stores call the version of a file; the first that one has.
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "Last-Modified", "last_modified", "updated")


def is_address(word: str) -> bool:
    """Whether ``word`` is ``SCHEME://…`` with a scheme that can be read."""
    scheme, found, _ = word.partition("://")
    return bool(found) and scheme.lower() in _DRIVERS


def check_address(word: str, where: str) -> Problem | None:
    """What is wrong with the address as it is written, or that its driver is missing. Nothing is fetched."""
    scheme = word.partition("://")[0].lower()
    if scheme not in _DRIVERS:
        do = f"Use {'://, '.join(_DRIVERS)}://, hub:NAME, or a file."
        return Problem("addresses of this kind are not read", word, do, where)
    parts = urlsplit(word)
    if parts.password is not None or find_secret(f"{scheme}://{parts.netloc}"):
        do = "Leave it out: credentials come from the environment (AWS_…, GOOGLE_…, AZURE_…) or the driver's own files."
        what = "the address holds a password or token, which would be kept with the run"
        return Problem(what, f"{scheme}://…", do, where)
    if _SECRET.search(parts.query):
        do = "Use the address without it, for example s3:// with credentials from the environment."
        return Problem(
            "the address holds a signature or token, which would be kept with the run", f"{scheme}://…", do, where
        )
    if not parts.netloc:
        return Problem("the address names no host or bucket", word, f"Write {scheme}://NAME/PATH.", where)
    return None


def read_address(word: str, data: DataConfig, notes: Notes, where: str, whole: bool) -> Raw | None:
    """The tables of a file, or of the data files of a folder, at an address. None after an error.

    Raises :class:`MissingExtra` without the driver. With ``whole=False`` a large text file is fetched in part.
    """
    problem = check_address(word, where)
    if problem:
        notes.problems.append(problem)
        return None
    files, path = _open_store(word)
    try:
        names = _names(files, path, word)
        if not names:
            do = "Check the address; a folder must hold CSV, TSV, JSON, JSONL or Parquet files."
            notes.error("there is no data at this address", word, do, where)
            return None
        if not whole and len(names) == 1:
            head = _read_head(files, names[0], data, notes, where)
            if head is not None:
                return head
        folder = _fetch(files, path, names, word)
    except Exception as error:  # noqa: BLE001  drivers raise what their libraries raise
        notes.problems.append(_explain(word, error, where))
        return None
    found = list(folder.iterdir())
    return read_path(found[0] if names == [path] else folder, data, notes, where, whole)


def _open_store(word: str) -> tuple[Any, str]:
    package, extra = _DRIVERS[word.partition("://")[0].lower()]
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(word, skip_instance_cache=True)
    except ImportError:
        raise MissingExtra(package, extra, f"reading {word.partition('://')[0]}:// addresses") from None
    return files, str(path)


def _names(files: Any, path: str, word: str) -> list[str]:
    """The file itself, or the data files below it."""
    if word.startswith("http") or not files.isdir(path):
        return [path] if files.exists(path) else []
    return sorted(each for each in files.find(path) if format_of(Path(each)))


def _read_head(files: Any, name: str, data: DataConfig, notes: Notes, where: str) -> Raw | None:
    """The beginning of a large text file; None for what must be read whole."""
    kind = data.format if data.format != "auto" else format_of(Path(urlsplit(name).path))
    size = files.info(name).get("size")
    if kind in (None, "parquet", "json") or name.endswith(".gz") or not size or size <= HEAD_BYTES:
        return None
    with tempfile.TemporaryDirectory(prefix="lepton-head-") as folder:
        path = Path(folder) / _file_name(name)
        text = bytes(files.cat_file(name, start=0, end=HEAD_BYTES))
        path.write_bytes(text[: text.rfind(b"\n") + 1])
        raw = read_path(path, data, notes, where, whole=False)
    return None if raw is None else replace(raw, complete=False)


def _fetch(files: Any, path: str, names: list[str], word: str) -> Path:
    """A folder of the cache with the files; fetched unless this version of them is there."""
    about = [files.info(name) for name in names]
    versions = [next((str(each[key]) for key in _VERSIONS if each.get(key)), "") for each in about]
    known = json.dumps([word, *([each.get("size"), version] for each, version in zip(about, versions, strict=True))])
    root = places.cache_dir() / "fetched"
    root.mkdir(parents=True, exist_ok=True)
    place = root / hashlib.sha256(known.encode()).hexdigest()[:24]
    if place.is_dir() and all(versions):
        return place
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=root))
    try:
        for name in names:
            below = _file_name(name) if names == [path] else str(PurePosixPath(name).relative_to(path))
            target = draft / below
            if not target.resolve().is_relative_to(draft.resolve()):
                raise ValueError(f"not a name inside a folder: {below!r}")
            target.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(name, str(target))
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    if not all(versions):  # the store does not say when it changes: fetched anew each time
        return draft
    try:
        draft.rename(place)
    except OSError:  # another run was quicker
        return place if place.is_dir() else draft
    return place


def _file_name(name: str) -> str:
    found = PurePosixPath(urlsplit(name).path).name
    return found if found not in ("", ".", "..") else f"data{next(iter(FORMATS))}"


def _explain(word: str, error: Exception, where: str) -> Problem:
    text = " ".join(str(error).split())[:200]
    kind = type(error).__name__
    if isinstance(error, PermissionError) or "credentials" in text.lower() or "403" in text:
        do = "Set the credentials of its driver in the environment: AWS_…, GOOGLE_… or AZURE_… travel with a run."
        return Problem("the address may not be read", f"{word}: {text or kind}", do, where)
    if isinstance(error, FileNotFoundError):
        return Problem("there is nothing at this address", word, "Check the address.", where)
    return Problem("the address cannot be read", f"{word}: {kind}: {text}", "Check it, and the network.", where)
