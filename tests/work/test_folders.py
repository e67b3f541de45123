"""Model folders, output folders, checkpoints, the cache."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from lepton_lab.errors import OutputError
from lepton_lab.recipe import build_recipe
from lepton_lab.recipe.defaults import defaults, resolve_defaults
from lepton_lab.record import RunFolder, is_complete, last_complete, mark_complete
from lepton_lab.registry import load_task
from lepton_lab.work.data import cache
from lepton_lab.work.data.encoding import dataset_of
from lepton_lab.work.models.source import check_model_source, local_model_dir
from lepton_lab.work.outputs import check_output_dir, deliver
from lepton_lab.work.training.checkpoints import drop_old
from lepton_lab.work.training.precision import choose_precision, cpu_bf16_feature
from lepton_lab.work.training.scores import wilson
from tests.attempts import next_attempt


def test_a_good_folder_has_no_problems(tiny_bert: Path, tiny_llama: Path) -> None:
    assert check_model_source(str(tiny_bert), load_task("text-classification")) == []
    assert check_model_source(str(tiny_bert), load_task("token-classification")) == []
    assert check_model_source(str(tiny_llama), load_task("text-generation")) == []
    assert check_model_source(str(tiny_llama), load_task("text-classification")) == []
    assert check_model_source("some-owner/some-model", load_task("text-generation")) == []
    assert local_model_dir("some-owner/some-model") is None


@pytest.mark.parametrize(
    ("change", "task", "expected"),
    [
        ("no config", "text-classification", "has no config.json"),
        ("broken config", "text-classification", "cannot be read"),
        ("pickle only", "text-classification", "pickled weights only.*--allow-pickle"),
        ("no weights", "text-classification", "no safetensors weights"),
        ("no tokenizer", "text-classification", "has no tokenizer"),
        ("vision", "text-classification", "cannot do text-classification, got a model of type vit"),
        ("encoder", "text-generation", "cannot do text-generation.*It can do text-classification and token-classif"),
        ("own code", "text-classification", "brings code of its own.*--trust-remote-code"),
        ("adapter", "text-classification", "only an adapter"),
    ],
)
def test_bad_folders(tiny_bert: Path, tmp_path: Path, change: str, task: str, expected: str) -> None:
    import re

    folder = tmp_path / "model"
    shutil.copytree(tiny_bert, folder)
    config = json.loads((folder / "config.json").read_text())
    if change in ("no config", "adapter"):
        (folder / "config.json").unlink()
    if change == "adapter":
        (folder / "adapter_config.json").write_text("{}")
    if change == "broken config":
        (folder / "config.json").write_text("{")
    if change in ("pickle only", "no weights"):
        (folder / "model.safetensors").unlink()
    if change == "pickle only":
        (folder / "pytorch_model.bin").write_bytes(b"\x80")
        assert check_model_source(str(folder), load_task(task), allow_pickle=True) == []
    if change == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    if change == "vision":
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "vit"}))
    if change == "own code":
        own = {**config, "model_type": "mine", "auto_map": {"AutoModelForSequenceClassification": "m.Mine"}}
        (folder / "config.json").write_text(json.dumps(own))
        assert check_model_source(str(folder), load_task(task), trust_remote_code=True) == []
    problems = check_model_source(str(folder), load_task(task))
    assert len(problems) == 1, problems
    assert re.search(expected, str(problems[0]))


def test_words_that_name_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_task("text-classification")
    (tmp_path / "file.bin").write_text("")
    assert "a model is a folder" in str(check_model_source(str(tmp_path / "file.bin"), task)[0])
    assert "there is no such model" in str(check_model_source("./no/where", task)[0])
    assert "no sample" in str(check_model_source("sample:nothing", task)[0])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "switched off" in str(check_model_source("nobody/nothing-at-all", task)[0])


def test_an_output_folder_of_ours_is_replaced_and_no_other(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "lepton.json").write_text("{}")
    (model / "new").write_text("new")
    out = tmp_path / "deep" / "out"
    assert check_output_dir(out) == []
    deliver(model, out)
    (out / "stale").write_text("")
    deliver(model, out)
    assert {path.name for path in out.iterdir()} == {"lepton.json", "new"}
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    other = tmp_path / "other"
    other.mkdir()
    assert check_output_dir(other) == []
    (other / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"holds other files, got thesis\.txt"):
        deliver(model, other)
    assert (other / "thesis.txt").read_text() == "precious"
    (tmp_path / "plain").write_text("")
    assert "not a folder" in str(check_output_dir(tmp_path / "plain")[0])


def test_a_checkpoint_counts_only_when_whole() -> None:
    recipe = build_recipe("train", {"task": "text-classification", "model": "sample:minilm", "dataset": "x.csv"})
    folder = RunFolder.create(recipe)
    root = folder.take_lease(1).path / "checkpoints"
    for step in (2, 4, 10):
        path = root / f"checkpoint-{step}"
        path.mkdir(parents=True)
        (path / "model.safetensors").write_bytes(b"12345")
        if step != 10:
            mark_complete(path)
    assert last_complete(folder) == root / "checkpoint-4"
    (root / "checkpoint-4" / "model.safetensors").write_bytes(b"123")
    assert not is_complete(root / "checkpoint-4")
    assert last_complete(folder) == root / "checkpoint-2"
    next_attempt(folder)
    assert last_complete(folder) == root / "checkpoint-2"


@pytest.mark.parametrize(
    ("limit", "best", "kept"),
    [(2, None, [30, 40]), (1, None, [40]), (2, 10, [10, 40]), (1, 10, [10, 40]), (3, 40, [20, 30, 40])],
)
def test_the_best_and_the_newest_checkpoints_stay(
    tmp_path: Path, limit: int, best: int | None, kept: list[int]
) -> None:
    for step in (10, 20, 30, 40):
        (tmp_path / f"checkpoint-{step}").mkdir()
    drop_old(tmp_path, limit, str(tmp_path / f"checkpoint-{best}") if best else None)
    assert sorted(int(path.name.split("-")[1]) for path in tmp_path.iterdir()) == kept


def test_the_cache_keys_by_content_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    one, same, other = (pa.table({"text": texts}) for texts in (["a", "b"], ["a", "b"], ["a", "c"]))
    assert cache.digest_of_table(one) == cache.digest_of_table(pa.concat_tables([same.slice(0, 1), same.slice(1)]))
    assert cache.digest_of_table(one) != cache.digest_of_table(other)
    made = []

    def make() -> object:
        made.append(1)
        return dataset_of({"input_ids": [[1, 2]], "length": [2]})

    first = cache.cached("first", make)  # type: ignore[arg-type]
    again = cache.cached("first", make)  # type: ignore[arg-type]
    assert made == [1]
    assert first[0] == again[0] == {"input_ids": [1, 2], "length": 2}
    os.utime(cache.encoded_dir() / "first.arrow", (1, 1))
    monkeypatch.setattr(cache, "_MOST_BYTES", 10)
    cache.cached("second", make)  # type: ignore[arg-type]
    assert [path.name for path in cache.encoded_dir().iterdir()] == ["second.arrow"]
    assert again[0]["length"] == 2  # who holds it still reads it


def test_precision_follows_the_hardware() -> None:
    found = choose_precision("auto", "cpu")
    assert found.name == ("bf16" if cpu_bf16_feature() else "fp32")
    assert found.reason
    assert choose_precision("fp32", "cpu").reason == "as asked"
    with pytest.raises(Exception, match="fp16 training needs a CUDA GPU"):
        choose_precision("fp16", "cpu")


def test_open_values_are_filled_in_and_set_ones_stay() -> None:
    recipe = build_recipe("train", {"task": "token-classification", "model": "m", "dataset": "x.csv", "lr": 2e-5})
    train = resolve_defaults(recipe).train
    assert (train.learning_rate, train.per_device_train_batch_size, train.per_device_eval_batch_size) == (2e-5, 16, 32)
    assert resolve_defaults(recipe.model_copy(update={"train": train})).train == train
    values, reasons = defaults("text-generation", "lora")
    assert values["per_device_eval_batch_size"] == 4
    assert set(values) == set(reasons)
    assert defaults("somebody-elses", "lora")[0]["learning_rate"] > 0


def test_wilson() -> None:
    low, high = wilson(0.8, 100)
    assert (round(low, 4), round(high, 4)) == (0.7112, 0.8666)
    assert wilson(1.0, 10)[1] == pytest.approx(1)
    assert wilson(0, 0) == (0, 1)
