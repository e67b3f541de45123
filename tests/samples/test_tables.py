"""The data samples themselves, from the real releases."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lepton_lab import samples
from lepton_lab.errors import DataError
from lepton_lab.samples import library, tables
from lepton_lab.samples.addresses import read_addresses
from lepton_lab.samples.entries import find
from lepton_lab.samples.splitting import digest_of_rows, plain

NAMES = samples.sample_names("data")


@pytest.fixture
def use(installed: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], samples.SampleData]:
    """``use(name)``: the sample, with LEPTON_HOME set to where it is."""

    def get(name: str) -> samples.SampleData:
        monkeypatch.setenv("LEPTON_HOME", str(installed(name)))
        return samples.load(name)

    return get


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_the_known_ones(name: str, use: Callable[[str], samples.SampleData]) -> None:
    sample = use(name)
    info = find(name)
    assert {split: table.num_rows for split, table in sample.splits.items()} == info.rows
    assert all(tuple(table.schema.names) == sample.columns == info.columns for table in sample.splits.values())
    rows = {split: table.to_pylist() for split, table in sample.splits.items()}
    assert digest_of_rows(rows) == sample.digest == info.digest
    assert sample.licence == info.licence


@pytest.mark.parametrize("name", NAMES)
def test_no_text_in_two_splits(name: str, use: Callable[[str], samples.SampleData]) -> None:
    sample = use(name)
    for column in {"movie-sentiment": ["text"], "addresses": ["tokens"], "faq": ["prompt", "completion"]}[name]:
        cells = [cell for table in sample.splits.values() for cell in table[column].to_pylist()]
        texts = [plain(cell if isinstance(cell, str) else " ".join(cell)) for cell in cells]
        assert all(texts)
        assert len(texts) == len(set(texts))


def test_movies_are_stratified(use: Callable[[str], samples.SampleData]) -> None:
    for table in use("movie-sentiment").splits.values():
        counts = Counter(table["label"].to_pylist())
        assert set(counts) == {"negative", "positive"}
        assert counts["negative"] / table.num_rows == pytest.approx(0.504, abs=0.0011)


def test_movies_are_read_as_utf8(use: Callable[[str], samples.SampleData]) -> None:
    texts = " ".join(t for table in use("movie-sentiment").splits.values() for t in table["text"].to_pylist())
    assert "é" in texts
    assert "Ã" not in texts


def test_addresses_fit(use: Callable[[str], samples.SampleData]) -> None:
    splits = use("addresses").splits
    known = {tag for tags in splits["train"]["tags"].to_pylist() for tag in tags}
    assert len(known) == 29
    for table in splits.values():
        for row in table.to_pylist():
            assert len(row["tokens"]) == len(row["tags"]) > 0
            assert all(token == token.strip() and token for token in row["tokens"])


@pytest.mark.parametrize("name", NAMES)
def test_the_second_load_is_fast(name: str, use: Callable[[str], samples.SampleData]) -> None:
    use(name)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        samples.load(name)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1


@pytest.mark.parametrize("split", ["train", "test"])
def test_changed_tables_are_refused(split: str, use: Callable[[str], samples.SampleData]) -> None:
    use("faq")
    folder = library._made_dir(find("faq"))
    path = folder / f"{split}.parquet"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1] + b"x")
        with pytest.raises(DataError, match=rf"was changed on this machine, got {split}\.parquet"):
            samples.load("faq")
    finally:
        path.write_bytes(whole)


def test_changed_source_is_refused(use: Callable[[str], samples.SampleData]) -> None:
    use("addresses")
    info = find("addresses")
    files = {name: path.read_bytes() for name, path in library._files(info).items()}
    files["labeled.xml"] = files["labeled.xml"].replace(b"Drive", b"Strive")
    with pytest.raises(DataError, match="are not those of usaddress==0.5.16"):
        tables.make_rows(info, files)
    with pytest.raises(DataError, match="asked for"):
        tables.make_rows(info, {"labeled.xml": b"<AddressCollection/>"})


def test_entities_are_refused() -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "boom"><!ENTITY c "&b;&b;&b;">]><a><s><t>&c;</t></s></a>'
    with pytest.raises(ValueError, match="document type declaration"):
        read_addresses({"labeled.xml": bomb.encode()})
    with pytest.raises(UnicodeDecodeError):
        read_addresses({"labeled.xml": bomb.encode("utf-16")})


def test_install_mends_what_was_deleted(installed: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_HOME", str(installed("addresses")))
    info = find("addresses")
    made, source = library._made_dir(info), library._source_dir(info)
    for each in made.iterdir():
        each.unlink()
    made.rmdir()
    (source / "labeled.xml").unlink()
    with pytest.raises(DataError, match="no labeled.xml in"):
        samples.load("addresses")
    lines: list[str] = []
    samples.install("addresses", progress=lines.append)
    assert lines == ["Downloading usaddress-0.5.16.tar.gz (1 MB)", "Unpacking addresses (licence MIT)"]
    assert samples.load("addresses").digest == info.digest
    assert samples.install("addresses", progress=lines.append) == made.parent
    assert len(lines) == 2
