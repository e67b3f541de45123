"""The cut: the same for everybody, strata in proportion, nothing twice."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from lepton_lab.samples.splitting import cut, digest_of_rows, plain, unique

ROWS = [{"text": f"row {number}", "label": "rare" if number % 10 == 0 else "common"} for number in range(200)]
SIZES = {"train": 120, "validation": 30, "test": 40}


def _cut(rows: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    return cut("name", rows, SIZES, lambda row: row["text"], lambda row: row["label"])


def test_sizes_and_shares() -> None:
    splits = _cut(ROWS)
    assert {split: len(rows) for split, rows in splits.items()} == SIZES
    counts = {split: Counter(row["label"] for row in rows)["rare"] for split, rows in splits.items()}
    assert counts == {"train": 12, "validation": 3, "test": 4}


def test_nothing_twice() -> None:
    texts = [row["text"] for rows in _cut(ROWS).values() for row in rows]
    assert len(texts) == len(set(texts)) == sum(SIZES.values())


def test_order_of_the_source_does_not_matter() -> None:
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    assert _cut(shuffled) == _cut(ROWS)
    assert cut("other", ROWS, SIZES, lambda row: row["text"]) != _cut(ROWS)


def test_strata_of_one_row_fit() -> None:
    rows = [{"text": str(number), "label": str(number)} for number in range(190)]
    assert {split: len(each) for split, each in _cut(rows).items()} == SIZES


def test_too_few_rows() -> None:
    with pytest.raises(ValueError, match="10 rows, 190 are asked for"):
        _cut(ROWS[:10])


def test_unique_keeps_the_first() -> None:
    assert unique(["A b", "c", "a, B!"], plain) == ["A b", "c"]


def test_digest_sees_order_and_split() -> None:
    one, two = {"text": "a"}, {"text": "b"}
    digests = [{"train": [one, two]}, {"train": [two, one]}, {"train": [one], "test": [two]}]
    assert len({digest_of_rows(each) for each in digests}) == 3
