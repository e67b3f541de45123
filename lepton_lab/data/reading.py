"""Reads what a resolved data set word points to."""

from __future__ import annotations

from pathlib import Path

from ..errors import RequestError
from ..recipe import DataConfig
from .addresses import is_address, read_address
from .files import read_path
from .hub import read_hub
from .notes import Notes
from .raw import Raw
from .tabling import clean_header, plain_table


def read_source(word: str, data: DataConfig, notes: Notes, where: str, whole: bool) -> Raw | None:
    """The tables behind ``file:``, ``sample:``, ``hub:`` or an address. None after an error."""
    if is_address(word):
        return read_address(word, data, notes, where, whole)
    if word.startswith("hub:"):
        return read_hub(word, data, notes, where)
    if word.startswith("sample:"):
        return _read_sample(word, notes, where)
    if word.startswith("var:"):
        notes.error(f"{word} was not resolved", "", "Use lepton_lab.data.resolve_dataset first.", where)
        return None
    return read_path(Path(word.removeprefix("file:")), data, notes, where, whole)


def _read_sample(word: str, notes: Notes, where: str) -> Raw | None:
    from .. import samples

    try:
        sample = samples.load(word.removeprefix("sample:"))
    except RequestError as error:
        notes.problems.extend(error.problems)
        return None
    tables = {split: clean_header(plain_table(table), notes, where, word) for split, table in sample.splits.items()}
    return Raw(tables, "sample", True, {"digest": sample.digest, "licence": sample.licence})
