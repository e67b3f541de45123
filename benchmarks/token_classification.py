"""The example everyone starts from, beside ours: BERT token classification, AdamW, 10 epochs, batch 16, 2e-5.

The contestant is the plain PyTorch loop that tutorials show: words split into sub-words, rows padded
to the longest of the batch, train and dev loss after each epoch, model and tokenizer saved. Both use
the same rows, precision, threads and scorer; the seconds are those of the whole command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, finish, median_interval, own_lab, say, table

MODEL, DATA = "minilm", "addresses"


def hand_written(seed: int, epochs: int, precision: str, model_dir: Path) -> dict[str, float]:
    """The plain loop, as a newcomer would write it. Runs in a process of its own."""
    import torch
    from torch.utils.data import DataLoader
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from lepton_lab import samples

    torch.manual_seed(seed)
    torch.set_num_threads(os.cpu_count() or 1)
    base = samples.resolve(MODEL)
    splits = samples.load(DATA).splits
    tags = sorted({tag for name in splits for row in splits[name]["tags"].to_pylist() for tag in row})
    ids = {tag: number for number, tag in enumerate(tags)}
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForTokenClassification.from_pretrained(
        base, num_labels=len(tags), id2label=dict(enumerate(tags)), label2id=ids
    )

    def collate(rows: list[dict[str, Any]]) -> Any:
        batch = tokenizer(
            [row["tokens"] for row in rows],
            is_split_into_words=True,
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        labels = torch.full(batch["input_ids"].shape, -100)
        for number, row in enumerate(rows):
            before = None
            for position, word in enumerate(batch.word_ids(number)):
                if word is not None and word != before:
                    labels[number, position] = ids[row["tags"][word]]
                before = word
        batch["labels"] = labels
        return batch

    def loader(name: str, shuffle: bool) -> DataLoader[Any]:
        return DataLoader(splits[name].to_pylist(), batch_size=16, shuffle=shuffle, collate_fn=collate)

    def forward(batch: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            return model(**batch)

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
    for epoch in range(epochs):
        model.train()
        losses = []
        for batch in loader("train", shuffle=True):
            optimizer.zero_grad()
            loss = forward(batch).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            dev = [forward(batch).loss.item() for batch in loader("validation", shuffle=False)]
        print(f"epoch {epoch + 1}: train loss {np.mean(losses):.4f}, dev loss {np.mean(dev):.4f}", file=sys.stderr)
    model.save_pretrained(model_dir)
    tokenizer.save_pretrained(model_dir)

    predicted, truth = [], []
    with torch.no_grad():
        for batch in loader("test", shuffle=False):
            best = forward(batch).logits.argmax(-1)
            for row, labels in zip(best, batch["labels"], strict=True):
                keep = labels != -100
                predicted.append([tags[number] for number in row[keep].tolist()])
                truth.append([tags[number] for number in labels[keep].tolist()])
    from lepton_lab.work.tasks.token_classification import entity_scores

    return {"f1": entity_scores(truth, predicted)["f1"]}


def ours(seed: int, epochs: int, model_dir: Path) -> tuple[dict[str, Any], float]:
    """The whole command of the README, and its seconds."""
    command = [
        sys.executable, "-m", "lepton_lab", "train", "--task", "token-classification", "--model", f"sample:{MODEL}",
        "--dataset", f"sample:{DATA}", "--epochs", str(epochs), "--batch-size", "16", "--lr", "2e-5",
        "--output-dir", str(model_dir), "--seed", str(seed), "--wait", "--json",
    ]  # fmt: skip
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - start


def theirs(seed: int, epochs: int, precision: str, model_dir: Path) -> tuple[dict[str, float], float]:
    """The loop above in a fresh process, and its seconds."""
    command = [sys.executable, __file__, "--hand-written", f"{seed},{epochs},{precision},{model_dir}"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - start


def main() -> None:
    options = arguments(__doc__ or "", hand_written="", seeds=3)
    if options.hand_written:
        seed, epochs, precision, folder = options.hand_written.split(",")
        print(json.dumps(hand_written(int(seed), int(epochs), precision, Path(folder))))
        return
    epochs, seeds = (1, [0, 1]) if options.quick else (10, list(range(options.seeds)))
    rows, raw = [], []
    with own_lab("addresses") as folder:
        for number, seed in enumerate(seeds):
            turns = ["ours", "hand-written"] if number % 2 == 0 else ["hand-written", "ours"]
            found: dict[str, tuple[float, float]] = {}
            for name in turns:
                if name == "ours":
                    result, seconds = ours(seed, epochs, Path(folder) / "model")
                    found[name] = (result["metrics"]["test_f1"], seconds)
                else:
                    # The precision that ours picks on this machine.
                    result, seconds = theirs(seed, epochs, _precision(), Path(folder) / "hand")
                    found[name] = (result["f1"], seconds)
                say(f"seed {seed} {name}: F1 {found[name][0]:.4f}, {found[name][1]:.1f} s")
            for name, (f1, seconds) in found.items():
                rows.append([seed, name, 100 * f1, seconds])
            raw.append(
                {"seed": seed, **{name: {"f1": f1, "seconds": seconds} for name, (f1, seconds) in found.items()}}
            )
    ratios = [each["hand-written"]["seconds"] / each["ours"]["seconds"] for each in raw]
    gains = [100 * (each["ours"]["f1"] - each["hand-written"]["f1"]) for each in raw]
    speed, low, high = median_interval(ratios)
    print(table(["seed", "contestant", "F1 points", "seconds"], rows))
    print(
        f"hand-written / ours, seconds: {speed:.2f} ({low:.2f} to {high:.2f}); "
        f"F1 difference: {np.mean(gains):+.2f} points"
    )
    figures = {
        "f1_gain_points": float(np.mean(gains)), "seconds_ratio": speed, "seconds_ratio_low": low,
        "ours_f1": float(np.mean([each["ours"]["f1"] for each in raw])),
        "hand_written_f1": float(np.mean([each["hand-written"]["f1"] for each in raw])),
    }  # fmt: skip
    goals = {"F1 not worse": (figures["f1_gain_points"], ">=", -0.5), "in less time": (speed, ">", 1.0)}
    finish("token_classification", figures, goals, raw, options.out, options.quick)


def _precision() -> str:
    from lepton_lab.work.training.precision import choose_precision

    return choose_precision("auto").name


if __name__ == "__main__":
    main()
