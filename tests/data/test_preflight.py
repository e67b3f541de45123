"""The report, the preview and the mask check."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from lepton_lab import data
from lepton_lab.errors import DataError

Load = Callable[..., data.Splits]
TASK = "text-classification"


@pytest.fixture
def splits(tmp_path: Path, load: Load) -> data.Splits:
    rows = [(f"text {row}", "a" if row % 20 else "b") for row in range(200)]
    train = [*rows, *rows[:10], ("text 5", "b"), (None, "a")]
    for name, part in (("train", train), ("validation", [*rows[:3], ("new", "a")]), ("test", [("x", "a"), ("y", "b")])):
        pd.DataFrame(part, columns=["review", "class"]).to_csv(tmp_path / f"{name}.csv", index=False)
    return load(TASK, tmp_path)


def test_the_report_counts(splits: data.Splits) -> None:
    report = data.report(splits)
    assert json.loads(json.dumps(report)) == report
    assert report["rows"] == {"train": 211, "validation": 4, "test": 2}
    assert report["columns"] == ["review", "class"]
    assert report["mapping"] == {"text": "review", "label": "class"}
    assert report["label_counts"] == {
        "train": {"a": 199, "b": 12},
        "validation": {"a": 3, "b": 1},
        "test": {"a": 1, "b": 1},
    }
    assert report["empty_rows"] == {"train": {"text": 1}}
    assert report["duplicate_rows"] == {"train": 11, "validation": 0, "test": 0}
    assert report["shared_rows"] == {"train/validation": 3, "train/test": 0, "validation/test": 0}
    assert report["conflicting_rows"] == 3
    assert report["cut"] == []


def test_the_report_warns_and_says_what_to_do(splits: data.Splits) -> None:
    warnings = {warning["what"]: warning for warning in data.report(splits)["warnings"]}
    said = "\n".join(warnings)
    for piece in (
        "3 rows of the validation data are also in the train data",
        "11 rows of the training data repeat others",
        "3 rows of the training data have the same input but different labels",
        "the classes are far from balanced",
        "1 row of the train data were left out",
    ):
        assert piece in said
    assert all(warning["do"] for warning in warnings.values())


def test_head_shows_rows(splits: data.Splits, tmp_path: Path, load: Load) -> None:
    assert data.head(splits, 1) == "train row 1 of 211\n  text: text 0\n  label: b"
    chats = [[{"role": "user", "content": "q " * 500}, {"role": "assistant", "content": "a"}]] * 9
    (tmp_path / "a.json").write_text(json.dumps([{"messages": chat} for chat in chats]))
    text = data.head(load("text-generation", tmp_path / "a.json"), 1, "test")
    assert "  assistant: a" in text
    assert max(map(len, text.splitlines())) < 320


TEMPLATE = (
    "{% for message in messages %}{{ bos_token }} {{ message['role'] }} {{ message['content'] }} "
    "{% if message['role'] == 'assistant' %}{% generation %}x{% endgeneration %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ bos_token }} assistant{% endif %}"
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder with a tokenizer of one token a word, and a chat template."""
    folder = tmp_path / "model"
    folder.mkdir()
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"chat_template": TEMPLATE, "bos_token": {"content": "<s>"}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def chats(tmp_path: Path, load: Load, words: list[int]) -> data.Splits:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{row} " + "w " * (count - 1)},
                {"role": "assistant", "content": "a"},
            ]
        }
        for row, count in enumerate(words)
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    return load("text-generation", tmp_path / "a.json")


def test_every_token_masked_is_an_error(tmp_path: Path, model: Path, load: Load) -> None:
    splits = chats(tmp_path, load, [30] * 20)
    # <s> user + 30 words + <s> assistant: 34 tokens before the answer.
    with pytest.raises(DataError) as caught:
        data.check_masks(splits, model, 34, True)
    for piece in ("every token of every answer would be masked", "at least 34 tokens", "--max-length 34", "Set --max"):
        assert piece in str(caught.value)
    assert data.check_masks(splits, model, 35, True) == []
    assert data.check_masks(splits, model, 34, False) == []


def test_some_rows_masked_is_a_warning(tmp_path: Path, model: Path, load: Load) -> None:
    found = data.check_masks(chats(tmp_path, load, [5] * 60 + [50] * 40), model, 40, True)
    assert len(found) == 1
    assert "of the training rows have a question that fills the whole length" in str(found[0])


def test_prompts_without_a_template(tmp_path: Path, model: Path, load: Load) -> None:
    (model / "tokenizer_config.json").unlink()
    frame = pd.DataFrame({"prompt": [f"{row} w w w" for row in range(20)], "completion": "a"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    splits = load("text-generation", tmp_path / "a.csv")
    with pytest.raises(DataError, match="at least 4 tokens"):
        data.check_masks(splits, model, 4, True)
    (model / "tokenizer.json").unlink()
    assert data.check_masks(splits, model, 4, True) == []


def test_a_hundred_thousand_rows_take_about_a_second(tmp_path: Path, load: Load) -> None:
    rows = 100_000
    frame = pd.DataFrame(
        {"text": [f"row {row} " + "word " * 20 for row in range(rows)], "label": ["a", "b"] * (rows // 2)}
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    start = time.perf_counter()
    data.report(load(TASK, tmp_path / "a.csv"))
    # 0.4 s on an idle machine; the rest is for busy ones.
    assert time.perf_counter() - start < 4
