"""Each bad input gives one clear message: what, got, do."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lepton_lab import data
from lepton_lab.errors import DataError

TEXT, TOKENS, CHAT = "text-classification", "token-classification", "text-generation"


def csv(*lines: str, header: str = "text,label") -> bytes:
    return ("\n".join((header, *lines)) + "\n").encode()


def good(count: int = 20, labels: tuple[str, ...] = ("pos", "neg")) -> list[str]:
    return [f"text number {row},{labels[row % len(labels)]}" for row in range(count)]


def jsonl(*rows: dict[str, Any]) -> bytes:
    return ("\n".join(json.dumps(row) for row in rows) + "\n").encode()


def chat(*roles: str) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": f"{role} says {place}"} for place, role in enumerate(roles)]}


QA = [chat("user", "assistant") for _ in range(9)]
WORDS = [{"tokens": ["12", "Main"], "tags": ["No", "Street"]} for _ in range(9)]


def parquet(**columns: Any) -> Callable[[Path], None]:
    return lambda path: pd.DataFrame(columns).to_parquet(path)


@dataclass
class Case:
    """Content of the file called ``name``, and pieces of the one problem it must give."""

    id: str
    task: str
    name: str
    content: Any
    says: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    more: dict[str, bytes] = field(default_factory=dict)


TWENTY = list(range(20))
CASES = [
    Case("missing file", TEXT, "gone.csv", None, ("there is no file", "gone.csv", "Check the path")),
    Case("empty file", TEXT, "a.csv", b"", ("is empty", "got 0 bytes", "a header and rows")),
    Case("white file", TEXT, "a.csv", b"\n\n \n", ("is empty", "only white space")),
    Case("header only", TEXT, "a.csv", csv(), ("has no rows", "a header only")),
    Case("empty list", TEXT, "a.json", b"[]", ("must hold rows", "an empty list")),
    Case(
        "mixed folder", TEXT, "folder/a.csv", csv(*good()), ("mixes formats", "1 csv, 1 jsonl", "--format"),
        more={"folder/b.jsonl": jsonl({"text": "a", "label": "b"})},
    ),
    Case("folder of nothing", TEXT, "folder/readme.md", b"# hi", ("has no data files", "readme.md", "CSV, TSV, JSON")),
    Case(
        "folder of other columns", TEXT, "folder/a.csv", csv(*good()), ("different columns", "text, label in a.csv"),
        more={"folder/b.csv": csv(*good(), header="text,stars")},
    ),
    Case(
        "wrong column", TEXT, "a.csv", csv(*good(), header="review_text,label"),
        ("no column 'reviewtxt'", "got the columns review_text, label", "Set --text-column review_text"),
        {"text_column": "reviewtxt"},
    ),
    Case(
        "no such column to guess", TEXT, "a.csv", csv(*good(), header="body,label"),
        ("no column for the text was found", "got the columns body, label", "Set --text-column body"),
    ),
    Case(
        "no header", TEXT, "a.csv", ("\n".join(["a rather long first row of text without any header,1"] * 20)).encode(),
        ("no column for the text and label", "first line of the file must name the columns"),
    ),
    Case(
        "option of another task", TEXT, "a.csv", csv(*good()),
        ("--messages-column means nothing to this task", "--text-column"), {"messages_column": "chat"},
    ),
    Case(
        "options that do not go together", CHAT, "a.jsonl", jsonl(*QA),
        ("do not go together", "--messages-column --prompt-column"),
        {"messages_column": "messages", "prompt_column": "prompt"},
    ),
    Case(
        "two columns of one name", TEXT, "a.csv", csv(*(f"{row},x" for row in good()), header="text,label, label"),
        ("column names of a.csv must differ", "label more than once"),
    ),
    Case(
        "one class", TEXT, "a.csv", csv(*good(labels=("pos",))),
        ("at least two different labels", "only 'pos' in 20 rows", "--label-column"),
    ),
    Case(
        "labels all missing", TEXT, "a.csv", csv(*good(labels=("",))),
        ("every label in the column 'label' is missing", "20 rows", "--label-column"),
    ),
    Case(
        "labels all NaN", TEXT, "a.parquet", parquet(text=[str(f"t{i}") for i in TWENTY], label=[None] * 20),
        ("every label in the column 'label' is missing",),
    ),
    Case(
        "floats for classes", TEXT, "a.csv", csv(*(f"text {row},{row % 5 + 0.5}" for row in TWENTY)),
        ("must be classes", "floats such as 0.5, 1.5, 2.5", "--problem-type regression"),
    ),
    Case(
        "many floats for single_label", TEXT, "a.csv", csv(*(f"text {row},{row / 7:.3f}" for row in range(60))),
        ("must be classes", "floats such as", "--problem-type regression"), {"problem_type": "single_label"},
    ),
    Case(
        "words for a regression", TEXT, "a.csv", csv(*good()),
        ("must hold numbers for a regression", "got neg, pos", "--problem-type single_label"),
        {"problem_type": "regression"},
    ),
    Case(
        "numbers for multi_label", TEXT, "a.csv", csv(*(f"text {row},{row % 3}" for row in TWENTY)),
        ("lists of labels for multi_label", "integer values"), {"problem_type": "multi_label"},
    ),
    Case(
        "lists for single_label", TEXT, "a.jsonl", jsonl(*({"text": f"t {i}", "label": ["a", "b"]} for i in TWENTY)),
        ("holds lists of labels", "Set --problem-type multi_label"), {"problem_type": "single_label"},
    ),
    Case(
        "lists and words", TEXT, "a.jsonl",
        jsonl(*({"text": f"t {i}", "label": ["a", "b"] if i == 7 else "ab"[i % 2]} for i in TWENTY)),
        ("lists in some rows and single words in others", '["a", "b"] in row 8, but \'a\' in rows 1, 2, 3, 4, 5 and 14 more',
         "Make every row a list"),
    ),
    Case(
        "words behind many lists", TEXT, "a.csv", csv(*(f"t {i},\"['a', 'b']\"" for i in range(150)), "t,a"),
        ("lists in some rows", "'a' in row 151"), {"problem_type": "multi_label"},
    ),
    Case(
        "one number only", TEXT, "a.csv", csv(*(f"text {row},0.5" for row in TWENTY)),
        ("all the same", "0.5"), {"problem_type": "regression"},
    ),
    Case(
        "ids as labels", TEXT, "a.csv", csv(*(f"text {row},id{row}" for row in range(80))),
        ("does not look like classes", "80 different values in 80 rows", "--problem-type single_label"),
    ),
    Case(
        "unseen labels", TEXT, "a.csv", csv(*good()),
        ("test data has labels that the training data never shows", "meh (2 rows)", "spelling"),
        {"test_dataset": "test.csv"}, {"test.csv": csv("a,pos", "b,meh", "c,meh")},
    ),
    Case(
        "unseen tags", TOKENS, "a.jsonl", jsonl(*WORDS),
        ("validation data has labels that the training data never shows", "Box (1 row)"),
        {"validation_dataset": "v.jsonl"}, {"v.jsonl": jsonl({"tokens": ["9"], "tags": ["Box"]})},
    ),
    Case(
        "other columns in the test data", TEXT, "a.csv", csv(*good()),
        ("test data has no column 'text'", "the columns body, label", "Rename"),
        {"test_dataset": "test.csv"}, {"test.csv": csv("a,pos", header="body,label")},
    ),
    Case(
        "text of numbers in a CSV", TEXT, "a.csv", csv(*(f"{row},{'ab'[row % 2]}" for row in TWENTY)),
        ("'text' must hold text", "whole numbers, such as '0'", "--text-column"),
    ),
    Case(
        "text of numbers", TEXT, "a.parquet", parquet(text=[i / 2 for i in TWENTY], label=["a", "b"] * 10),
        ("'text' must hold text", "numbers, such as", "--text-column"),
    ),
    Case(
        "text of lists", TEXT, "a.jsonl", jsonl(*({"text": ["a", "b"], "label": "ab"[i % 2]} for i in TWENTY)),
        ("'text' must hold text", "lists, such as", "--text-column"),
    ),
    Case(
        "all text missing", TEXT, "a.csv", csv(*(f"nan,{'ab'[row % 2]}" for row in TWENTY)),
        ("the column 'text' of the train data is empty", "20 rows without a text"),
    ),
    Case(
        "tags of another length", TOKENS, "a.jsonl",
        jsonl(*WORDS, {"tokens": ["1", "2"], "tags": ["No"]}, {"tokens": ["1"], "tags": ["No", "No"]}),
        ("as many 'tags' as 'tokens'", "2 and 1 in row 10", "rows 10 and 11", "Give every word one tag"),
    ),
    Case(
        "tokens as a string", TOKENS, "a.jsonl", jsonl(*({"tokens": "12 Main", "tags": ["No", "St"]} for _ in TWENTY)),
        ("'tokens' must hold lists of tokens", "text, such as '12 Main'", "--tokens-column"),
    ),
    Case(
        "tags as a string", TOKENS, "a.jsonl", jsonl(*({"tokens": ["12", "Main"], "tags": "No St"} for _ in TWENTY)),
        ("'tags' must hold lists of tags", "text, such as 'No St'", "--tags-column"),
    ),
    Case(
        "holes in tokens", TOKENS, "a.jsonl", jsonl(*WORDS, {"tokens": ["1", None], "tags": ["No", "No"]}),
        ("must be whole", "empty places in row 10"),
    ),
    Case(
        "one tag only", TOKENS, "a.jsonl", jsonl(*({"tokens": ["a"], "tags": ["O"]} for _ in TWENTY)),
        ("at least two different tags", "only 'O' in 20 rows", "--tags-column"),
    ),
    Case(
        "chat without an answer", CHAT, "a.jsonl", jsonl(*QA, chat("user", "assistant", "user")),
        ("the last message is not the assistant's", "got row 10", "ending with assistant"),
    ),
    Case(
        "chat out of order", CHAT, "a.jsonl", jsonl(*QA, chat("user", "user", "assistant"), chat("assistant")),
        ("user and assistant do not take turns", "got rows 10 and 11", "in turn"),
    ),
    Case(
        "late system message", CHAT, "a.jsonl", jsonl(*QA, chat("user", "system", "assistant")),
        ("user and assistant do not take turns", "row 10"),
    ),
    Case(
        "unknown role", CHAT, "a.jsonl", jsonl(*QA, chat("user", "tool", "assistant")),
        ("the role 'tool' is not system, user or assistant", "row 10"),
    ),
    Case(
        "chat as text", CHAT, "a.jsonl", jsonl(*({"messages": "hello"} for _ in TWENTY)),
        ("must hold chats", "text, such as 'hello'", "--messages-column"),
    ),
    Case(
        "empty prompts", CHAT, "a.csv", csv(*(f",answer {row}" for row in TWENTY), header="prompt,completion"),
        ("the column 'prompt' of the train data is empty", "--prompt-column"),
    ),
    Case(
        "empty completions", CHAT, "a.csv", csv(*(f"question {row}," for row in TWENTY), header="prompt,completion"),
        ("the column 'completion' of the train data is empty", "--completion-column"),
    ),
    Case(
        "too few rows", TEXT, "a.csv", csv(*good(4)),
        ("at least 8 training rows are needed", "validation and test rows are cut off", "got 4", "Add rows"),
    ),
    Case(
        "all cut away", TEXT, "a.csv", csv(*good()),
        ("must leave training rows", "0.6 + 0.5", "--validation-size"), {"validation_size": 0.6, "test_size": 0.5},
    ),
    Case("binary file", TEXT, "a.csv", bytes(range(256)) * 8, ("is not a CSV file", "a binary file")),
    Case("workbook", TEXT, "a.csv", b"PK\x03\x04" + bytes(100), ("is not a CSV file", "Excel", "save the sheet as CSV")),
    Case("pickle", TEXT, "a.json", b"\x80\x04\x95" + bytes(100), ("is not a JSON file", "pickle", "can run code")),
    Case("web page", TEXT, "a.csv", b"<!DOCTYPE html><html>", ("is not a CSV file", "a web page")),
    Case("LFS pointer", TEXT, "a.csv", b"version https://git-lfs.github.com/spec/v1", ("Git LFS pointer", "git lfs")),
    Case("broken gzip", TEXT, "a.csv.gz", gzip.compress(csv(*good()))[:30], ("cannot be read", "whole")),
    Case(
        "ragged rows", TEXT, "a.csv", csv(*good(), "one, two, pos", "three"),
        ("every row of a.csv needs 2 fields", "3 in row 21", "rows 21 and 22", "double quotes"),
    ),
    Case(
        "open quote", TEXT, "a.csv", csv(*good(), 'one,"pos', *good()),
        ("a double quote in a.csv never closes", "row 21"),
    ),
    Case("not Parquet", TEXT, "a.parquet", csv(*good()), ("is not a Parquet file", "text that starts with 'text,label")),
    Case("torn Parquet", TEXT, "a.parquet", b"PAR1" + bytes(50), ("cannot be read as Parquet",)),
    Case("torn JSON", TEXT, "a.json", b'[{"text": "a", "label"', ("not whole JSON", "line 1 column", "Mend it")),
    Case("not JSON", TEXT, "a.json", csv(*good()), ("a.json is not JSON", "'text,label", "list of objects")),
    Case(
        "torn JSON lines", TEXT, "a.jsonl", jsonl(*({"text": "a", "label": "b"} for _ in range(9))) + b'{"text": \n',
        ("every line of a.jsonl must be a JSON object", "in line 10", "1 such line"),
    ),
    Case(
        "wrong encoding", TEXT, "a.csv", csv(*good(), "caf\u00e9,pos").replace("\u00e9".encode(), b"\xe9"),
        ("is not utf-8", "Leave --encoding out"), {"encoding": "utf-8"},
    ),
    Case(
        "mark of UTF-16 before other bytes", TEXT, "a.csv", b"\xff\xfe" + csv(*good(), "odd,pos"),
        ("begins with the mark of utf-16, but is not", "Save it again as UTF-8"),
    ),
    Case("unknown encoding", TEXT, "a.csv", csv(*good()), ("no such encoding", "'utf-77'"), {"encoding": "utf-77"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id.replace(" ", "-"))
def test_bad_input_gives_one_clear_message(case: Case, tmp_path: Path, load: Callable[..., data.Splits]) -> None:
    path = tmp_path / case.name
    path.parent.mkdir(exist_ok=True)
    for name, content in ({} if case.content is None else {case.name: case.content} | case.more).items():
        if callable(content):
            content(tmp_path / name)
        else:
            (tmp_path / name).write_bytes(content)
    options = {
        name: f"file:{tmp_path / value}" if name.endswith("_dataset") else value for name, value in case.options.items()
    }
    with pytest.raises(DataError) as caught:
        load(case.task, path.parent if path.parent != tmp_path else path, **options)
    assert len(caught.value.problems) == 1, str(caught.value)
    message = str(caught.value)
    for piece in case.says:
        assert piece in message
    problem = caught.value.problems[0]
    assert problem.where.startswith("data.")
    assert len(message) < 700


def test_all_problems_of_a_data_set_come_at_once(tmp_path: Path, load: Callable[..., data.Splits]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv(*(f"{row},pos" for row in range(4))))
    (tmp_path / "v.csv").write_bytes(csv("a,pos", header="body,label"))
    with pytest.raises(DataError) as caught:
        load(TEXT, path, validation_dataset=f"file:{tmp_path / 'v.csv'}")
    message = str(caught.value)
    for piece in ("'text' must hold text", "two different labels", "at least 8 training rows", "has no column 'text'"):
        assert piece in message
    assert len(caught.value.problems) == 4


def test_a_wrong_column_does_not_hide_the_others(tmp_path: Path, load: Callable[..., data.Splits]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv(*good(labels=("pos",))))
    with pytest.raises(DataError) as caught:
        load(TEXT, path, text_column="txt")
    assert [problem.where for problem in caught.value.problems] == ["data.text_column", "data.label_column"]


def test_every_missing_split_file_is_named(tmp_path: Path, load: Callable[..., data.Splits]) -> None:
    with pytest.raises(DataError) as caught:
        load(TEXT, tmp_path / "a.csv", validation_dataset="file:/nowhere/v.csv", test_dataset="file:/nowhere/t.csv")
    assert len(caught.value.problems) == 3
