"""What the model will be shown: token lengths, what is cut, one row read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...data import Splits
from ...errors import Problem

if TYPE_CHECKING:
    import datasets

    from ..tasks.task import ModelSpec, Task

_QUANTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
_MUCH_CUT = 0.05
_WIDE_LABELS = 20


def preflight(
    splits: Splits, encoded: dict[str, datasets.Dataset], task: Task, tokenizer: Any, spec: ModelSpec
) -> dict[str, Any]:
    """The data report with the tokens' part: ``tokens`` (quantiles, ``truncated`` share), ``example``."""
    import numpy as np

    from ... import data

    report: dict[str, Any] = data.report(splits)
    train = encoded["train"]
    lengths = np.asarray(train.data.column("whole_length").to_numpy())
    cut = lengths > spec.max_length
    report["tokens"] = {
        "max_length": spec.max_length,
        "quantiles": {name: int(np.percentile(lengths, share)) for name, share in _QUANTILES.items()},
        "mean": float(lengths.mean()),
        "truncated": float(cut.mean()),
        "truncated_rows": int(cut.sum()),
    }
    report["example"] = task.example(train[0], tokenizer, spec)
    if cut.mean() > _MUCH_CUT:
        longer = int(np.percentile(lengths, 99))
        problem = Problem(
            f"{100 * cut.mean():.0f} % of the training rows are longer than {spec.max_length} tokens and are cut",
            f"half of them up to {int(np.percentile(lengths, 50))} tokens, 1 % over {longer}",
            "Raise --max-length if the model allows it, or shorten the texts.",
            "data.max_length",
        )
        report["warnings"] = [*report.get("warnings", []), problem.to_dict()]
    if spec.problem_type == "regression":
        spread = float(np.std(train.data.column("labels").to_numpy()))
        if spread > _WIDE_LABELS:
            problem = Problem(
                "the numbers to learn are far apart, and learning moves in small steps",
                f"a standard deviation of {spread:,.0f}",
                "Scale them to about 0 to 1 (and the answers back).",
                "data.label_column",
            )
            report["warnings"] = [*report.get("warnings", []), problem.to_dict()]
    return report
