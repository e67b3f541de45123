"""Encoding, scoring and reading answers of each task."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lepton_lab.errors import DataError, ModelError
from lepton_lab.recipe import build_recipe
from lepton_lab.registry import load_task
from lepton_lab.work.data.chats import render_chats
from lepton_lab.work.data.packing import check_packing, pack
from lepton_lab.work.models.fast_tokenizer import load_tokenizer
from lepton_lab.work.tasks.entities import Entity, entity_scores, find_entities
from lepton_lab.work.tasks.task import ModelSpec
from lepton_lab.work.training.wishes import without_effect

SINGLE = ModelSpec("text-classification", "single_label", ["a", "b", "c"], 16)


@pytest.mark.parametrize(
    ("tags", "prefixed", "expected"),
    [
        (["B-X", "I-X", "O", "B-Y"], True, [("X", 0, 2), ("Y", 3, 4)]),
        (["B-X", "B-X"], True, [("X", 0, 1), ("X", 1, 2)]),
        (["I-X", "I-Y", "I-Y"], True, [("X", 0, 1), ("Y", 1, 3)]),
        (["S-X", "B-X", "I-X", "E-X", "I-X"], True, [("X", 0, 1), ("X", 1, 4), ("X", 4, 5)]),
        (["Street", "Street", "City", "Street"], False, [("Street", 0, 2), ("City", 2, 3), ("Street", 3, 4)]),
        (["O", "X", "X", ""], False, [("X", 1, 3)]),
        ([], True, []),
    ],
)
def test_entities(tags: list[str], prefixed: bool, expected: list[tuple[str, int, int]]) -> None:
    assert find_entities(tags, prefixed) == [Entity(*each) for each in expected]


def test_entity_scores_count_whole_entities() -> None:
    truth = [["B-P", "I-P", "O"], ["B-L", "O", "O"]]
    guess = [["B-P", "O", "O"], ["B-L", "O", "B-P"]]
    scores = entity_scores(truth, guess)
    assert scores["precision"] == pytest.approx(1 / 3)
    assert scores["recall"] == pytest.approx(1 / 2)
    assert scores["f1"] == pytest.approx(2 / 5)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert set(load_task("token-classification").metric_names()) == {"loss", *scores}


def test_single_label_scores_and_answers() -> None:
    task = load_task("text-classification")
    logits = [np.array([2.0, 0, 0]), np.array([0, 3.0, 0]), np.array([0, 1.0, 0])]
    scores = task.metrics(logits, [0, 1, 2], SINGLE)
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    rows = task.row_scores(logits, [0, 1, 2], SINGLE)
    assert rows is not None
    assert rows.tolist() == [1, 1, 0]
    answer = task.decode(logits[:1], ["x"], SINGLE)[0]
    assert answer["label"] == "a"
    assert sum(answer["scores"].values()) == pytest.approx(1)
    assert set(task.metric_names("single_label")) == {"loss", *scores}


def test_multi_label_and_regression_scores() -> None:
    task = load_task("text-classification")
    many = ModelSpec("text-classification", "multi_label", ["a", "b"], 16)
    scores = task.metrics([np.array([1.0, -1]), np.array([1.0, 1])], [[1, 0], [0, 1]], many)
    assert scores["f1"] == pytest.approx(4 / 5)
    assert scores["exact_match"] == 0.5
    assert task.decode([np.array([3.0, -3])], ["x"], many)[0]["labels"] == ["a"]
    number = ModelSpec("text-classification", "regression", None, 16)
    perfect = task.metrics([np.array([1.0]), np.array([3.0])], [1.0, 3.0], number)
    assert perfect["r2"] == 1
    assert perfect["rmse"] == 0
    assert perfect["pearson"] == pytest.approx(1)
    assert set(task.metric_names("multi_label")) == {"loss", *scores}
    assert set(task.metric_names("regression")) == {"loss", *perfect}
    assert set(task.metric_names()) >= {"loss", "accuracy", *scores, *perfect}
    assert task.metric_of(number) == ("r2", True)
    assert task.metric_of(many) == ("f1", True)


def test_what_is_set_in_vain_is_said() -> None:
    options = {"task": "text-classification", "model": "m", "dataset": "d.csv", "lora_r": 8, "packing": True}
    task = load_task("text-classification")
    said = without_effect(build_recipe("train", {**options, "eval_steps": 5, "save_steps": 5}), task)
    assert [each.partition(" ")[0] for each in said] == ["lora_r", "eval_steps", "save_steps", "packing"]
    fitting = {**options, "peft": "lora", "packing": False, "eval_steps": 5, "eval_strategy": "steps"}
    assert without_effect(build_recipe("train", fitting), task) == []


def test_predict_encodes_as_training_did(tiny_bert: Path) -> None:
    tokenizer = load_tokenizer(tiny_bert)
    task = load_task("text-classification")
    table = pa.table({"text": ["the film was great", "plot"], "text_pair": ["cast", "the score"], "label": ["a", "b"]})
    encoded = task.encode(table, tokenizer, SINGLE)
    features, _ = task.encode_inputs(
        [("the film was great", "cast"), {"text": "plot", "text_pair": "the score"}], tokenizer, SINGLE
    )
    for row, feature in zip(encoded, features, strict=True):
        assert all(row[name] == feature[name] for name in ("input_ids", "attention_mask", "token_type_ids"))
    batch = task.collator(tokenizer, SINGLE)([encoded[0], encoded[1]])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == batch["token_type_ids"].shape
    assert batch["labels"].tolist() == [0, 1]
    with pytest.raises(DataError, match="an input is a text, got int"):
        task.encode_inputs([3], tokenizer, SINGLE)


def test_long_rows_are_cut_and_counted(tiny_bert: Path) -> None:
    tokenizer = load_tokenizer(tiny_bert)
    table = pa.table({"text": ["film " * 40, "film"], "label": ["a", "b"]})
    encoded = load_task("text-classification").encode(table, tokenizer, SINGLE)
    assert encoded["length"][:] == [16, 3]
    assert encoded["whole_length"][:] == [42, 3]


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_words_and_tags_stay_aligned(model: str, request: pytest.FixtureRequest) -> None:
    tokenizer = load_tokenizer(request.getfixturevalue(model))
    task = load_task("token-classification")
    spec = ModelSpec("token-classification", None, ["City", "Street"], 32)
    words = ["Kensington", "Street", "Chicago,"]
    table = pa.table({"tokens": [words], "tags": [["Street", "Street", "City"]]})
    row = task.encode(table, tokenizer, spec)[0]
    assert [label for label in row["labels"] if label != -100] == [1, 1, 0]
    features, rows = task.encode_inputs([" ".join(words), words], tokenizer, spec)
    assert features[0]["input_ids"] == features[1]["input_ids"] == row["input_ids"]
    logits = np.zeros((len(row["input_ids"]), 2))
    for place, label in enumerate(row["labels"]):
        logits[place, label if label != -100 else 0] = 9  # sub-words without a tag must not matter
    answer = task.decode([logits], rows[:1], spec)[0]
    found = [(each["label"], each["text"], each["start"]) for each in answer["entities"]]
    assert found == [("Street", "Kensington Street", 0), ("City", "Chicago,", 18)]
    assert task.metrics([logits], [np.array(row["labels"])], spec)["f1"] == 1


CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "What is 1 plus 1"},
    {"role": "assistant", "content": "answer 2"},
    {"role": "user", "content": "and 3"},
    {"role": "assistant", "content": "answer 4"},
]


def test_only_answers_are_learnt(tiny_llama: Path) -> None:
    tokenizer = load_tokenizer(tiny_llama)
    task = load_task("text-generation")
    spec = ModelSpec(
        "text-generation", max_length=128, mapping={"messages": "messages"},
        options={"completion_only_loss": True, "chat_template": True},
    )  # fmt: skip
    rendered = render_chats([CHAT], tokenizer)[0]
    assert [rendered.text[start:end] for start, end in rendered.answers] == ["answer 2<|im_end|>", "answer 4<|im_end|>"]
    row = task.encode(pa.table({"messages": [CHAT]}), tokenizer, spec)[0]
    learnt = [segment["text"] for segment in task.example(row, tokenizer, spec)["segments"] if segment["learnt"]]
    assert learnt == ["answer 2<|im_end|>", "answer 4<|im_end|>"]
    features, rows = task.encode_inputs(["What is 1 plus 1", CHAT[:2]], tokenizer, spec)
    assert rows[0]["prompt"].endswith("<|im_start|>assistant\n")
    # What is asked at predict is exactly what stood before the answer in training.
    first_answer = row["labels"].index(next(label for label in row["labels"] if label != -100))
    assert features[1]["input_ids"] == row["input_ids"][:first_answer]
    whole = ModelSpec("text-generation", max_length=128, options={"completion_only_loss": False, "chat_template": True})
    assert -100 not in task.encode(pa.table({"messages": [CHAT]}), tokenizer, whole)[0]["labels"]


def test_prompts_without_a_template_and_plain_text(tiny_llama: Path) -> None:
    tokenizer = load_tokenizer(tiny_llama)
    task = load_task("text-generation")
    spec = ModelSpec("text-generation", max_length=64, mapping={"prompt": "q", "completion": "a"},
                     options={"completion_only_loss": True, "chat_template": False})  # fmt: skip
    row = task.encode(pa.table({"prompt": ["What is 1"], "completion": ["answer 2"]}), tokenizer, spec)[0]
    segments = task.example(row, tokenizer, spec)["segments"]
    assert [(each["text"], each["learnt"]) for each in segments] == [("What is 1\n", False), ("answer 2<|im_end|>", True)]  # fmt: skip
    features, _ = task.encode_inputs(["What is 1"], tokenizer, spec)
    assert row["input_ids"][: len(features[0]["input_ids"])] == features[0]["input_ids"]
    plain = task.encode(pa.table({"text": ["the film"]}), tokenizer, spec)[0]
    assert plain["labels"] == plain["input_ids"]
    assert plain["input_ids"][-1] == tokenizer.eos_token_id


def test_rows_without_a_learnt_token_are_left_out(tiny_llama: Path) -> None:
    tokenizer = load_tokenizer(tiny_llama)
    spec = ModelSpec("text-generation", max_length=24, options={"completion_only_loss": True, "chat_template": True})
    table = pa.table({"prompt": ["film " * 40, "film"], "completion": ["answer", "answer"]})
    assert len(load_task("text-generation").encode(table, tokenizer, spec)) == 1


def test_losses_are_a_token_and_the_same_from_logits_and_from_losses(tiny_llama: Path) -> None:
    import torch

    task = load_task("text-generation")
    spec = ModelSpec("text-generation")
    logits = torch.randn(2, 6, 11, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[-100, -100, 3, 4, -100, -100], [-100, 1, 2, 3, 4, 5]])
    direct = task.metrics(list(logits.numpy()), list(labels.numpy()), spec)
    reduced = task.metrics(list(task.reduce(logits, labels).numpy()), list(labels.numpy()), spec)
    expected = torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, 11), labels[:, 1:].reshape(-1))
    assert direct["loss"] == pytest.approx(float(expected), rel=1e-5) == pytest.approx(reduced["loss"], rel=1e-5)
    assert direct["tokens"] == 7
    assert set(task.metric_names()) == {*direct} - {"tokens"}
    assert direct["perplexity"] == pytest.approx(math.exp(direct["loss"]))


def test_packed_rows_do_not_see_each_other(tiny_llama: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(tiny_llama)
    task = load_task("text-generation")
    spec = ModelSpec("text-generation", max_length=64, options={"completion_only_loss": True, "chat_template": True})
    prompts = [f"What is {number} {'film ' * number}" for number in range(8)]
    rows = task.encode(pa.table({"prompt": prompts, "completion": ["answer"] * 8}), tokenizer, spec)
    packed = pack(rows, spec.max_length)
    assert len(packed) < len(rows)
    assert sum(packed["length"][:]) == sum(rows["length"][:])
    assert max(packed["length"][:]) <= 64
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32).eval()
    model.config.use_cache = False
    collate = task.collator(tokenizer, spec)

    def summed(dataset: object, label_mask: int) -> float:
        batch = collate([dataset[number] for number in range(len(dataset))])  # type: ignore[index, arg-type]
        with torch.no_grad():
            logits = model(**{name: value for name, value in batch.items() if name != "labels"}).logits
        losses = task.reduce(logits, batch["labels"])
        return float(losses[batch["labels"] != label_mask].sum())

    assert summed(packed, -100) == pytest.approx(summed(rows, -100), rel=1e-4)
    check_packing(model)
    model.config.use_cache = True  # then transformers ignores the parts
    with pytest.raises(ModelError, match=r"lets packed rows see each other.*--no-packing"):
        check_packing(model)


def test_rounding_is_not_taken_for_packed_rows_that_see_each_other(tiny_llama: Path) -> None:
    """In bf16 the answers of a large model differ by tenths where only the shape of the input does."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.bfloat16)
    model.get_output_embeddings().register_forward_hook(
        lambda _, __, logits: logits + (0.6 if logits.shape[1] > 7 else 0)
    )
    model.config.use_cache = False
    check_packing(model)
    model.config.use_cache = True
    with pytest.raises(ModelError, match="lets packed rows see each other"):
        check_packing(model)
