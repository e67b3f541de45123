"""Data sets by address: a real web server and a server that speaks S3."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.data import load_splits, resolve_dataset
from lepton_lab.data.addresses import check_address
from lepton_lab.errors import DataError, MissingExtra
from lepton_lab.recipe import build_recipe
from lepton_lab.registry import load_task

CSV = "text,label\n" + "".join(f"a {word} film {number},{word}\n" for number in range(20) for word in ("fine", "dull"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """No line for each request."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a web server, and the folder that it serves."""
    folder = tmp_path / "web"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def splits_of(word: str, whole: bool = True) -> Any:
    plan = {"task": "text-classification", "model": "m", "dataset": resolve_dataset(word)}
    return load_splits(build_recipe("train", plan), load_task("text-classification").needs, whole=whole)


def test_file_of_a_web_server_is_fetched_when_it_changed(web: tuple[str, Path]) -> None:
    address, folder = web
    (folder / "reviews.csv").write_text(CSV)
    found = splits_of(f"{address}/reviews.csv")
    assert found.train.num_rows + found.validation.num_rows + found.test.num_rows == 40
    assert found.source["uri"] == f"{address}/reviews.csv"
    (folder / "reviews.csv").write_text(CSV + "one more,fine\n" * 10)
    assert splits_of(f"{address}/reviews.csv").source["rows"]["train"] == 50


def test_large_text_is_fetched_in_part_at_submit(web: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = web
    (folder / "big.csv").write_text(CSV)
    monkeypatch.setattr("lepton_lab.data.addresses.HEAD_BYTES", 400)
    found = splits_of(f"{address}/big.csv", whole=False)
    assert found.complete is False


@pytest.mark.parametrize(("path", "words"), [("nothere.csv", "no data at this address"), ("", "a web page")])
def test_what_is_not_there_is_said(web: tuple[str, Path], path: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        splits_of(f"{web[0]}/{path}")


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("s3://me:secret@bucket/a.csv", "holds a password"),
        ("https://h.org/a.csv?X-Amz-Signature=abc", "signature or token"),
        ("https://h.org/a.csv?se=1&sig=abc", "signature or token"),
        ("https://secret@h.org/a.csv", "holds a password or token"),
        ("s3://secret@bucket/a.csv", "holds a password or token"),
        ("s3:///a.csv", "no host or bucket"),
        ("ftp://h.org/a.csv", "not read"),
    ],
)
def test_address_that_must_not_be_kept_is_refused(word: str, what: str) -> None:
    problem = check_address(word, "data.dataset")
    assert problem is not None
    assert what in str(problem)
    assert "secret" not in str(problem)
    assert "abc" not in str(problem)


def test_missing_driver_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingExtra, match=r"gs:// addresses needs the package gcsfs.*lepton-lab\[gcs\]"):
        splits_of("gs://bucket/reviews.csv")


def test_file_and_folder_of_a_bucket(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    s3fs = pytest.importorskip("s3fs")
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.mkdir("shop")
        files.pipe("shop/one/reviews.csv", CSV.encode())
        for split in ("train", "test"):
            files.pipe(f"shop/two/{split}.csv", CSV.encode())
        files.pipe("shop/two/README.md", b"about")
        assert splits_of("s3://shop/one/reviews.csv").source["rows"]["train"] == 40
        found = splits_of("s3://shop/two")
        assert found.source["rows"] == {"train": 40, "test": 40}
        fetched = sorted(path.name for path in (home / "cache/fetched").rglob("*.csv"))
        assert fetched == ["reviews.csv", "test.csv", "train.csv"]
        splits_of("s3://shop/one/reviews.csv")  # unchanged: from the cache
        assert sorted(path.name for path in (home / "cache/fetched").rglob("*.csv")) == fetched
        with pytest.raises(DataError, match="no data at this address"):
            splits_of("s3://shop/three")
    finally:
        server.stop()
