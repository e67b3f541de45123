"""Real training of small real models, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lepton_lab.errors import DataError, ModelError
from lepton_lab.record import view_of
from lepton_lab.registry import load_task
from lepton_lab.work.context import Stopped, WorkContext, parent_model
from lepton_lab.work.jobs import train
from lepton_lab.work.tasks.task import ModelSpec
from tests.attempts import next_attempt

# peft asks transformers for an attribute that was renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")

Make = Callable[..., WorkContext]


def logits_of(model_dir: Path, auto_class: str, texts: list[str]) -> np.ndarray:
    """What a saved model answers in fp32."""
    import torch
    import transformers

    model = getattr(transformers, auto_class).from_pretrained(model_dir, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_dir)
    with torch.no_grad():
        return model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.numpy()


def test_text_classification_learns_and_leaves_everything_behind(
    context: Make, tiny_bert: Path, reviews: str, tmp_path: Path
) -> None:
    work = context(
        task="text-classification",
        model=str(tiny_bert),
        dataset=reviews,
        text_column="text",
        label_column="label",
        epochs=12,
        lr=5e-3,
        batch_size=16,
        logging_steps=1,
        output_dir=str(tmp_path / "out"),
    )
    metrics = train.run(work)
    assert metrics["test_accuracy"] > 0.85 > metrics["majority"]
    assert metrics["test_accuracy_low"] < metrics["test_accuracy"] <= metrics["test_accuracy_high"]
    view = view_of(work.folder)
    assert view.metrics["test_accuracy"] == metrics["test_accuracy"]
    assert view.max_steps == metrics["steps"] == 120
    loss = view.series["loss"]
    assert loss.steps == list(range(1, 121))
    assert set(view.series) >= {"learning_rate", "grad_norm", "samples_per_second", "tokens_per_second", "memory_mb"}
    assert len(view.series["eval_accuracy"].steps) == 12
    preflight = view.reports["preflight"]
    assert preflight["rows"] == {"train": 160, "validation": 20, "test": 20}
    assert preflight["tokens"]["truncated"] == 0
    assert preflight["example"]["label"] in ("positive", "negative")
    stages = [event.body["stage"] for event in work.folder.events() if event.kind == "status" and "stage" in event.body]
    assert stages == ["data", "preflight", "model", "train", "save", "evaluate"]
    model, spec, splits = parent_model(work)
    assert spec == ModelSpec.load(tmp_path / "out")
    assert spec.labels == ["negative", "positive"]
    assert {path.name for path in splits.iterdir()} == {"train.parquet", "validation.parquet", "test.parquet"}
    assert (model / "model.safetensors").exists()
    assert not list(model.glob("*.bin"))
    checkpoints = sorted((work.attempt.path / "checkpoints").glob("checkpoint-*"))
    assert len(checkpoints) == 2
    assert all((each / "complete.json").exists() for each in checkpoints)


def test_lora_keeps_the_adapter_and_the_merged_model_answers_as_the_adapter_does(
    context: Make, tiny_bert: Path, reviews: str
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    work = context(
        task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", peft="lora",
        max_steps=20, lr=1e-2, batch_size=16, precision="fp32",
    )  # fmt: skip
    train.run(work)
    model, adapter = work.attempt.path / "model", work.attempt.path / "adapter"
    texts = ["the film was dull and plot", "the score was warm and cast"]
    base = AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=2, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, str(adapter)).eval()
    batch = AutoTokenizer.from_pretrained(model)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = adapted(**batch).logits.numpy()
        with adapted.disable_adapter():
            untrained = adapted(**batch).logits.numpy()
    merged = logits_of(model, "AutoModelForSequenceClassification", texts)
    assert np.abs(expected - merged).max() < 1e-4
    assert np.abs(expected - untrained).max() > 1e-2  # it learnt something
    assert (adapter / "adapter_model.safetensors").exists()


@pytest.mark.parametrize(("column", "problem_type", "metric"), [("marks", "multi_label", "f1"), ("score", "regression", "r2")])  # fmt: skip
def test_several_labels_and_numbers(
    context: Make, tiny_bert: Path, reviews: str, column: str, problem_type: str, metric: str
) -> None:
    work = context(
        task="text-classification", model=str(tiny_bert), dataset=reviews, text_column="text", label_column=column,
        problem_type=problem_type, epochs=8, lr=5e-3, batch_size=16, precision="fp32",
    )  # fmt: skip
    metrics = train.run(work)
    assert metrics[f"test_{metric}"] > 0.4
    assert ModelSpec.load(work.attempt.path / "model").problem_type == problem_type


def test_token_classification(context: Make, tiny_bert: Path, addresses: str) -> None:
    work = context(
        task="token-classification", model=str(tiny_bert), dataset=addresses, epochs=8, lr=5e-3, batch_size=8
    )
    metrics = train.run(work)
    assert metrics["test_f1"] > 0.8
    assert {"test_precision", "test_recall", "test_accuracy"} <= set(metrics)
    example = view_of(work.folder).reports["preflight"]["example"]
    assert example["tagged"][0] == ["[CLS]", None]
    assert example["tagged"][1][1] == "Number"


@pytest.mark.parametrize("packing", [False, True])
def test_text_generation_beats_the_base_model(context: Make, tiny_llama: Path, questions: str, packing: bool) -> None:
    work = context(
        task="text-generation", model=str(tiny_llama), dataset=questions, epochs=6, lr=1e-2, batch_size=4,
        max_length=128, packing=packing, peft="lora" if not packing else "none",
    )  # fmt: skip
    metrics = train.run(work)
    assert metrics["test_loss"] < metrics["base_test_loss"] - (0.3 if work.recipe.peft.method == "lora" else 1)
    assert metrics["test_perplexity"] == pytest.approx(np.exp(metrics["test_loss"]))
    example = view_of(work.folder).reports["preflight"]["example"]
    learnt = "".join(part["text"] for part in example["segments"] if part["learnt"])
    assert learnt.startswith("answer ")
    assert learnt.endswith("<|im_end|>")
    rows_a_step = 4 if not packing else 4 * 128 / 60
    assert metrics["steps"] <= 6 * 64 / rows_a_step + 6


def test_training_twice_gives_the_same_numbers(context: Make, tiny_bert: Path, reviews: str) -> None:
    options = {
        "task": "text-classification", "model": str(tiny_bert), "dataset": reviews, "label_column": "label",
        "max_steps": 4, "precision": "fp32",
    }  # fmt: skip
    first, second = (train.run(context(**options)) for _ in range(2))
    assert first["train_loss"] == second["train_loss"]
    assert first["test_loss"] == second["test_loss"]


def test_a_stopped_run_saves_and_the_next_attempt_goes_on(context: Make, tiny_bert: Path, reviews: str) -> None:
    work = context(
        task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", max_steps=30,
        logging_steps=1, precision="fp32", batch_size=16,
    )  # fmt: skip
    metric = work.events.metric

    def metric_and_stop(step: int, values: dict[str, float], **body: object) -> object:
        if step == 7:
            work.request_stop()
        return metric(step, values, **body)

    work.events.metric = metric_and_stop  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        train.run(work)
    stopped_at = max(view_of(work.folder).series["loss"].steps)
    assert stopped_at in (7, 8)
    assert (work.attempt.path / "checkpoints" / f"checkpoint-{stopped_at}" / "complete.json").exists()
    attempt = next_attempt(work.folder)
    again = WorkContext(work.folder, attempt, work.folder.recipe(), attempt.writer("trainer"), 1)
    metrics = train.run(again)
    again.events.close()
    assert metrics["steps"] == 30
    loss = view_of(work.folder).series["loss"]
    assert loss.steps == list(range(1, 31))
    first_of_second = min(e.body["step"] for e in work.folder.events() if e.attempt == 2 and e.kind == "metric")
    assert first_of_second == stopped_at + 1
    # The same as if nobody had stopped it.
    straight = context(task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", max_steps=30, logging_steps=1, precision="fp32", batch_size=16)  # fmt: skip
    train.run(straight)
    assert view_of(straight.folder).series["loss"].values == pytest.approx(loss.values, rel=1e-4)


def test_early_stopping_and_the_best_checkpoint(context: Make, tiny_bert: Path, reviews: str) -> None:
    work = context(
        task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", epochs=20, lr=1e-6,
        early_stopping_patience=2, precision="fp32",
    )  # fmt: skip
    metrics = train.run(work)
    assert metrics["steps"] < 20 * 5
    best = max(view_of(work.folder).series["eval_accuracy"].values)
    assert metrics["eval_accuracy"] == best


def test_wrong_requests_are_refused_by_name(context: Make, tiny_bert: Path, tiny_llama: Path, reviews: str, questions: str) -> None:  # fmt: skip
    with pytest.raises(ModelError, match="at most 64 tokens, got 100"):
        train.run(context(task="text-classification", model=str(tiny_bert), dataset=reviews, label_column="label", max_length=100))  # fmt: skip
    with pytest.raises(ModelError, match=r"cannot do text-generation.*It can do text-classification"):
        train.run(context(task="text-generation", model=str(tiny_bert), dataset=questions))
    with pytest.raises(DataError, match="leaves anything to learn"):
        train.run(context(task="text-generation", model=str(tiny_llama), dataset=questions, max_length=5))
    with pytest.raises(ModelError, match=r"LoRA found no layer.*--target-modules to some of: .*query"):
        train.run(
            context(
                task="text-classification",
                model=str(tiny_bert),
                dataset=reviews,
                label_column="label",
                peft="lora",
                target_modules=["q_proj"],
            )
        )


def test_registered_tasks_import_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from lepton_lab.registry import load_task, task_names\n"
        "from lepton_lab.work.models import source; from lepton_lab.work import outputs\n"
        "[load_task(name) for name in task_names()]; bad = {'torch', 'transformers', 'datasets', 'peft'} & set(sys.modules)\n"
        "sys.exit(f'loaded {bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert load_task("text-generation").generates
