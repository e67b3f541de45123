"""Columns are found, mapped and read as what they mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lepton_lab import data
from lepton_lab.errors import DataError

Load = Callable[..., data.Splits]
TEXTS = [f"text number {row}" for row in range(40)]


def frame(tmp_path: Path, **columns: Any) -> Path:
    path = tmp_path / "a.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return path


def warned(splits: data.Splits) -> str:
    return "\n".join(map(str, splits.warnings))


@pytest.mark.parametrize("asked", ["Body Text", "body text", "bodytext", "BODY_TEXT"])
def test_options_find_columns_in_any_case_and_spacing(asked: str, tmp_path: Path, load: Load) -> None:
    path = frame(tmp_path, **{"Body Text": TEXTS, "stars": ["one", "two"] * 20, "label": ["x", "y"] * 20})
    splits = load("text-classification", path, text_column=asked, label_column="stars")
    assert splits.mapping == {"text": "Body Text", "label": "stars"}
    assert splits.labels == ["one", "two"]


def test_pairs(tmp_path: Path, load: Load) -> None:
    path = frame(tmp_path, text=TEXTS, other=TEXTS[::-1], label=[1, 0] * 20)
    splits = load("text-classification", path, text_pair_column="other")
    assert splits.train.column_names == ["text", "text_pair", "label"]


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (["b", "a"] * 20, "single_label", ["a", "b"]),
        ([True, False] * 20, "single_label", ["False", "True"]),
        ([10, 9, 1, 2] * 10, "single_label", ["1", "2", "9", "10"]),
        ([1.0, 0.0] * 20, "single_label", ["0", "1"]),
        (pd.Categorical(["x", "y"] * 20), "single_label", ["x", "y"]),
        ([" pos", "pos", "neg "] * 13 + ["neg"], "single_label", ["neg", "pos"]),
        (["a,b", "b"] * 20, "single_label", ["a,b", "b"]),
        ([["a", "b"], []] * 20, "multi_label", ["a", "b"]),
        ([[0, 1, 1], [1, 0, 0]] * 20, "multi_label", ["0", "1", "2"]),
        ([[3], [3, 11]] * 20, "multi_label", ["3", "11"]),
        (['["a","b"]', "['c']"] * 20, "multi_label", ["a", "b", "c"]),
        ([row / 7 for row in range(40)], "regression", None),
    ],
)
def test_problem_type_is_found(labels: Any, kind: str, names: list[str] | None, tmp_path: Path, load: Load) -> None:
    splits = load("text-classification", frame(tmp_path, text=TEXTS, label=labels))
    assert (splits.problem_type, splits.labels) == (kind, names)
    again = tmp_path / "b.csv"
    pd.DataFrame({"text": TEXTS, "label": labels}).to_csv(again, index=False)
    splits = load("text-classification", again)
    assert (splits.problem_type, splits.labels) == (kind, names)


def test_whole_floats_are_classes_with_a_warning(tmp_path: Path, load: Load) -> None:
    splits = load("text-classification", frame(tmp_path, text=TEXTS, label=[1, 0, None, 1] * 10))
    assert splits.labels == ["0", "1"]
    assert "floats, all of them whole" in warned(splits)
    assert "10 rows of the train data were left out, got 10 without label" in warned(splits)


def test_problem_type_can_be_said(tmp_path: Path, load: Load) -> None:
    stars = frame(tmp_path, text=TEXTS, label=[1, 2, 3, 4] * 10)
    splits = load("text-classification", stars, problem_type="regression")
    assert splits.train.schema.field("label").type == "double"
    commas = frame(tmp_path, text=TEXTS, label=["a, b", "b"] * 20)
    assert load("text-classification", commas, problem_type="multi_label").labels == ["a", "b"]
    many = frame(tmp_path, text=TEXTS * 3, label=[f"c{row % 80}" for row in range(120)])
    assert len(load("text-classification", many, problem_type="single_label").labels or ()) == 80


def test_lists_among_words_are_classes_only_if_asked_for(tmp_path: Path, load: Load) -> None:
    rows = [{"text": f"t {row}", "label": ["a", "b"] if row % 3 == 0 else "ab"[row % 2]} for row in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    splits = load("text-classification", tmp_path / "a.jsonl", problem_type="single_label")
    assert splits.labels == ['["a", "b"]', "a", "b"]
    assert "lists in some rows and single words in others" in warned(splits)
    words = [{"text": f"t {row}", "label": ["[other]", "sport"][row % 2]} for row in range(30)]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, words)))
    assert load("text-classification", tmp_path / "b.jsonl").labels == ["[other]", "sport"]


def test_rows_without_text_are_left_out_and_counted(tmp_path: Path, load: Load) -> None:
    texts = [None, " ", *TEXTS[2:38], float("nan"), "\t"]
    splits = load("text-classification", frame(tmp_path, text=texts, label=["a", "b"] * 20))
    assert sum(table.num_rows for _, table in splits.items()) == 36
    assert "4 rows of the train data were left out, got 4 without text" in warned(splits)
    assert data.report(splits)["empty_rows"] == {"train": {"text": 4}}


WORDS = [["12", "Main", "St"], ["7", "Elm"]] * 20
TAGS = [["No", "Street", "Type"], ["No", "Street"]] * 20


@pytest.mark.parametrize("kind", ["parquet", "json", "python", "numbers"])
def test_tokens_and_tags(kind: str, tmp_path: Path, load: Load) -> None:
    tags: list[Any] = TAGS
    if kind == "numbers":
        tags = [list(range(len(row))) for row in TAGS]
    path = tmp_path / "a.csv"
    columns = {"Words": WORDS, "ner_tags": tags}
    if kind in ("parquet", "numbers"):
        path = frame(tmp_path, **columns)
    elif kind == "json":
        pd.DataFrame({name: map(json.dumps, rows) for name, rows in columns.items()}).to_csv(path, index=False)
    else:
        pd.DataFrame(columns).to_csv(path, index=False)
    splits = load("token-classification", path)
    assert splits.mapping == {"tokens": "Words", "tags": "ner_tags"}
    assert splits.labels == (["0", "1", "2"] if kind == "numbers" else ["No", "Street", "Type"])
    assert splits.train.to_pylist()[0]["tokens"] in WORDS
    assert splits.problem_type is None


CHATS = [
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"q{row}"},
     {"role": "assistant", "content": f"a{row}"}]
    for row in range(20)
]  # fmt: skip
WHO = {"system": "system", "user": "human", "assistant": "gpt"}


@pytest.mark.parametrize("kind", ["jsonl", "sharegpt", "csv", "parts", "mixed"])
def test_chats_in_their_common_forms(kind: str, tmp_path: Path, load: Load) -> None:
    path = tmp_path / "a.jsonl"
    rows: list[dict[str, Any]] = [{"messages": chat} for chat in CHATS]
    if kind == "sharegpt":
        rows = [
            {"conversations": [{"from": WHO[each["role"]], "value": each["content"]} for each in chat]}
            for chat in CHATS
        ]
    if kind in ("parts", "mixed"):
        for row in rows[:: 1 if kind == "parts" else 2]:
            row["messages"] = [
                {"role": each["role"], "content": [{"type": "text", "text": each["content"]}]}
                for each in row["messages"]
            ]
    if kind == "csv":
        path = tmp_path / "a.csv"
        pd.DataFrame({"messages": map(json.dumps, CHATS)}).to_csv(path, index=False)
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    splits = load("text-generation", path)
    assert sorted(str(row["messages"]) for _, table in splits.items() for row in table.to_pylist()) == sorted(
        map(str, CHATS)
    )


def test_odd_chats_among_plain_ones_keep_their_place(tmp_path: Path, load: Load) -> None:
    odd = [
        {"role": "system", "content": " "},
        {"role": "human", "content": "q"},
        {"role": "Assistant ", "content": "a"},
    ]
    rows = [*CHATS[:9], odd, *CHATS[9:]]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(json.dumps({"messages": chat}) for chat in rows))
    for name in ("validation", "test"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"messages": CHATS[0][1:]}))
    splits = load("text-generation", tmp_path)
    mended = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    assert splits.train["messages"].to_pylist() == [*CHATS[:9], mended, *CHATS[9:]]
    assert splits.test["messages"].to_pylist() == [CHATS[0][1:]]


def test_empty_answers_are_left_out(tmp_path: Path, load: Load) -> None:
    chats: list[Any] = [*CHATS, [{"role": "user", "content": "q"}, {"role": "assistant", "content": " "}], []]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"messages": chat}) for chat in chats))
    splits = load("text-generation", tmp_path / "a.jsonl")
    assert "2 rows of the train data were left out, got 2 without messages" in warned(splits)


def test_prompt_and_completion(tmp_path: Path, load: Load) -> None:
    path = frame(tmp_path, question=TEXTS, answer=["yes", "no", "", "maybe"] * 10)
    splits = load("text-generation", path)
    assert splits.mapping == {"prompt": "question", "completion": "answer"}
    assert sum(table.num_rows for _, table in splits.items()) == 30
    assert splits.labels is None


def test_instruction_and_input_are_one_prompt(tmp_path: Path, load: Load) -> None:
    path = frame(tmp_path, instruction=TEXTS, input=["", "about this"] * 20, output=["x"] * 40)
    splits = load("text-generation", path)
    prompts = {text for _, table in splits.items() for text in table["prompt"].to_pylist()}
    assert {"text number 0", "text number 1\n\nabout this"} <= prompts
    assert "the instruction and, below it, the input" in warned(splits)


def test_the_suggested_columns_work(tmp_path: Path, load: Load) -> None:
    path = frame(tmp_path, id=np.arange(40), body=TEXTS, stance=["for", "against"] * 20)
    with pytest.raises(DataError, match="Set --text-column body --label-column stance"):
        load("text-classification", path)
    assert load("text-classification", path, text_column="body", label_column="stance").labels == ["against", "for"]
