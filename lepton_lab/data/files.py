"""Reads one file, or a folder of them."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from ..recipe import DataConfig
from .encoding import find_encoding, find_signature, reads_as
from .jsons import read_json
from .notes import Notes, name_values
from .raw import Raw
from .separated import read_separated
from .split_names import split_of
from .tabling import clean_header, plain_table

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_NAMES = "CSV, TSV, JSON, JSONL or Parquet"

# Without ``whole`` this much of a file is read.
HEAD_BYTES = 64 * 2**20
_HEAD_ROWS = 200_000


def format_of(path: Path) -> str | None:
    """The format that a file's ending says, ``.gz`` apart; None when it says none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def read_path(path: Path, data: DataConfig, notes: Notes, where: str, whole: bool) -> Raw | None:
    """The tables of a file or folder. None after an error."""
    if path.is_dir():
        return _read_folder(path, data, notes, where, whole)
    return read_file(path, data, notes, where, whole)


def read_file(path: Path, data: DataConfig, notes: Notes, where: str, whole: bool) -> Raw | None:
    """One file, usually as the split ``train``. None after an error."""
    try:
        size = path.stat().st_size
        if size == 0:
            notes.error(f"the file {path} is empty", "0 bytes", "Give a file with a header and rows.", where)
            return None
        content = _open(path, size)
    except FileNotFoundError:
        notes.error(f"there is no file {path}", "", "Check the path.", where)
        return None
    except (OSError, EOFError, zlib.error) as error:
        notes.error(f"the file {path} cannot be read", str(error), "Check its permissions and that it is whole.", where)
        return None
    kind = data.format if data.format != "auto" else format_of(path)
    head = bytes(content[: min(65536, len(content))])
    if head.startswith(b"PAR1") and data.format == "auto":
        kind = "parquet"
    if kind == "parquet":
        return _read_parquet(path, content, head, notes, where, whole)
    signature = find_signature(head)
    if signature:
        notes.error(f"the file {path} is not {_article(kind)}", signature[0], signature[1], where)
        return None
    origin = {"digest": _digest(content) if whole else None}
    part = content if whole or len(content) <= HEAD_BYTES else content.slice(0, HEAD_BYTES)
    text, encoding = _as_utf8(part, data.encoding, path, notes, where, len(part) == len(content))
    if text is None:
        return None
    if not bytes(text[: min(65536, len(text))]).strip():
        notes.error(f"the file {path} is empty", "only white space", "Give a file with a header and rows.", where)
        return None
    kind = kind or _guess_format(bytes(text[: min(4096, len(text))]))
    complete = len(part) == len(content)
    if kind in ("json", "jsonl"):
        tables = read_json(text, kind, path.name, where, notes, complete)
    else:
        table = read_separated(text, kind, path.name, where, notes, complete)
        tables = None if table is None else {"train": table}
    if tables is None:
        return None
    tables = {name: clean_header(table, notes, where, path.name) for name, table in tables.items()}
    if not any(table.num_rows for table in tables.values()):
        notes.error(f"the file {path} has no rows", "a header only", "Give a file with rows.", where)
        return None
    return Raw(tables, kind, kind in ("json", "jsonl"), {**origin, "encoding": encoding}, complete)


def _open(path: Path, size: int) -> pa.Buffer:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        with gzip.open(path, "rb") as file:
            return pa.py_buffer(file.read())
    with pa.memory_map(str(path)) as file:
        return file.read_buffer(size)


def _digest(content: pa.Buffer) -> str:
    return hashlib.sha256(memoryview(content)).hexdigest()


def _article(kind: str | None) -> str:
    if kind is None:
        return f"a {_NAMES} file"
    return {"csv": "a CSV file", "tsv": "a TSV file", "json": "a JSON file", "jsonl": "a JSONL file"}[kind]


def _guess_format(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"["):
        return "jsonl" if start[:1] == b"{" else "json"
    return "tsv" if b"\t" in head.partition(b"\n")[0] else "csv"


def _as_utf8(
    content: pa.Buffer, wanted: str | None, path: Path, notes: Notes, where: str, whole: bool
) -> tuple[pa.Buffer | None, str]:
    """The bytes in UTF-8, and the encoding they were in."""
    marked = memoryview(content)[:3].tobytes() == codecs.BOM_UTF8
    if marked and (wanted or not reads_as(memoryview(content), "utf-8", whole)):
        # The mark is no text in any encoding; some programs put it before bytes of another one.
        content = content.slice(3)
        if not wanted:
            do = "Save it again as UTF-8, or set --encoding if its letters look wrong."
            notes.warn(f"{path.name} begins with the mark of UTF-8, but is not UTF-8", "", do, "data.encoding")
    if wanted:
        name, sure = wanted, True
    else:
        # A cut end must not look like a wrong encoding.
        end = len(content) if whole else memoryview(content).tobytes().rfind(b"\n") + 1 or len(content)
        name, sure = find_encoding(memoryview(content)[:end])
    if name == "utf-8" and not wanted:
        return content, name
    if name == "utf-8-sig":
        return content.slice(3), name
    try:
        text = memoryview(content).tobytes().decode(name, errors="strict" if whole else "ignore")
    except LookupError:
        notes.error("there is no such encoding", repr(wanted), "Set --encoding, for example utf-8.", "data.encoding")
        return None, name
    except UnicodeDecodeError as error:
        notes.error(
            f"the file {path} is not {wanted}"
            if wanted
            else f"the file {path} begins with the mark of {name}, but is not",
            f"the bytes {error.object[error.start : error.end + 3]!r} at {error.start:,}",
            "Leave --encoding out to find the encoding by looking." if wanted else "Save it again as UTF-8.",
            "data.encoding",
        )
        return None, name
    if not sure:
        notes.warn(
            f"{path.name} is not UTF-8; it was read as {name}",
            "",
            "Set --encoding if its letters look wrong.",
            "data.encoding",
        )
    return pa.py_buffer(text.encode("utf-8", errors="replace")), name


