"""Cut splits are stratified, free of leaks and the same every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lepton_lab import data

Load = Callable[..., data.Splits]
TASK = "text-classification"


def frame(tmp_path: Path, labels: list[Any], texts: list[str] | None = None) -> Path:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": texts or [f"text {row}" for row in range(len(labels))], "label": labels}).to_parquet(path)
    return path


def test_each_part_has_its_share_of_each_class(tmp_path: Path, load: Load) -> None:
    path = frame(tmp_path, ["a"] * 700 + ["b"] * 200 + ["c"] * 100)
    splits = load(TASK, path, validation_size=0.2, test_size=0.1)
    counts = data.label_counts(splits)
    for label, rows in (("a", 700), ("b", 200), ("c", 100)):
        assert abs(counts["test"][label] - rows * 0.1) <= 1
        assert abs(counts["validation"][label] - rows * 0.2) <= 2
    assert [table.num_rows for _, table in splits.items()] == [700, 200, 100]


def test_a_cut_is_the_same_for_a_seed_and_another_for_another(tmp_path: Path, load: Load) -> None:
    path = frame(tmp_path, ["a", "b"] * 100)
    assert load(TASK, path).test.equals(load(TASK, path).test)
    assert not load(TASK, path).test.equals(load(TASK, path, seed=7).test)


def test_parts_share_no_row_and_lose_none(tmp_path: Path, load: Load) -> None:
    splits = load(TASK, frame(tmp_path, ["a", "b", "c"] * 50))
    texts = [text for _, table in splits.items() for text in table["text"].to_pylist()]
    assert len(texts) == len(set(texts)) == 150


def test_rows_with_the_same_input_stay_together(tmp_path: Path, load: Load) -> None:
    texts = [f"text {row % 150}" for row in range(200)]
    splits = load(TASK, frame(tmp_path, ["a", "b"] * 100, texts))
    assert set(data.report(splits)["shared_rows"].values()) == {0}


def test_small_classes_keep_a_training_row(tmp_path: Path, load: Load) -> None:
    for seed in range(20):
        splits = load(TASK, frame(tmp_path, ["a"] * 30 + ["b"] * 8 + ["c", "d"]), seed=seed, test_size=0.3)
        assert set(splits.train["label"].to_pylist()) == {"a", "b", "c", "d"}


def test_rare_tags_and_rare_labels_of_many_keep_a_training_row(tmp_path: Path, load: Load) -> None:
    words = pd.DataFrame(
        {"tokens": [[f"w{row}"] for row in range(30)], "tags": [["O"]] * 25 + [[f"T{i}"] for i in range(5)]}
    )
    words.to_parquet(tmp_path / "w.parquet")
    many = frame(tmp_path, [["a"]] * 20 + [["a", f"b{row}"] for row in range(20)])
    for seed in range(10):
        splits = load("token-classification", tmp_path / "w.parquet", seed=seed, test_size=0.3)
        assert len({tag for tags in splits.train["tags"].to_pylist() for tag in tags}) == 6
        splits = load(TASK, many, seed=seed)
        assert len({label for labels in splits.train["label"].to_pylist() for label in labels}) == 21


def test_numbers_are_cut_over_their_whole_range(tmp_path: Path, load: Load) -> None:
    splits = load(TASK, frame(tmp_path, list(np.linspace(0, 1, 500))))
    assert np.histogram(splits.test["label"].to_numpy(), bins=10)[0].min() >= 4


def test_repeated_texts_are_still_cut(tmp_path: Path, load: Load) -> None:
    splits = load(TASK, frame(tmp_path, ["a", "b"] * 20, ["good", "bad"] * 20))
    assert [table.num_rows for _, table in splits.items()] == [32, 4, 4]


def test_max_rows_takes_a_stratified_sample_of_the_training_rows(tmp_path: Path, load: Load) -> None:
    path = frame(tmp_path, ["a"] * 800 + ["b"] * 200)
    splits = load(TASK, path, max_rows=50)
    assert Counter(splits.train["label"].to_pylist()) == {"a": 40, "b": 10}
    assert splits.test.num_rows == 100
    assert splits.train.equals(load(TASK, path, max_rows=50).train)
    assert load(TASK, path, max_rows=10_000).train.num_rows == 800
