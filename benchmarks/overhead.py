"""What lepton costs beside the same Trainer with identical arguments, called directly.

Both train one epoch of the same rows with the same TrainingArguments, threads and precision; the
time is that of the training loop (first step to last, evaluation and checkpoint included), each in a
process of its own. Ours runs as users run it: on the local cluster, under its supervisor, writing an
event for every step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from measure import arguments, finish, interleave, median_interval, own_lab, ratios, say, table

OPTIONS = {
    "task": "text-classification", "model": "sample:minilm", "dataset": "sample:movie-sentiment", "peft": "lora",
    "logging_steps": 1, "eval_strategy": "steps", "save_strategy": "steps",
}  # fmt: skip


def options_of(steps: int) -> dict[str, object]:
    """One epoch of ``steps`` steps: the same rows, whatever their order."""
    return {**OPTIONS, "max_rows": 32 * steps, "max_steps": steps, "eval_steps": steps, "batch_size": 32}


def steps_of(quick: bool) -> int:
    """Training steps a run."""
    return 10 if quick else 60


def direct(steps: int, folder: str) -> float:
    """Seconds of ``Trainer.train`` with the arguments that ours would use."""
    import time

    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        set_seed,
    )

    from lepton_lab import data
    from lepton_lab.recipe import build_recipe
    from lepton_lab.recipe.defaults import resolve_defaults
    from lepton_lab.record import BatchPlan
    from lepton_lab.registry import load_task
    from lepton_lab.samples import resolve
    from lepton_lab.work.tasks.task import ModelSpec
    from lepton_lab.work.training.arguments import training_arguments
    from lepton_lab.work.training.precision import choose_precision

    torch.set_num_threads(os.cpu_count() or 1)
    recipe = resolve_defaults(build_recipe("train", options_of(steps)))
    task = load_task("text-classification")
    base = str(resolve("minilm"))
    splits = data.load_splits(recipe, task.needs)
    tokenizer = AutoTokenizer.from_pretrained(base)
    spec = ModelSpec(task=task.name, problem_type=splits.problem_type, labels=splits.labels, max_length=512)
    rows = {name: task.encode(split, tokenizer, spec) for name, split in splits.items()}
    keep = ["input_ids", "attention_mask", "token_type_ids", "labels", "length"]
    rows = {
        name: each.select_columns([column for column in keep if column in each.column_names])
        for name, each in rows.items()
    }
    set_seed(recipe.seed)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    lora = LoraConfig(
        task_type="SEQ_CLS", r=recipe.peft.lora_r, lora_alpha=recipe.peft.lora_alpha, target_modules="all-linear",
        modules_to_save=["classifier"], exclude_modules=["classifier"],
    )  # fmt: skip
    model = get_peft_model(model, lora)
    settings = training_arguments(
        recipe, Path(folder), choose_precision("auto"), BatchPlan(32, 32, 64), steps, ("accuracy", True), True
    )
    settings.remove_unused_columns = True
    pad = DataCollatorWithPadding(tokenizer)

    trainer = Trainer(
        model=model, args=settings, train_dataset=rows["train"], eval_dataset=rows["validation"], data_collator=pad,
        compute_metrics=lambda found: {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())},
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    start = time.perf_counter()
    trainer.train()
    return time.perf_counter() - start


def ours(steps: int) -> float:
    """Seconds from the event that says that training begins to the one that says that it is over."""
    import lepton_lab

    run = lepton_lab.train(**options_of(steps)).wait(timeout=600).raise_for_status()
    stages = {event.body["stage"]: event.time for event in run.events(raw=True) if "stage" in event.body}
    return stages["save"] - stages["train"]


def main() -> None:
    options = arguments(__doc__ or "", direct="")
    steps = steps_of(options.quick)
    if options.direct:
        print(json.dumps(direct(steps_of(options.quick), options.direct)))
        return
    rounds = 2 if options.quick else 10
    with own_lab("movie-sentiment") as folder:

        def theirs(number: int) -> float:
            command = [sys.executable, __file__, "--direct", f"{folder}/direct{number}"]
            command += ["--quick"] if options.quick else []
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return float(json.loads(done.stdout.splitlines()[-1]))

        samples = interleave({"lepton": lambda _: ours(steps), "Trainer": theirs}, rounds, say)
    rows = [[name, len(values), *median_interval(values)] for name, values in samples.items()]
    print(table(["", "n", "median s", "low", "high"], rows))
    middle, low, high = median_interval(ratios(samples, "lepton", "Trainer"))
    print(f"lepton / Trainer: {middle:.3f} ({low:.3f} to {high:.3f})")
    figures = {"ratio": middle, "ratio_low": low, "ratio_high": high}
    finish("overhead", figures, {"overhead, upper bound": (high, "<=", 1.02)}, samples, options.out, options.quick)


if __name__ == "__main__":
    main()
