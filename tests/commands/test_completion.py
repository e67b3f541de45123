"""Tab, through the one function that shell and cell share."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lepton_lab.commands.completion import complete, complete_key, complete_yaml_value

from .making import begin, finished_run, new_run


def offered(line: str, namespace: dict[str, object] | None = None) -> list[str]:
    """Candidates at the end of ``line``; the word at the cursor begins after the last space."""
    *words, incomplete = line.split(" ")
    return [each.value for each in complete(words, incomplete, namespace)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tr", ["train"]),
        ("cluster st", ["status", "start", "stop"]),
        ("samples ins", ["install"]),
        ("train --peft ", ["none", "lora"]),
        ("train --eval-strategy=e", ["--eval-strategy=epoch"]),
        ("train --eval_strategy s", ["steps"]),
        ("train --task text-c", ["text-classification"]),
        ("train --lr", ["--lr", "--lr-scheduler-type"]),
        ("train --gradient-acc", ["--gradient-accumulation-steps"]),
        ("train --group-by", ["--group-by-length"]),
        ("train --on-interrupt d", ["detach"]),
        ("completion z", ["zsh"]),
        ("compile last --backend on", ["onnxruntime"]),
        ("train --logging-steps 5 --max-st", ["--max-steps"]),
        ("train --epochs ", ["3.0"]),
        ("runs --nothing-like-it ", ["--limit", "--all", "--json", "--help"]),
    ],
)
def test_words(line: str, expected: list[str]) -> None:
    assert offered(line) == expected


def test_everything_at_the_start_and_every_option() -> None:
    assert {"train", "compile", "predict", "doctor"} <= set(offered(""))
    options = offered("train --")
    assert {"--task", "--learning-rate", "--wait", "--json"} <= set(options)
    assert "--task" not in offered("train --task text-classification --")
    assert "--tags" in offered("train --tags a --")  # may be repeated


def test_frames_of_the_notebook_and_their_columns() -> None:
    namespace: dict[str, object] = {
        "reviews": pd.DataFrame({"body": ["a"], "stars": [1]}),
        "number": 3,
        "_hidden": pd.DataFrame(),
    }
    assert offered("train --dataset re", namespace) == ["reviews"]
    assert offered("train --dataset var:", namespace) == ["var:reviews"]
    assert offered("train --dataset reviews --text-column ", namespace) == ["body", "stars"]


def test_samples_and_files(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("words, tag \nx,y\n")
    (tmp_path / "mine.txt").write_text("")
    (tmp_path / "more").mkdir()
    assert offered("train --dataset m") == ["mine.csv", "more/"]
    assert offered("train --dataset file:mi") == ["file:mine.csv"]
    assert offered("train --dataset mine.csv --label-column ") == ["words", "tag"]
    assert "sample:movie-sentiment" in offered("train --dataset sample:")
    assert "sample:minilm" in offered("train --model sam")
    assert "minilm" in offered("samples install mi")


def test_metrics_of_the_task_and_layers_of_the_model() -> None:
    generation = offered("train --task text-generation --metric-for-best-model ")
    assert generation == ["loss", "perplexity"]
    assert {"accuracy", "rmse", "perplexity"} <= set(offered("train --metric-for-best-model "))
    assert offered("train --model sample:minilm --target-modules q") == ["query"]
    assert offered("train --model ./nowhere --target-modules q") == []


def test_runs_by_id_and_name() -> None:
    done = finished_run(name="done")
    living = new_run(name="living")
    begin(living)
    assert set(offered("show ")) == {"last", done.run, "done", living.run, "living"}
    assert set(offered("cancel ")) == {"last", living.run, "living"}
    assert offered(f"compile {done.run[:5]}") == [done.run]


def test_yaml_keys_and_values() -> None:
    assert [each.value for each in complete_key("train", "learn")] == ["learning_rate:"]
    assert [each.value for each in complete_key("train", "learn", "train")] == ["learning_rate:"]
    assert "data:" in [each.value for each in complete_key("train", "da")]
    assert [each.value for each in complete_yaml_value("train", "train.packing", "t")] == ["true"]
    assert [each.value for each in complete_yaml_value("train", "peft", "l")] == ["lora"]
