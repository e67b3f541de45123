"""The rows of a sample as Arrow tables: made once from the source, then kept as Parquet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, Problem
from ..record import digest_of, read_json, write_json
from .addresses import address_text, read_addresses
from .entries import SampleInfo
from .faq import read_faq
from .movies import read_movies
from .splitting import cut, digest_of_rows

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, object]
_MANIFEST = "sample.json"  # written last: a folder with it is complete


@dataclass(frozen=True, slots=True)
class SampleData:
    """A sample data set: one Arrow table a split, in the order ``train``, ``validation``, ``test``.

    ``digest`` is over the rows, so it is the same on every machine.
    """

    name: str
    task: str
    splits: dict[str, pa.Table]
    columns: tuple[str, ...]
    licence: str
    credit: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the rows of a sample are read: ``text`` of a row decides its place, ``stratum`` its share."""

    rows: Callable[[dict[str, bytes]], list[Row]]
    text: Callable[[Row], str]
    stratum: Callable[[Row], str]


_READINGS = {
    "movie-sentiment": _Reading(read_movies, lambda row: str(row["text"]), lambda row: str(row["label"])),
    "addresses": _Reading(read_addresses, address_text, lambda row: str(row["stratum"])),
    "faq": _Reading(read_faq, lambda row: str(row["prompt"]), lambda row: str(row["stratum"])),
}


def make_rows(info: SampleInfo, files: dict[str, bytes]) -> dict[str, list[Row]]:
    """The rows of each split, from the files of the release.

    Raises :class:`~lepton_lab.errors.DataError` when they are not the rows that the catalog knows.
    """
    reading = _READINGS[info.name]
    try:
        chosen = cut(info.name, reading.rows(files), info.rows, reading.text, reading.stratum)
        splits = {split: [{name: row[name] for name in info.columns} for row in rows] for split, rows in chosen.items()}
    except (ValueError, KeyError) as error:
        raise DataError(_changed(info, str(error))) from error
    found = digest_of_rows(splits)
    if found != info.digest:
        raise DataError(_changed(info, f"{found} where {info.digest} was expected"))
    return splits


def write_tables(info: SampleInfo, files: dict[str, bytes], folder: Path) -> None:
    """Write ``SPLIT.parquet`` for each split and a manifest with their digests."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    digests: dict[str, str] = {}
    for split, rows in make_rows(info, files).items():
        path = folder / f"{split}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        digests[path.name] = digest_of(path)[0]
    write_json(folder / _MANIFEST, {"sample": info.name, "digest": info.digest, "files": digests})


def read_tables(info: SampleInfo, folder: Path) -> SampleData:
    """What :func:`write_tables` wrote. Raises :class:`~lepton_lab.errors.DataError` when it was changed."""
    import pyarrow.parquet as pq

    manifest: dict[str, Any] = read_json(folder / _MANIFEST) or {"files": {}}
    splits = {}
    for split in info.rows:
        path = folder / f"{split}.parquet"
        if not path.is_file() or digest_of(path)[0] != manifest["files"].get(path.name):
            do = f"Remove the folder {folder}; it is made again at the next use."
            raise DataError(Problem(f"sample:{info.name} was changed on this machine", path.name, do))
        splits[split] = pq.read_table(path)
    return SampleData(info.name, info.task, splits, info.columns, info.licence, info.credit, info.digest)


def _changed(info: SampleInfo, got: str) -> Problem:
    return Problem(
        f"the rows of sample:{info.name} are not those of {info.source_package}",
        got,
        f"Remove {info.source.project} and the folder of the sample, then run: {info.command}",
    )
