"""Reads CSV and TSV: every cell as text, so that nothing is guessed row by row."""

from __future__ import annotations

import csv
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from .notes import Notes, name_rows

_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_HEAD_BYTES = 1 << 16
_LONGEST_ROW = 1 << 30


def read_separated(content: pa.Buffer, kind: str, name: str, where: str, notes: Notes, whole: bool) -> pa.Table | None:
    """A table of strings from UTF-8 ``content`` of a ``csv`` or ``tsv`` called ``name``. None after an error.

    Rows with too few or too many fields are an error that names them. ``whole`` is False when
    ``content`` may end within a row.
    """
    content = _without_stray_returns(content, name, where, notes)
    head = bytes(content[: min(_HEAD_BYTES, len(content))]).decode("utf-8", errors="ignore").lstrip("\ufeff")
    separator = _find_separator(head, "\t" if kind == "tsv" else ",")
    if separator != ("\t" if kind == "tsv" else ","):
        notes.warn(f"the fields of {name} were read as separated by {_SEPARATORS[separator]}", "", "", where)
    header = next(csv.reader([line for line in head.splitlines() if line.strip()][:1], delimiter=separator), [])
    table, ragged = _parse(content, separator, header, quotes=True)
    if (ragged or separator == "\t") and _has_line_breaks(table, ragged):
        # A quote at the start of a field that never closes swallows lines; then quotes are plain characters.
        plain, odd = _parse(content, separator, header, quotes=False)
        if not odd and plain.num_rows > table.num_rows:
            notes.warn(f"{name} has quotes that never close", "", "Quotes were read as ordinary characters.", where)
            table, ragged = plain, []
    if not whole:
        # The last row may have been cut in the middle.
        ragged = [row for row in ragged if row[0] < table.num_rows + len(ragged) - 1]
        table = table.slice(0, max(0, table.num_rows - 1))
    if ragged:
        number, fields, text = ragged[0]
        notes.error(
            f"every row of {name} needs {len(header)} fields, as the header has",
            f"{fields} in row {number + 1} ({text[:60]!r})"
            + (f"; {name_rows([row for row, *_ in ragged])} do not fit" if len(ragged) > 1 else ""),
            f"Put texts that contain {_SEPARATORS[separator]} into double quotes, or mend those rows.",
            where,
        )
        return None
    unclosed = _unclosed(content, table) if whole else None
    if unclosed is not None:
        notes.error(
            f"a double quote in {name} never closes",
            f"one that opens in {name_rows([unclosed])} and takes the rest of the file",
            "Close it, or double the quotes inside texts.",
            where,
        )
        return None
    return table


def _without_stray_returns(content: pa.Buffer, name: str, where: str, notes: Notes) -> pa.Buffer:
    """Carriage returns within the header belong to no line end where the rows end in line feeds."""
    head = bytes(content[: min(_HEAD_BYTES, len(content))])
    header, feed, rest = head.partition(b"\n")
    rows = rest[: rest.rfind(b"\n") + 1]
    if b"\r" not in header.rstrip(b"\r") or not rows or b"\r" in rows.replace(b"\r\n", b""):
        return content
    notes.warn(f"the header of {name} was cleaned of carriage returns", "", "", where)
    return pa.py_buffer(header.replace(b"\r", b"") + feed + memoryview(content)[len(header) + len(feed) :].tobytes())


def _find_separator(head: str, usual: str) -> str:
    """The separator that gives the header and most of the first rows the same number of fields."""
    lines = [line for line in head.splitlines() if line.strip()][:20]
    if not lines or usual in lines[0]:
        return usual
    scores = {}
    for separator in _SEPARATORS:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        alike = sum(count == counts[0] for count in counts) / len(counts)
        scores[separator] = (alike > 0.8, counts[0]) if counts and counts[0] > 1 else (False, 0)
    best = max(scores, key=lambda separator: scores[separator])
    return best if scores[best][0] else usual


def _parse(
    content: pa.Buffer, separator: str, header: list[str], quotes: bool
) -> tuple[pa.Table, list[tuple[int, int, str]]]:
    """The rows that fit the header, and (row from 0, fields, text) of those that do not."""
    ragged: list[tuple[int, int, str]] = []

    def refuse(row: Any) -> str:
        ragged.append(((row.number or 2) - 2, row.actual_columns, row.text))
        return "skip"

    table = pa.csv.read_csv(
        pa.BufferReader(content),
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=min(len(content) + 1, _LONGEST_ROW)),
        parse_options=pa.csv.ParseOptions(
            delimiter=separator,
            quote_char='"' if quotes else False,
            newlines_in_values=quotes,
            invalid_row_handler=refuse,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in _arrow_names(header, quotes)}, strings_can_be_null=False
        ),
    )
    # A name that the two parsers read differently leaves a column with a guessed type.
    arrays = [column if column.type == pa.string() else column.cast(pa.string()) for column in table.columns]
    return pa.Table.from_arrays(arrays, names=table.column_names), ragged


def _arrow_names(header: list[str], quotes: bool) -> list[str]:
    return header if quotes else [*header, *(f'"{name}"' for name in header)]


def _has_line_breaks(table: pa.Table, ragged: list[tuple[int, int, str]]) -> bool:
    if any("\n" in text for *_, text in ragged):
        return True
    return any(pc.any(pc.match_substring(column, "\n")).as_py() for column in table.columns)


def _unclosed(content: pa.Buffer, table: pa.Table) -> int | None:
    """The last row, if a quote in it runs to the end of the file."""
    if not table.num_rows or memoryview(content).tobytes().count(b'"') % 2 == 0:
        return None
    last = [column[-1].as_py() for column in table.columns]
    return table.num_rows - 1 if any("\n" in (cell or "") for cell in last) else None
