"""Reads what a resolved data set word points to."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ..recipe import DataConfig
from .notes import Notes
from .raw import Raw


def read_source(word: str, data: DataConfig, notes: Notes, where: str, whole: bool) -> Raw | None:
    """The tables behind ``file:``, ``sample:`` or ``hub:``. None after an error."""
    if word.startswith("sample:"):
        from .. import samples

        found = samples.load(word.removeprefix("sample:"))
        return Raw(dict(found.splits), "sample", True, {"digest": found.digest, "licence": found.licence})
    path = Path(word.removeprefix("file:"))
    if path.suffix == ".parquet":
        return Raw({"train": pa.parquet.read_table(path)}, "parquet")
    return Raw({"train": pa.csv.read_csv(path)}, "csv")
