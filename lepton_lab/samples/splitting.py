"""Cuts rows into train, validation and test so that everybody gets the same cut.

A row's place is the SHA-256 of a fixed salt, the name of the sample and the row's text: no
random generator, so neither the Python nor the numpy version matters. Strata keep
their shares. A text that occurs twice is used once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Row = TypeVar("Row")

SALT = "lepton-lab"
_GAPS = re.compile(r"\W+")


def plain(text: str) -> str:
    """``text`` in lower case with one space between words: what counts as the same text."""
    return _GAPS.sub(" ", text.casefold()).strip()


def unique(rows: Iterable[Row], key: Callable[[Row], Hashable]) -> list[Row]:
    """The rows without those whose ``key`` came before."""
    first: dict[Hashable, Row] = {}
    for row in rows:
        first.setdefault(key(row), row)
    return list(first.values())


def cut(
    name: str,
    rows: Sequence[Row],
    sizes: Mapping[str, int],
    text: Callable[[Row], str],
    stratum: Callable[[Row], str] = lambda row: "",
) -> dict[str, list[Row]]:
    """``rows`` by split, ``sizes`` of them; each stratum in proportion, by largest remainder.

    Raises :class:`ValueError` when there are fewer rows than asked for.
    """
    wanted = sum(sizes.values())
    if len(rows) < wanted:
        raise ValueError(f"{name} has {len(rows)} rows, {wanted} are asked for")
    order = {index: _place(name, text(row)) for index, row in enumerate(rows)}
    strata: dict[str, list[int]] = defaultdict(list)
    for index in sorted(order, key=order.__getitem__):
        strata[stratum(rows[index])].append(index)
    shares = {key: len(indices) for key, indices in strata.items()}
    taken = dict.fromkeys(strata, 0)
    splits: dict[str, list[Row]] = {}
    for split, size in sizes.items():
        chosen: list[int] = []
        left = {key: shares[key] - taken[key] for key in strata}
        for key, count in _apportion(size, shares, left).items():
            chosen += strata[key][taken[key] : taken[key] + count]
            taken[key] += count
        splits[split] = [rows[index] for index in sorted(chosen, key=order.__getitem__)]
    return splits


def digest_of_rows(splits: Mapping[str, Sequence[Mapping[str, object]]]) -> str:
    """``sha256:…`` over the rows of all splits in order, as JSON lines."""
    hasher = hashlib.sha256()
    for split, rows in splits.items():
        for row in rows:
            line = json.dumps([split, row], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            hasher.update(line.encode() + b"\n")
    return f"sha256:{hasher.hexdigest()}"


def _place(name: str, text: str) -> str:
    return hashlib.sha256(f"{SALT}\0{name}\0{text}".encode()).hexdigest()


def _apportion(size: int, shares: Mapping[str, int], left: Mapping[str, int]) -> dict[str, int]:
    """How many rows of each stratum: Hamilton's method, never more than are left."""
    total = sum(shares.values())
    exact = {key: size * share / total for key, share in shares.items()}
    counts = {key: min(int(value), left[key]) for key, value in exact.items()}
    for key in sorted(exact, key=lambda each: (int(exact[each]) - exact[each], each)):
        if sum(counts.values()) < size and counts[key] < left[key]:
            counts[key] += 1
    for key in sorted(left, key=lambda each: (counts[each] - left[each], each)):
        counts[key] += min(size - sum(counts.values()), left[key] - counts[key])
    return counts
