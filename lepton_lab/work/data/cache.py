"""Encoded tables kept by what they were made of, so that the next run starts at once."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import places

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

_MOST_BYTES = 2 * 2**30
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json",
                    "merges.txt", "tokenizer.model", "spiece.model", "added_tokens.json",
                    "chat_template.jinja")  # fmt: skip


def encoded_dir() -> Path:
    """Where encoded tables lie."""
    return places.cache_dir() / "encoded"


def digest_of_table(table: pa.Table) -> str:
    """A digest of the columns' names, types and values."""
    import pyarrow as pa

    hasher = hashlib.sha256()

    class _Sink:
        closed = False

        def write(self, data: Any) -> int:
            view = memoryview(data)
            hasher.update(view)
            return view.nbytes

        def flush(self) -> None:
            """Nothing is held back."""

    # Metadata and chunks differ between equal tables.
    plain = table.replace_schema_metadata(None).combine_chunks()
    with pa.ipc.new_stream(pa.PythonFile(_Sink(), mode="w"), plain.schema) as writer:
        writer.write_table(plain)
    return hasher.hexdigest()


def digest_of_tokenizer(folder: Path) -> str:
    """A digest of a tokenizer's files."""
    hasher = hashlib.sha256()
    for name in _TOKENIZER_FILES:
        path = folder / name
        if path.is_file():
            hasher.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


def key_of(**parts: Any) -> str:
    """The name of what these parts give."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def cached(key: str, make: Callable[[], datasets.Dataset]) -> datasets.Dataset:
    """The data set of ``key``, made if it is not there. Memory-mapped; the folder stays under 2 GiB."""
    import datasets

    path = encoded_dir() / f"{key}.arrow"
    if path.exists():
        os.utime(path)
        return datasets.Dataset.from_file(str(path))
    made = make()
    _write(made, path)
    return made


def _write(made: datasets.Dataset, path: Path) -> None:
    import pyarrow as pa

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    table = made.data.table
    try:
        with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _shrink(path)


def _shrink(keep: Path) -> None:
    """Forget what was used longest ago until the rest fits."""
    found = []
    for each in keep.parent.glob("*.arrow"):
        try:
            state = each.stat()
        except FileNotFoundError:
            continue  # another run forgot it first
        found.append((state.st_mtime, state.st_size, each))
    total = sum(size for _, size, _ in found)
    for _, size, each in sorted(found):
        if total <= _MOST_BYTES:
            return
        if each != keep:
            each.unlink(missing_ok=True)
            total -= size
