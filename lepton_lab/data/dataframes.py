"""Data frames of a notebook: finding them, and writing them down once, by digest.

A request that is refused leaves none behind: see :mod:`.written`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from .. import places
from ..errors import DataError, Problem
from .hub import table_of
from .notes import Notes
from .split_names import map_splits
from .tabling import array_of, clean_header, plain_table, table_of_rows
from .written import note_written

_FRAMES = {
    ("pandas", "DataFrame"),
    ("polars", "DataFrame"),
    ("polars", "LazyFrame"),
    ("pyarrow", "Table"),
    ("pyarrow", "RecordBatch"),
    ("datasets", "Dataset"),
    ("datasets", "DatasetDict"),
}


def frames(namespace: Mapping[str, Any] | None) -> list[str]:
    """Names of the data frames in a notebook's namespace, for completion and for messages."""
    return sorted(name for name, value in (namespace or {}).items() if not name.startswith("_") and is_frame(value))


def is_frame(value: Any) -> bool:
    """Whether ``value`` is a table that this package can read. Imports nothing."""
    kinds = [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(value).__mro__]
    return any(kind in _FRAMES for kind in kinds)


def is_rows(value: Any) -> bool:
    """Whether ``value`` is a list of rows, each a dict."""
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def write_frame(name: str, value: Any) -> Path:
    """``value`` as Parquet under :func:`places.data_dir`, named by its digest; the path of the file.

    A set of splits becomes a folder with one file each. The same rows are written once, and nobody
    sees half a file. Raises :class:`DataError`.
    """
    notes = Notes()
    tables = _tables(name, value, notes)
    tables = {split: clean_header(table, notes, "data.dataset", name) for split, table in tables.items()}
    if not notes.problems and not any(table.num_rows and table.num_columns for table in tables.values()):
        notes.error(f"the data frame {name} is empty", "no rows", "Give one with rows.")
    if notes.problems:
        raise DataError(*notes.problems)
    place = places.data_dir()
    place.mkdir(parents=True, exist_ok=True)
    draft = place / f".{os.getpid()}-{uuid.uuid4().hex}"
    draft.mkdir()
    try:
        digest = hashlib.sha256()
        for split, table in sorted(tables.items()):
            path = draft / f"{split}.parquet"
            pa.parquet.write_table(table, path, compression="zstd")
            digest.update(split.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        stem = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:40] or 'frame'}-{digest.hexdigest()[:16]}"
        if len(tables) == 1:
            return _settle(draft / f"{next(iter(tables))}.parquet", place / f"{stem}.parquet")
        return _settle(draft, place / stem)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _settle(draft: Path, target: Path) -> Path:
    """Give a finished draft its name, unless the same rows have it already."""
    made_ns = draft.stat().st_mtime_ns
    try:
        if draft.is_dir():
            os.rename(draft, target)
        else:
            os.link(draft, target)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.utime(target)
            return target
        os.replace(draft, target)  # a disk without links
    note_written(target, made_ns)
    return target


def _tables(name: str, value: Any, notes: Notes) -> dict[str, pa.Table]:
    """The tables of ``value`` by split."""
    kinds = [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(value).__mro__]
    if ("pandas", "DataFrame") in kinds:
        return {"train": _from_pandas(value)}
    if ("datasets", "Dataset") in kinds:
        return {"train": table_of(value)}
    if ("datasets", "DatasetDict") in kinds:
        chosen = map_splits(value, notes, "data.dataset")
        return {split: table_of(value[key]) for split, key in chosen.items()}
    if ("polars", "LazyFrame") in kinds:
        value = value.collect()
    if is_rows(value):
        return {"train": plain_table(table_of_rows(value))}
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if isinstance(value, pa.Table) or hasattr(value, "__arrow_c_stream__"):
        try:
            return {"train": plain_table(value if isinstance(value, pa.Table) else pa.table(value))}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
            raise DataError(
                Problem(f"{name} cannot be read as a table", str(error), "Give a data frame.", "data.dataset")
            ) from error
    raise DataError(
        Problem(
            f"{name} is not a data frame",
            f"{type(value).__module__}.{type(value).__qualname__}",
            "Give a pandas or polars DataFrame, an Arrow table, or a datasets object"
            + (" that is not streamed." if "Iterable" in type(value).__name__ else "."),
            "data.dataset",
        )
    )


def _from_pandas(frame: Any) -> pa.Table:
    """A table of a pandas frame, with its index as a column if the index has a name."""
    if any(each is not None for each in frame.index.names) and not set(frame.index.names) & set(frame.columns):
        frame = frame.reset_index()
    names = [" ".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in frame.columns]
    arrays = []
    for place in range(len(names)):
        series = frame.iloc[:, place]
        try:
            arrays.append(pa.Array.from_pandas(series))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, ValueError):
            arrays.append(array_of(series.tolist()))
    chunked = [array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]) for array in arrays]
    return plain_table(pa.Table.from_arrays(chunked, names=names))