def _read_parquet(path: Path, content: pa.Buffer, head: bytes, notes: Notes, where: str, whole: bool) -> Raw | None:
    if not head.startswith(b"PAR1"):
        found = find_signature(head)
        notes.error(
            f"the file {path} is not a Parquet file",
            found[0] if found else f"text that starts with {head[:40].decode(errors='replace')!r}",
            found[1] if found else "Give it the ending of its format, or set --format.",
            where,
        )
        return None
    try:
        file = pa.parquet.ParquetFile(pa.BufferReader(content))
        groups = list(range(file.num_row_groups))
        complete = whole or file.metadata.num_rows <= _HEAD_ROWS or len(groups) < 2
        if not complete:
            share = max(1, round(len(groups) * _HEAD_ROWS / file.metadata.num_rows))
            groups = groups[:: max(1, len(groups) // share)][:share]
        table = file.read_row_groups(groups, use_threads=True) if groups else file.read()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        notes.error(
            f"the file {path} cannot be read as Parquet",
            str(error).splitlines()[0].rstrip("."),
            "Write it again.",
            where,
        )
        return None
    if table.num_rows == 0:
        notes.error(f"the file {path} has no rows", "a header only", "Give a file with rows.", where)
        return None
    table = clean_header(plain_table(table), notes, where, path.name)
    return Raw({"train": table}, "parquet", True, {"digest": _digest(content) if whole else None}, complete)


def _read_folder(folder: Path, data: DataConfig, notes: Notes, where: str, whole: bool) -> Raw | None:
    """Files named after splits, or many files of one format that are one table."""
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and len(path.relative_to(folder).parts) <= 3
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        and format_of(path)
        and path.name not in ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
    )
    if data.format != "auto":
        files = [path for path in files if format_of(path) == data.format]
    if not files:
        if any(folder.rglob("*.arrow")):
            do = "Load it in the notebook with datasets.load_from_disk and use var:NAME."
        else:
            do = f"Name a folder with {_NAMES} files."
        present = sorted(path.name for path in folder.iterdir())[:5]
        notes.error(f"the folder {folder} has no data files", name_values(present) or "an empty folder", do, where)
        return None
    formats = Counter(format_of(path) for path in files)
    if len(formats) > 1:
        counts = ", ".join(f"{count} {kind}" for kind, count in formats.most_common())
        do = "Name one file, or set --format to read only the files of one format."
        notes.error(f"the folder {folder} mixes formats", counts, do, where)
        return None
    by_split: dict[str, list[Path]] = {}
    for path in files:
        parts = path.relative_to(folder)
        split = split_of(path.name.partition(".")[0]) or split_of(" ".join(reversed(parts.parts[:-1])))
        by_split.setdefault(split or "", []).append(path)
    if "" in by_split and len(by_split) > 1:
        notes.warn(
            f"files of {folder} that are named after no split were left out",
            name_values(path.name for path in by_split.pop("")),
            "Name them train…, validation… or test… to use them.",
            where,
        )
    tables: dict[str, pa.Table] = {}
    raws = []
    for split, paths in by_split.items():
        parts_of_split = [read_file(path, data, notes, where, whole) for path in paths]
        known = [raw for raw in parts_of_split if raw is not None]
        if len(known) < len(paths):
            continue
        raws += known
        table = _join(split, paths, known, notes, where)
        if table is not None:
            tables[split or "train"] = table
    if notes.problems or not raws:
        return None
    digests = [str(raw.origin.get("digest")) for raw in raws]
    digest = hashlib.sha256("\n".join(digests).encode()).hexdigest() if whole else None
    origin = {"digest": digest, "encoding": raws[0].origin.get("encoding"), "files": len(files)}
    return Raw(tables, raws[0].format, raws[0].typed, origin, all(raw.complete for raw in raws))


def _join(split: str, paths: list[Path], raws: list[Raw], notes: Notes, where: str) -> pa.Table | None:
    tables = [raw.tables["train"] for raw in raws]
    first = set(tables[0].column_names)
    for path, table in zip(paths, tables, strict=True):
        if set(table.column_names) != first:
            notes.error(
                f"the files of {path.parent} have different columns",
                f"{name_values(tables[0].column_names)} in {paths[0].name}, "
                f"{name_values(table.column_names)} in {path.name}",
                "Name one file, or make their columns alike.",
                where,
            )
            return None
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        notes.error(
            f"the {split or 'train'} files of {paths[0].parent} hold different types",
            str(error).splitlines()[0],
            "Make their columns alike.",
            where,
        )
        return None
