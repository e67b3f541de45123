"""Data frames of a notebook are found and written once."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lepton_lab import data, samples
from lepton_lab.errors import DataError

Load = Callable[..., data.Splits]
ROWS = [{"text": f"text {row}", "label": "ab"[row % 2]} for row in range(20)]
FRAME = pd.DataFrame(ROWS)
FEATURES = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])})
NUMBERED = datasets.Dataset.from_list(
    [{"text": row["text"], "label": "ab".index(row["label"])} for row in ROWS], features=FEATURES
)

KINDS: dict[str, Any] = {
    "pandas": FRAME,
    "pandas with an odd index": FRAME.set_axis(range(100, 120)),
    "pandas with categories": FRAME.astype({"label": "category"}),
    "pandas with a text index": FRAME.set_index("text"),
    "polars": pl.DataFrame(ROWS),
    "polars lazy": pl.DataFrame(ROWS).lazy(),
    "polars categories": pl.DataFrame(ROWS).with_columns(pl.col("label").cast(pl.Categorical)),
    "arrow": pa.Table.from_pylist(ROWS),
    "arrow batch": pa.RecordBatch.from_pylist(ROWS),
    "datasets": NUMBERED,
    "datasets shuffled": NUMBERED.shuffle(seed=1),
    "rows": ROWS,
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_frame_gives_the_same_rows(kind: str, load: Load) -> None:
    word = data.resolve_dataset("var:reviews", {"reviews": KINDS[kind]})
    splits = load("text-classification", word)
    found = [row for _, table in splits.items() for row in table.select(["text", "label"]).to_pylist()]
    assert sorted(found, key=str) == sorted(ROWS, key=str)


def test_the_same_frame_is_written_once(home: Path) -> None:
    first = data.resolve_dataset("var:reviews", {"reviews": FRAME})
    path = Path(first.removeprefix("file:"))
    assert path.parent == home / "data"
    before = path.read_bytes()
    assert data.resolve_dataset("var:reviews", {"reviews": FRAME.copy()}) == first
    assert path.read_bytes() == before
    assert data.resolve_dataset("var:reviews", {"reviews": FRAME[:10]}) != first
    assert len(os.listdir(home / "data")) == 2


def test_a_dict_of_splits_keeps_them(load: Load) -> None:
    parts = datasets.DatasetDict(
        {"train": NUMBERED, "dev": NUMBERED.select(range(4)), "unsupervised": NUMBERED.select(range(2))}
    )
    word = data.resolve_dataset("parts", {"parts": parts})
    assert data.resolve_dataset("var:parts", {"parts": parts}) == word
    splits = load("text-classification", word)
    assert splits.validation.num_rows == 4
    assert splits.source["cut"] == ["test"]


def test_odd_columns_do_not_stop_a_frame(load: Load) -> None:
    frame = FRAME.assign(thing=[object()] * 20, mixed=[1, "a"] * 10, label=["a", 1] * 10)
    splits = load("text-classification", data.resolve_dataset("f", {"f": frame}))
    assert splits.labels == ["1", "a"]


@pytest.mark.parametrize(
    ("word", "namespace", "says"),
    [
        ("var:review", {"reviews": FRAME, "n": 1}, ("no variable 'review'", "Did you mean var:reviews?")),
        ("var:x", {}, ("no variable 'x'", "There is no data frame here")),
        ("var:n", {"n": 1}, ("n is not a data frame", "got builtins.int", "pandas or polars")),
        ("var:s", {"s": NUMBERED.to_iterable_dataset()}, ("s is not a data frame", "not streamed")),
        ("var:e", {"e": FRAME[:0]}, ("the data frame e is empty",)),
        ("n", {"n": 1}, ("the variable n is not a data frame", "got int")),
        (
            "reviewz",
            {"reviews": FRAME},
            ("no such data set, got 'reviewz'", "Did you mean var:reviews?", "hub:reviewz"),
        ),
        ("trian.csv", {}, ("no file trian.csv", "Did you mean train.csv?", "The files there: train.csv")),
        ("file:trian.csv", {}, ("no file trian.csv", "Did you mean train.csv?", "Relative paths start from")),
        ("train", {"train": FRAME, "train.csv": 1}, ("'train' can mean 2 things", "Write var:train or file:train")),
        ("sample:movie-sentimint", {}, ("no such sample", "Did you mean sample:movie-sentiment?")),
        ("movie-sentimint", {}, ("no such data set", "Did you mean sample:movie-sentiment?")),
        ("hub:a/b/c", {}, ("not the name of a hub data set", "'a/b/c'", "hub:OWNER/NAME")),
        ("hub:csv", {}, ("not the name of a hub data set",)),
        ("ftp://example.org/a.csv", {}, ("addresses of this kind are not read", "hub:NAME")),
        ("", {}, ("a data set is needed",)),
    ],
)
def test_what_cannot_be_resolved_lists_what_there_is(
    word: str, namespace: dict[str, Any], says: tuple[str, ...]
) -> None:
    Path("train.csv").write_text("text,label\n")
    Path("train").mkdir()
    with pytest.raises(DataError) as caught:
        data.resolve_dataset(word, namespace)
    for piece in says:
        assert piece in str(caught.value)


def test_bare_names(tmp_path: Path) -> None:
    Path("a.csv").write_text("text,label\n")
    assert data.resolve_dataset("a.csv", {}) == f"file:{Path('a.csv').absolute()}"
    assert data.resolve_dataset("file:a.csv") == f"file:{Path('a.csv').absolute()}"
    assert data.resolve_dataset("~", {}) == f"file:{Path.home()}"
    assert data.resolve_dataset("hub:stanfordnlp/imdb@main") == "hub:stanfordnlp/imdb@main"
    name = next(iter(samples.sample_names("data")))
    assert data.resolve_dataset(name, {"a": 1}) == f"sample:{name}"
    assert data.resolve_dataset(f"sample:{name}") == f"sample:{name}"
    # A variable that is no data frame does not hide a file.
    assert data.resolve_dataset("a.csv", {"a.csv": "text"}).startswith("file:")


def test_frames_are_listed() -> None:
    namespace = {**{f"f{place}": value for place, value in enumerate(KINDS.values())}, "_hidden": FRAME, "x": 3}
    namespace["odd"] = SimpleNamespace()
    assert data.frames(namespace) == sorted(f"f{place}" for place in range(len(KINDS) - 1))
    assert data.frames(None) == []


def test_a_refused_request_leaves_no_frame_behind(home: Path) -> None:
    splits = datasets.DatasetDict({"train": NUMBERED, "dev": NUMBERED.select(range(4))})
    kept = data.resolve_dataset("var:reviews", {"reviews": FRAME})

    @data.frames_of_request()
    def request() -> None:
        with data.frames_of_request():  # part of the request
            assert data.resolve_dataset("var:reviews", {"reviews": FRAME}) == kept
            data.resolve_dataset("var:some", {"some": FRAME[:10]})
        data.resolve_dataset("var:parts", {"parts": splits})
        assert len(os.listdir(home / "data")) == 3
        raise DataError("refused")

    with pytest.raises(DataError, match="refused"):
        request()
    assert [home / "data" / name for name in os.listdir(home / "data")] == [Path(kept.removeprefix("file:"))]


def test_a_frame_that_another_request_uses_stays(home: Path) -> None:
    @data.frames_of_request()
    def request() -> None:
        word = data.resolve_dataset("var:reviews", {"reviews": FRAME})
        assert contextvars.Context().run(data.resolve_dataset, "var:reviews", {"reviews": FRAME}) == word
        raise DataError("refused")

    with pytest.raises(DataError, match="refused"):
        request()
    assert len(os.listdir(home / "data")) == 1
