"""Files in every format, encoding and shape give the same rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lepton_lab import data
from lepton_lab.errors import DataError

Load = Callable[..., data.Splits]
TASK = "text-classification"
ROWS = [{"text": f"text number {row}, with a comma", "label": ("neg", "pos")[row % 2]} for row in range(20)]
FRAME = pd.DataFrame(ROWS)


def every_row(splits: data.Splits) -> list[dict[str, object]]:
    rows = [row for _, table in splits.items() for row in table.to_pylist()]
    return sorted(rows, key=lambda row: int(str(row["text"]).split()[2].strip(",")))


def warned(splits: data.Splits) -> str:
    return "\n".join(map(str, splits.warnings))


def write(path: Path) -> None:
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        FRAME.to_parquet(path)
        return
    text = {
        "csv": FRAME.to_csv(index=False),
        "tsv": FRAME.to_csv(index=False, sep="\t"),
        "json": FRAME.to_json(orient="records"),
        "jsonl": FRAME.to_json(orient="records", lines=True),
        "txt": FRAME.to_csv(index=False, sep="\t"),
    }[name.rpartition(".")[2]]
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet", "a.txt", "a.csv.gz", "a.jsonl.gz"]
)
def test_each_format_gives_the_same_rows(name: str, tmp_path: Path, load: Load) -> None:
    write(tmp_path / name)
    splits = load(TASK, tmp_path / name)
    assert every_row(splits) == ROWS
    assert splits.labels == ["neg", "pos"]
    assert splits.problem_type == "single_label"
    assert splits.mapping == {"text": "text", "label": "label"}
    assert len(str(splits.source["digest"])) == 64
    assert splits.source["cut"] == ["validation", "test"]


@pytest.mark.parametrize("wrap", [
    lambda rows: {"data": rows},
    lambda rows: {"text": [row["text"] for row in rows], "label": [row["label"] for row in rows]},
    lambda rows: {name: {str(place): row[name] for place, row in enumerate(rows)} for name in ("text", "label")},
], ids=["under a key", "columns", "pandas"])  # fmt: skip
def test_json_in_other_shapes(wrap: Callable[..., object], tmp_path: Path, load: Load) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(wrap(ROWS)))
    assert every_row(load(TASK, path)) == ROWS


def test_json_with_splits(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"train": ROWS[:12], "dev": ROWS[12:16], "test": ROWS[16:]}))
    splits = load(TASK, path)
    assert [table.num_rows for _, table in splits.items()] == [12, 4, 4]
    assert splits.source["cut"] == []


CHINESE = ["这部电影很好看", "太差了浪费时间", "演员的表演非常出色我很喜欢", "剧情无聊"]
FRENCH = ["très bon café", "mauvais été – “déçu”", "naïve", "garçon œuvre"]
WORDS = {
    "utf-8": CHINESE + FRENCH,
    "utf-8-sig": CHINESE,
    "utf-16": CHINESE + FRENCH,
    "utf-16-le": FRENCH,
    "utf-16-be": FRENCH,
    "utf-32": CHINESE,
    "gbk": CHINESE,
    "cp1252": FRENCH,
    "latin_1": ["das Märchen ist schön", "übel größe", "café très bon", "mañana"],
    "cp1250": ["Świetny film, żółć", "Beznadziejne źle", "mała gęś", "książka"],
    "cp1251": ["Хороший фильм", "Ужасно скучно и длинно", "Мне понравилось", "Плохо"],
    "shift_jis": ["この映画はとても良かった", "ひどい作品でした", "面白い", "時間の無駄"],
    "euc_kr": ["이 영화 정말 재미있어요", "최악이다 시간 낭비", "좋아요", "별로예요"],
    "big5": ["這部電影很好看", "太差了浪費時間", "演員的表演非常出色", "劇情無聊"],
}


@pytest.mark.parametrize("encoding", WORDS)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_encodings_are_found(encoding: str, kind: str, tmp_path: Path, load: Load) -> None:
    texts = [f"{word} {number}" for number in range(3) for word in WORDS[encoding]]
    frame = pd.DataFrame({"text": texts, "label": [f"c{place % 2}" for place in range(len(texts))]})
    content = (
        frame.to_csv(index=False) if kind == "csv" else frame.to_json(orient="records", lines=True, force_ascii=False)
    )
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content.encode(encoding))
    splits = load(TASK, path)
    assert {row["text"] for _, table in splits.items() for row in table.to_pylist()} == set(texts)
    assert ("is not UTF-8" in warned(splits)) == (not encoding.startswith("utf"))


@pytest.mark.parametrize("wanted", [None, "gbk"])
def test_a_utf8_mark_before_other_bytes_is_no_part_of_the_header(
    wanted: str | None, tmp_path: Path, load: Load
) -> None:
    texts = [f"{word} {number}" for number in range(3) for word in CHINESE]
    rows = "".join(f"{text},c{place % 2}\n" for place, text in enumerate(texts))
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + f"text,label\n{rows}".encode("gbk"))
    splits = load(TASK, tmp_path / "a.csv", encoding=wanted)
    assert {row["text"] for _, table in splits.items() for row in table.to_pylist()} == set(texts)
    assert ("begins with the mark of UTF-8" in warned(splits)) == (wanted is None)


def test_a_byte_late_in_a_long_file_still_tells_the_encoding(tmp_path: Path, load: Load) -> None:
    lines = [f"text {row},c{row % 2}" for row in range(20_000)] + [f"très bon café {row},c0" for row in range(10)]
    path = tmp_path / "a.csv"
    path.write_bytes(("text,label\n" + "\n".join(lines)).encode("cp1252"))
    splits = load(TASK, path)
    assert "très bon café 3" in {text for _, table in splits.items() for text in table["text"].to_pylist()}


def test_encoding_can_be_said(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(FRAME.to_csv(index=False).replace("text number", "żółć number").encode("cp1250"))
    splits = load(TASK, path, encoding="cp1250")
    assert str(splits.train["text"][0]).startswith("żółć")
    assert splits.source["encoding"] == "cp1250"


@pytest.mark.parametrize("header", [" text , label\r", "\ufefftext,label ", '"text ","label\r"', "Text,LABEL"])
def test_headers_are_cleaned(header: str, tmp_path: Path, load: Load) -> None:
    path = tmp_path / "a.csv"
    body = FRAME.to_csv(index=False, header=False)
    path.write_bytes((header + "\r\n" + body.replace("\n", "\r\n")).encode())
    splits = load(TASK, path)
    assert every_row(splits) == ROWS
    assert ("were cleaned" in warned(splits)) == (header != "Text,LABEL")


def test_a_carriage_return_within_the_header_ends_no_line(tmp_path: Path, load: Load) -> None:
    body = FRAME.to_csv(index=False, header=False)
    (tmp_path / "a.csv").write_bytes(f"text\r,label\r\n{body}".encode())
    splits = load(TASK, tmp_path / "a.csv")
    assert every_row(splits) == ROWS
    assert "carriage returns" in warned(splits)


def test_a_frame_with_a_dirty_header_is_cleaned_and_warned(tmp_path: Path, load: Load) -> None:
    FRAME.rename(columns={"label": "label\r"}).to_parquet(tmp_path / "a.parquet")
    splits = load(TASK, tmp_path / "a.parquet")
    assert "column names of a.parquet were cleaned" in warned(splits)
    assert "'label\\r'" in warned(splits)


@pytest.mark.parametrize(("separator", "said"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_other_separators_are_found(separator: str, said: str, tmp_path: Path, load: Load) -> None:
    path = tmp_path / "a.csv"
    FRAME.to_csv(path, sep=separator, index=False)
    splits = load(TASK, path)
    assert every_row(splits) == ROWS
    assert f"separated by {said}" in warned(splits)


def test_line_breaks_in_quotes_stay(tmp_path: Path, load: Load) -> None:
    frame = pd.DataFrame({"text": [f'one "{row}"\ntwo, three' for row in range(20)], "label": ["a", "b"] * 10})
    frame.to_csv(tmp_path / "a.csv", index=False)
    splits = load(TASK, tmp_path / "a.csv")
    assert {text for _, table in splits.items() for text in table["text"].to_pylist()} == set(frame["text"])


def test_a_tsv_with_stray_quotes_keeps_every_row(tmp_path: Path, load: Load) -> None:
    lines = [f'"great film {row}\t{"ab"[row % 2]}' for row in range(21)]
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    splits = load(TASK, tmp_path / "a.tsv")
    assert sum(table.num_rows for _, table in splits.items()) == 21
    assert "quotes that never close" in warned(splits)


def test_texts_are_not_changed(tmp_path: Path, load: Load) -> None:
    texts = ["2020-01-01", "007 is back", "1e5 reasons", " spaces stay ", "true", "NA", *(f"t {i}" for i in range(14))]
    frame = pd.DataFrame({"text": texts, "label": ["a", "b"] * 10})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    for name in ("a.csv", "a.jsonl"):
        splits = load(TASK, tmp_path / name)
        assert {text for _, table in splits.items() for text in table["text"].to_pylist()} == set(texts)


def test_a_column_of_only_dates_stays_text(tmp_path: Path, load: Load) -> None:
    rows = [{"text": f"2020-01-{day:02}", "label": "ab"[day % 2]} for day in range(1, 21)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    splits = load(TASK, tmp_path / "a.jsonl")
    assert {text for _, table in splits.items() for text in table["text"].to_pylist()} == {row["text"] for row in rows}


def test_a_folder_with_named_splits(tmp_path: Path, load: Load) -> None:
    (tmp_path / "d" / "test").mkdir(parents=True)
    FRAME[:8].to_csv(tmp_path / "d" / "train-00000-of-00002.csv", index=False)
    FRAME[8:12].to_csv(tmp_path / "d" / "train-00001-of-00002.csv", index=False)
    FRAME[12:16].to_csv(tmp_path / "d" / "my_dev.csv", index=False)
    FRAME[16:].to_csv(tmp_path / "d" / "test" / "part.csv", index=False)
    (tmp_path / "d" / "README.md").write_text("about")
    splits = load(TASK, tmp_path / "d")
    assert [table.num_rows for _, table in splits.items()] == [12, 4, 4]
    assert splits.train.to_pylist() == ROWS[:12]


def test_a_folder_of_parts_is_one_table(tmp_path: Path, load: Load) -> None:
    for part in range(4):
        FRAME[part * 5 : part * 5 + 5].to_parquet(tmp_path / f"part-{part}.parquet")
    assert every_row(load(TASK, tmp_path)) == ROWS


def test_own_validation_and_test_files(tmp_path: Path, load: Load) -> None:
    for name, part in (("a", FRAME[:12]), ("v", FRAME[12:16]), ("t", FRAME[16:])):
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    given = {"validation_dataset": f"file:{tmp_path}/v.csv", "test_dataset": f"file:{tmp_path}/t.csv"}
    splits = load(TASK, tmp_path / "a.csv", **given)
    assert splits.validation.to_pylist() == ROWS[12:16]
    assert splits.test.to_pylist() == ROWS[16:]
    del given["test_dataset"]
    assert load(TASK, tmp_path / "a.csv", **given).source["cut"] == ["test"]


def test_class_numbers_of_datasets_become_names(tmp_path: Path, load: Load) -> None:
    features = {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}, "text": {"_type": "Value"}}
    table = pa.table({"text": [f"t {row}" for row in range(20)], "label": [row % 2 for row in range(20)]})
    stored = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    pq.write_table(table.replace_schema_metadata(stored), tmp_path / "train.parquet")
    hidden = pa.table({"text": ["x"] * 3, "label": [-1] * 3}).replace_schema_metadata(stored)
    pq.write_table(hidden, tmp_path / "test.parquet")
    splits = load(TASK, tmp_path)
    assert splits.labels == ["bad", "good"]
    assert "test data has no labels" in warned(splits)
    assert splits.source["cut"] == ["validation", "test"]


def test_only_the_head_of_a_huge_file_is_read_for_a_check(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lepton_lab.data.files.HEAD_BYTES", 2000)
    monkeypatch.setattr("lepton_lab.data.files._HEAD_ROWS", 50)
    frame = pd.DataFrame({"text": [f"text {row}" for row in range(500)], "label": ["a"] * 400 + ["b"] * 100})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=25)
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        splits = load(TASK, tmp_path / name, whole=False)
        assert not splits.complete
        assert 8 < sum(table.num_rows for _, table in splits.items()) < 200
        assert load(TASK, tmp_path / name).labels == ["a", "b"]
    with pytest.raises(DataError, match="no column 'body'"):
        load(TASK, tmp_path / "a.csv", whole=False, text_column="body")
