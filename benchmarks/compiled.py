"""What compilation brings: our pick against eager fp32 and eager bf16, request by request, taking turns.

A classifier is trained for a few steps on the film reviews and compiled with ``--backend auto``; then the three
answer the same padded requests (batch 1 and 8, 32 tokens) in one process with the same threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measure import arguments, finish, interleave, lepton, median_interval, own_lab, ratios, say, table

import lepton_lab

LENGTH = 32


def eager(folder: Any, bf16: bool, threads: int) -> Callable[[dict[str, np.ndarray]], Any]:
    """The trained model in plain PyTorch, as its page on the Hub shows."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(threads)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    if bf16:
        model = model.to(torch.bfloat16)

    def call(inputs: dict[str, np.ndarray]) -> Any:
        with torch.inference_mode():
            return model(**{name: torch.from_numpy(value) for name, value in inputs.items()}).logits.float().numpy()

    return call


def timed(call: Callable[[dict[str, np.ndarray]], Any], inputs: dict[str, np.ndarray], requests: int) -> float:
    """Median ms of ``requests`` calls."""
    samples = []
    for _ in range(requests):
        start = time.perf_counter()
        call(inputs)
        samples.append((time.perf_counter() - start) * 1000)
    return float(np.median(samples))


def main() -> None:
    options = arguments(__doc__ or "")
    rounds, requests = (3, 5) if options.quick else (20, 20)
    rows, figures, raw = [], {}, {}
    with own_lab("movie-sentiment"):
        say("training and compiling")
        run = lepton_lab.train(
            task="text-classification", model="sample:minilm", dataset="sample:movie-sentiment", peft="lora",
            max_steps=20 if options.quick else 125, eval_strategy="no", save_strategy="no",
        )  # fmt: skip
        compiled = lepton_lab.compile(run, wait=True)
        pick = compiled.reports["compile"]["pick"]
        predictor = lepton_lab.load(run)
        lepton("cluster", "stop", "--force")
        threads = predictor.threads
        contestants = {
            "eager fp32": eager(run.model_dir, False, threads),
            "eager bf16": eager(run.model_dir, True, threads),
            "lepton": lambda inputs: predictor.runner(
                **{name: value for name, value in inputs.items() if name in predictor.runner.input_names}
            ),
        }
        generator = np.random.default_rng(0)
        for batch in (1, 8):
            ids = generator.integers(1000, 20000, size=(batch, LENGTH))
            inputs = {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
            for call in contestants.values():
                timed(call, inputs, 5)
            samples = interleave(
                {
                    name: lambda _, call=call, inputs=inputs: timed(call, inputs, requests)
                    for name, call in contestants.items()
                },
                rounds,
            )
            raw[f"batch{batch}"] = samples
            for name, values in samples.items():
                speed = median_interval(ratios(samples, name, "lepton"))
                rows.append([batch, name, *median_interval(values), *speed])
                if name != "lepton":
                    key = f"batch{batch}.over_{name.replace(' ', '_')}"
                    figures |= {key: speed[0], f"{key}_low": speed[1], f"{key}_high": speed[2]}
    print(f"pick: {pick['backend']} {pick['precision']}, {threads} threads, {LENGTH} tokens a row")
    print(table(["batch", "contestant", "median ms", "low", "high", "lepton is × faster", "low", "high"], rows))
    goals = {"faster than eager fp32 at batch 1": (figures["batch1.over_eager_fp32"], ">", 1.0)}
    finish("compiled", figures, goals, raw, options.out, options.quick)


if __name__ == "__main__":
    main()
