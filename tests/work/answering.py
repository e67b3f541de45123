"""Models with fixed weights and data whose answers they know: for tests of compilation, measuring and prediction."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder
from lepton_lab.registry import load_task
from lepton_lab.work.backends.eager import load_trained
from lepton_lab.work.backends.padding import Padding
from lepton_lab.work.context import WorkContext
from lepton_lab.work.evaluation.scoring import answer_batch
from lepton_lab.work.models.loading import load_tokenizer
from lepton_lab.work.tasks.task import ModelSpec

WORDS = ("great", "lovely", "dull", "awful", "film", "script", "cast", "ending", "the", "was", "and", "Oak", "Street")
_HEAD_SCALE = 30.0


def make_trained(base: Path, folder: Path, task: str, labels: list[str] | None = None) -> Path:
    """A trained folder: the small model under the task's class, its head with weights large enough to decide."""
    import torch
    import transformers

    spec = ModelSpec(task=task, labels=labels, max_length=48, run="trained")
    if task == "text-generation":
        spec.options = {"completion_only_loss": True, "chat_template": True}
        spec.mapping = {"prompt": "prompt", "completion": "completion"}
        shutil.copytree(base, folder)
        spec.save(folder)
        return folder
    spec.problem_type = "single_label" if task == "text-classification" else None
    torch.manual_seed(1)
    kinds = load_task(task)
    model = getattr(transformers, kinds.auto_class).from_pretrained(base, **kinds.model_kwargs(spec))
    with torch.no_grad():
        model.classifier.weight.mul_(_HEAD_SCALE)
    model.save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)
    spec.save(folder)
    return folder


def texts(count: int, seed: int = 0) -> list[str]:
    """Texts of 2 to 20 words."""
    chooser = random.Random(seed)
    return [" ".join(chooser.choices(WORDS, k=chooser.randint(2, 20))) for _ in range(count)]


def answers_of(model: Path, inputs: list[str]) -> np.ndarray[Any, Any]:
    """The logits of a text classifier in fp32, one row at a time."""
    tokenizer, spec = load_tokenizer(model), ModelSpec.load(model)
    task = load_task(spec.task)
    runner = load_trained(model, tokenizer, 1)
    padding = Padding.of(tokenizer, task, runner.input_names)
    features, _ = task.encode_inputs(inputs, tokenizer, spec)
    return np.stack([answer_batch(runner, [row], padding)[0] for row in features])


def classified(model: Path, count: int, wrong: float = 0.15, seed: int = 0) -> pa.Table:
    """Texts with the label that the model gives them, but for a share of wrong ones."""
    inputs = texts(count, seed)
    labels = ModelSpec.load(model).labels or []
    chooser = random.Random(seed)
    numbers = [int(each) for each in answers_of(model, inputs).argmax(-1)]
    numbers = [(each + 1) % len(labels) if chooser.random() < wrong else each for each in numbers]
    return pa.table({"text": inputs, "label": [labels[each] for each in numbers]})


def centre_head(model: Path, inputs: list[str]) -> None:
    """Move the bias of a two-class head so that both classes are answered."""
    from safetensors.torch import load_file, save_file

    middle = np.median(answers_of(model, inputs), axis=0)
    weights = load_file(model / "model.safetensors")
    weights["classifier.bias"] = weights["classifier.bias"] - weights["classifier.bias"].new_tensor(middle)
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


def start(kind: str, **options: Any) -> WorkContext:
    """The context of a new run, with one thread."""
    folder = RunFolder.create(build_recipe(kind, options))
    attempt = folder.take_lease(1)
    return WorkContext(folder, attempt, folder.recipe(), attempt.writer("trainer"), 1)


def finish(context: WorkContext, metrics: dict[str, Any]) -> None:
    """End a run as its supervisor would."""
    context.events.status(status="succeeded")
    context.folder.finish("succeeded", metrics=metrics, attempt=1)


def train_run(model: Path, splits: dict[str, pa.Table]) -> str:
    """A training run that succeeded and left this model and these splits; its id."""
    spec = ModelSpec.load(model)
    context = start("train", task=spec.task, model="tiny", dataset="tiny")
    target = context.attempt.path / "model"
    shutil.copytree(model, target)
    context.publish("model", "model", target)
    folder = context.attempt.path / "splits"
    folder.mkdir()
    for name, table in splits.items():
        pq.write_table(table, folder / f"{name}.parquet")
    context.publish("splits", "data", folder)
    finish(context, {})
    context.events.close()
    return context.folder.run
