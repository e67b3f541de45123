"""Which column of the user's data is which: by option, or by guess."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ..recipe import DataConfig
from .cells import kind_of
from .need import ColumnNeed, Needs
from .notes import Notes, name_values

_ROWS_LOOKED_AT = 1000


def map_columns(table: pa.Table, data: DataConfig, needs: Needs, notes: Notes) -> tuple[ColumnNeed, ...]:
    """The alternative of ``needs`` that fits, reduced to the needs that ``table`` can meet.

    Use :func:`column_for` to get each need's column. When nothing fits, ``notes`` has the problems,
    each naming the columns that exist, and what was found of the nearest alternative is returned, so
    that those columns can be checked too.
    """
    columns = table.column_names
    known = {need.option: need for alternative in needs for need in alternative}
    named = [option for option in known if getattr(data, option, None)]
    unused = sorted(
        option
        for option in type(data).model_fields
        if option.endswith("_column") and getattr(data, option) and option not in known
    )
    for option in unused:
        notes.error(
            f"--{option.replace('_', '-')} means nothing to this task",
            repr(getattr(data, option)),
            f"This task uses: {', '.join(need.flag for need in known.values())}.",
            f"data.{option}",
        )
    candidates = [alternative for alternative in needs if set(named) <= {need.option for need in alternative}]
    if not candidates:
        notes.error(
            "these options do not go together",
            " ".join(known[option].flag for option in named),
            "Use one of: " + "; or ".join(" ".join(need.flag for need in each) for each in needs) + ".",
        )
        return ()
    wrong = False
    for option in named:
        word = str(getattr(data, option))
        if find_column(word, columns) is None:
            wrong = True
            notes.error(
                f"the data has no column {word!r}",
                f"the columns {name_values(columns)}",
                f"Set {known[option].flag} {_nearest(word, columns)}.",
                f"data.{option}",
            )
    wrong = _refuse_one_for_two(named, columns, data, known, notes) or wrong
    for alternative in candidates:
        if all(column_for(need, columns, data, alternative) for need in alternative if need.required):
            return tuple(need for need in alternative if column_for(need, columns, data, alternative))
    if not wrong:
        _explain_missing(table, data, candidates, notes)
    nearest = max(candidates, key=lambda each: sum(bool(column_for(need, columns, data, each)) for need in each))
    return tuple(need for need in nearest if column_for(need, columns, data, nearest))


def _refuse_one_for_two(
    named: Sequence[str], columns: Sequence[str], data: DataConfig, known: dict[str, ColumnNeed], notes: Notes
) -> bool:
    """Whether two options name the same column; it would tell its own answer."""
    users: dict[str, list[str]] = {}
    for option in named:
        column = find_column(str(getattr(data, option)), columns)
        if column is not None:
            users.setdefault(column, []).append(option)
    twice = {column: options for column, options in users.items() if len(options) > 1}
    for column, options in twice.items():
        notes.error(
            "each column can be used for one thing",
            f"{column!r} for {' and '.join(known[option].flag for option in options)}",
            "Name another column with one of them.",
            f"data.{options[-1]}",
        )
    return bool(twice)


def column_for(
    need: ColumnNeed, columns: Sequence[str], data: DataConfig, alternative: Sequence[ColumnNeed] = ()
) -> str | None:
    """The column for ``need``, or None. A column that an option gives to another need is not guessed."""
    word = getattr(data, need.option, None)
    if word:
        return find_column(str(word), columns)
    taken = {find_column(str(getattr(data, other.option, None) or ""), columns) for other in alternative}
    for guess in need.guesses:
        found = find_column(guess, columns)
        if found is not None and found not in taken:
            return found
    return None


def find_column(word: str, columns: Sequence[str]) -> str | None:
    """The column called ``word``: exactly, or in another case or spacing if only one is."""
    if word in columns:
        return word
    close = [column for column in columns if _plain(column) == _plain(word)] if word else []
    return close[0] if len(close) == 1 else None


def _plain(word: str) -> str:
    return re.sub(r"[\s_\-.]+", "", word).casefold()


def _nearest(word: str, columns: Sequence[str]) -> str:
    plain = {_plain(column): column for column in columns}
    close = difflib.get_close_matches(_plain(word), list(plain), n=1, cutoff=0.5)
    return _quoted(plain[close[0]]) if close else "to one of them"


def _quoted(column: str) -> str:
    return f"'{column}'" if re.search(r"\s", column) else column


def _explain_missing(
    table: pa.Table, data: DataConfig, candidates: Sequence[Sequence[ColumnNeed]], notes: Notes
) -> None:
    columns = table.column_names
    wanted = []
    for alternative in candidates:
        lacking = [need for need in alternative if need.required and not column_for(need, columns, data, alternative)]
        wanted.append((alternative, lacking))
    fewest = min(wanted, key=lambda pair: (len(pair[1]) / len(pair[0]), len(pair[1])))
    taken = {column_for(need, columns, data, fewest[0]) for need in fewest[0]} - {None}
    hints = []
    for need in fewest[1]:
        likely = _suggest(need, table, taken)
        taken.add(likely)
        hints.append(f"{need.flag} {_quoted(likely) if likely else 'COLUMN'}")
    headless = _looks_headless(table)
    do = "The first line of the file must name the columns. " if headless else ""
    do += f"Set {' '.join(hints)}."
    if len(candidates) > 1:
        shapes = [" + ".join(need.name for need in each if need.required) for each in candidates]
        do += f" This task learns from: {'; or '.join(shapes)}."
    what = " and ".join(need.name.replace("_", " ") for need in fewest[1])
    notes.error(f"no column for the {what} was found", f"the columns {name_values(columns)}", do)


def _suggest(need: ColumnNeed, table: pa.Table, taken: set[str | None]) -> str | None:
    """The free column that looks most like ``need``: by its name, else by what it holds."""
    free = [name for name in table.column_names if name not in taken]
    for guess in map(_plain, need.guesses):
        named = [name for name in free if guess in _plain(name)]
        if named:
            return str(named[0])
    rows = table.slice(0, _ROWS_LOOKED_AT)
    kinds = {name: kind_of(table.column(name).type) for name in free}
    if need.kind in ("tokens", "tags", "messages"):
        lists = [str(name) for name in free if kinds[name] == "list"]
        return lists[0] if lists else None
    words = [name for name in free if kinds[name] == "text"]
    if need.kind == "label":
        different = {
            name: pc.count_distinct(rows.column(name)).as_py()
            for name in free
            if kinds[name] in ("text", "integer", "bool")
        }
        different = {name: count for name, count in different.items() if 1 < count <= max(2, rows.num_rows // 2)}
        return min(different, key=lambda name: different[name], default=None)
    lengths = {name: pc.mean(pc.utf8_length(rows.column(name))).as_py() or 0 for name in words}
    return max(lengths, key=lambda name: lengths[name], default=None)


def _looks_headless(table: pa.Table) -> bool:
    """Whether the names are data: long, numbers, or values of their own column."""
    if any(len(column) > 40 or re.fullmatch(r"[-+]?[\d.]+", column) for column in table.column_names):
        return True
    rows = table.slice(0, _ROWS_LOOKED_AT)
    texts = [name for name in rows.column_names if kind_of(rows.column(name).type) == "text"]
    return any(pc.any(pc.equal(rows.column(name), name)).as_py() for name in texts)
