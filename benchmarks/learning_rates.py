"""The grid behind the default learning rates: each task and method on its sample, several rates, the same budget.

A rate is judged by the task's metric on the validation split, over seeds; the test split is not looked at.
The default should be the best rate, or within its noise. Prints what ``recipe/defaults.py`` should hold.
"""

from __future__ import annotations

import statistics
from typing import Any

from measure import arguments, finish, own_lab, say, table

import lepton_lab
from lepton_lab.recipe.defaults import defaults

# task: (model, data, validation metric, more is better, training options of the budget)
TASKS: dict[str, tuple[str, str, str, bool, dict[str, Any]]] = {
    "text-classification": ("sample:minilm", "sample:movie-sentiment", "eval_accuracy", True, {"epochs": 1}),
    "token-classification": ("sample:minilm", "sample:addresses", "eval_f1", True, {"epochs": 3}),
    "text-generation": ("sample:smollm2", "sample:faq", "eval_loss", False, {"epochs": 1}),
}
SAMPLES = ("movie-sentiment", "addresses", "smollm2", "faq")
RATES = {"none": [5e-5, 1e-4, 2e-4, 4e-4], "lora": [5e-4, 1e-3, 2e-3, 4e-3]}
# An accuracy of 0.84 on 1,000 rows has a standard deviation of 1.2 points; the difference of two, 1.7.
NOISE = 0.017
QUICK = {"max_steps": 2, "max_rows": 64, "batch_size": 4}


def measure(task: str, method: str, rate: float, seed: int, options: dict[str, Any]) -> float:
    """The validation metric of one training; the worst there is if it failed."""
    model, data, metric, more_is_better, _ = TASKS[task]
    run = lepton_lab.train(task=task, model=model, dataset=data, peft=method, lr=rate, seed=seed, **options).wait()
    found = run.metrics.get(metric)
    if found is None:
        say(f"{task} {method} {rate:g} seed {seed}: {run.status}")
        return float("-inf") if more_is_better else float("inf")
    return float(found)


def main() -> None:
    options = arguments(__doc__ or "", task="", method="", seeds=3, cpus=0)
    seeds = list(range(1 if options.quick else options.seeds))
    rows, raw, figures, goals = [], [], {}, {}
    with own_lab(*SAMPLES):
        for task, (_, _, metric, more_is_better, budget) in TASKS.items():
            if options.task and options.task != task:
                continue
            for method, rates in RATES.items():
                if options.method and options.method != method:
                    continue
                settings = {**budget, **(QUICK if options.quick else {}), "save_strategy": "no"}
                if options.cpus:
                    settings["cpus"] = options.cpus
                values: dict[float, list[float]] = {}
                for rate in rates[1:3] if options.quick else rates:
                    values[rate] = [measure(task, method, rate, seed, settings) for seed in seeds]
                    say(f"{task} {method} {rate:g}: {values[rate]}")
                means = {rate: statistics.fmean(found) for rate, found in values.items()}
                best = (max if more_is_better else min)(means, key=lambda rate: means[rate])
                default = defaults(task, method)[0]["learning_rate"]
                for rate, mean in means.items():
                    spread = statistics.stdev(values[rate]) if len(seeds) > 1 else 0.0
                    marks = " ".join(["best"] * (rate == best) + ["default"] * (rate == default))
                    rows.append([task, method, f"{rate:g}", metric, mean, spread, marks])
                    raw.append({"task": task, "method": method, "rate": rate, "metric": metric, "values": values[rate]})
                name = f"{task}.{method}"
                figures |= {f"{name}.best_rate": best, f"{name}.best": means[best]}
                if default in means and not options.quick:
                    lost = (means[best] - means[default]) * (1 if more_is_better else -1)
                    figures[f"{name}.default_loses"] = lost
                    goals[f"{name} default is near the best"] = (lost, "<=", NOISE if more_is_better else 0.05)
    print(table(["task", "method", "rate", "metric", "mean", "spread", ""], rows))
    part = "-".join(["learning_rates", *filter(None, (options.task, options.method))])
    finish(part, figures, goals, raw, options.out, options.quick)


if __name__ == "__main__":
    main()
