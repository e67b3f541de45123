"""A runner's answers on rows whose answers are known: logits, decisions and metrics, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..backends.padding import Padding, batches_by_length
from ..tasks.task import Features, ModelSpec, Task

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from ..backends.backend import Logits, Runner

IGNORED = -100


@dataclass
class Scored:
    """What one model answered on some rows.

    ``values`` holds a row's logits, or a row's token losses (nats) for a task that generates;
    ``decisions`` what it chose and ``truth`` what was right, as class numbers: one a row, one a word,
    one a label, one a learnt token; empty for a regression. ``metrics`` are the task's.
    """

    values: list[NDArray[np.float64]]
    decisions: list[NDArray[np.int64]]
    truth: list[NDArray[np.int64]]
    labels: list[Any]
    metrics: dict[str, float]
    row_scores: NDArray[np.float64] | None

    @property
    def rows(self) -> int:
        """How many rows were answered."""
        return len(self.values)


def encode_rows(table: pa.Table, task: Task, tokenizer: Any, spec: ModelSpec, most: int, seed: int) -> list[Features]:
    """At most ``most`` rows of a canonical table, drawn evenly by ``seed``, encoded with their labels."""
    import numpy as np

    if table.num_rows > most:
        drawn = np.random.default_rng(seed).choice(table.num_rows, most, replace=False)
        table = table.take(sorted(drawn.tolist()))
    encoded = task.encode(table, tokenizer, spec)
    names = [name for name in encoded.column_names if name not in ("length", "whole_length")]
    columns = [encoded[name][:] for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def score_rows(
    runner: Runner,
    rows: Sequence[Features],
    task: Task,
    spec: ModelSpec,
    padding: Padding,
    batch_size: int,
    on_batch: Callable[[int], None] | None = None,
) -> Scored:
    """Answer ``rows`` in batches of similar length and score them. ``on_batch`` hears how many rows are done."""
    values: list[Any] = [None] * len(rows)
    decisions: list[Any] = [None] * len(rows)
    truth: list[Any] = [None] * len(rows)
    done = 0
    for numbers in batches_by_length([len(row["input_ids"]) for row in rows], batch_size):
        batch = [rows[number] for number in numbers]
        logits = answer_batch(runner, batch, padding)
        for number, row, answer in zip(numbers, batch, logits, strict=True):
            kept, chosen, right = _read_row(answer, row["labels"], task, spec)
            values[number], decisions[number], truth[number] = kept, chosen, right
        done += len(numbers)
        if on_batch is not None:
            on_batch(done)
    labels = [row["labels"] for row in rows]
    return Scored(
        values,
        decisions,
        truth,
        labels,
        task.metrics(values, labels, spec),
        task.row_scores(values, labels, spec),
    )


def answer_batch(runner: Runner, rows: Sequence[Features], padding: Padding) -> list[Logits]:
    """The logits of each row, without those of the padding."""
    batch = padding.batch(rows)
    logits = runner(**batch)
    if logits.ndim == 2:
        return list(logits)
    width = batch["input_ids"].shape[1]
    return [answer[padding.span(len(row["input_ids"]), width)] for row, answer in zip(rows, logits, strict=True)]


def _read_row(answer: Logits, label: Any, task: Task, spec: ModelSpec) -> tuple[Any, Any, Any]:
    """(what is kept of a row's logits, what was chosen, what was right)."""
    import numpy as np

    nothing = np.zeros(0, dtype=np.int64)
    if task.generates:
        wanted = np.asarray(label, dtype=np.int64)
        kept = np.flatnonzero(wanted[1:] != IGNORED) + 1
        losses = np.zeros(len(wanted))
        scores = answer[kept - 1].astype(np.float64)
        top = scores.max(-1)
        total = np.log(np.exp(scores - top[:, None]).sum(-1)) + top
        losses[kept] = total - scores[np.arange(len(kept)), wanted[kept]]
        return losses, scores.argmax(-1), wanted[kept]
    kept_logits = answer.astype(np.float64)
    if spec.problem_type == "regression":
        return kept_logits, nothing, nothing
    if spec.problem_type == "multi_label":
        return kept_logits, (kept_logits > 0).astype(np.int64), np.asarray(label).astype(np.int64)
    if kept_logits.ndim == 1:
        return kept_logits, kept_logits.argmax(0, keepdims=True), np.asarray([label], dtype=np.int64)
    wanted = np.asarray(label, dtype=np.int64)
    kept = np.flatnonzero(wanted != IGNORED)
    return kept_logits, kept_logits[kept].argmax(-1), wanted[kept]


def agreement(reference: Scored, candidate: Scored) -> float | None:
    """The share of decisions (rows, words, labels, tokens) that are the same; None where there are none."""
    import numpy as np

    first, second = np.concatenate(reference.decisions), np.concatenate(candidate.decisions)
    return float((first == second).mean()) if len(first) else None


def largest_difference(reference: Scored, candidate: Scored) -> float:
    """The largest difference of a logit (of a token's loss, for a task that generates)."""
    import numpy as np

    return max(
        float(np.abs(first - second).max(initial=0.0))
        for first, second in zip(reference.values, candidate.values, strict=True)
    )


def largest_value(scored: Scored) -> float:
    """The largest absolute logit."""
    import numpy as np

    return max(float(np.abs(row).max(initial=0.0)) for row in scored.values)
