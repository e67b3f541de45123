"""One label, several labels, or a number for each text or pair of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...data.need import ColumnNeed
from ...errors import DataError, Problem
from .task import Features, ModelSpec, Task

if TYPE_CHECKING:
    import datasets
    import numpy as np
    import pyarrow as pa

    from ..data.collator import PaddedBatch

_TEXT = (
    "text",
    "sentence",
    "review",
    "content",
    "body",
    "message",
    "comment",
    "document",
    "sentence1",
    "premise",
    "title",
)
_LABEL = ("label", "labels", "class", "category", "sentiment", "target", "rating", "score", "stars", "y")

_METRICS = {
    "single_label": ("accuracy", "f1", "precision", "recall"),
    "multi_label": ("f1", "macro_f1", "precision", "recall", "exact_match"),
    "regression": ("r2", "rmse", "mae", "pearson"),
}


class TextClassification(Task):
    """Sequence classification: single label, multi label, or regression."""

    name = "text-classification"
    title = "Text classification"
    needs = (
        (
            ColumnNeed("text", "text", "text_column", _TEXT),
            ColumnNeed("text_pair", "text", "text_pair_column", (), required=False),
            ColumnNeed("label", "label", "label_column", _LABEL),
        ),
    )
    auto_class = "AutoModelForSequenceClassification"
    main_metric = "accuracy"
    default_batch_size = 32

    def metric_of(self, spec: ModelSpec) -> tuple[str, bool]:
        return {"multi_label": "f1", "regression": "r2"}.get(str(spec.problem_type), "accuracy"), True

    def metric_names(self, problem_type: str | None = None) -> tuple[str, ...]:
        kinds = [problem_type] if problem_type in _METRICS else list(_METRICS)
        return ("loss", *dict.fromkeys(name for kind in kinds for name in _METRICS[kind]))

    def check_model(self, config: Mapping[str, Any]) -> list[Problem]:
        from ..models.source import check_ability

        return check_ability(dict(config), self)

    def encode(self, table: pa.Table, tokenizer: Any, spec: ModelSpec) -> datasets.Dataset:
        from ..data.encoding import dataset_of, tokenize

        pairs = table["text_pair"].to_pylist() if "text_pair" in table.column_names else None
        columns = tokenize(tokenizer, table["text"].to_pylist(), spec.max_length, pairs)
        if "label" in table.column_names:
            columns["labels"] = self._label_values(table["label"].to_pylist(), spec)
        return dataset_of(columns)

    def _label_values(self, labels: list[Any], spec: ModelSpec) -> list[Any]:
        if spec.problem_type == "regression":
            return [float(value) for value in labels]
        place = {label: number for number, label in enumerate(spec.labels or [])}
        if spec.problem_type == "multi_label":
            rows = []
            for names in labels:
                row = [0.0] * len(place)
                for name in names:
                    row[place[name]] = 1.0
                rows.append(row)
            return rows
        return [place[label] for label in labels]

    def collator(self, tokenizer: Any, spec: ModelSpec) -> PaddedBatch:
        from ..data.collator import PaddedBatch

        return PaddedBatch.of(tokenizer, label_kind="int" if spec.problem_type == "single_label" else "float")

    def model_kwargs(self, spec: ModelSpec) -> dict[str, Any]:
        if spec.problem_type == "regression":
            return {"num_labels": 1, "problem_type": "regression"}
        labels = spec.labels or []
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
            "problem_type": f"{spec.problem_type}_classification",
        }

    def metrics(self, logits: Sequence[Any], labels: Sequence[Any], spec: ModelSpec) -> dict[str, float]:
        import numpy as np

        scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
        if spec.problem_type == "regression":
            return _regression_scores(scores.reshape(-1), truth.astype(np.float64).reshape(-1))
        if spec.problem_type == "multi_label":
            return _multi_label_scores(scores > 0, truth > 0.5)
        best = scores.argmax(-1)
        return {"accuracy": float((best == truth).mean()), **_macro_scores(best, truth, len(spec.labels or []))}

    def row_scores(
        self, logits: Sequence[Any], labels: Sequence[Any], spec: ModelSpec
    ) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        import numpy as np

        if spec.problem_type != "single_label":
            return None
        right: np.ndarray[Any, np.dtype[np.float64]] = (np.asarray(logits).argmax(-1) == np.asarray(labels)).astype(
            np.float64
        )
        return right

    def baseline(self, table: pa.Table, spec: ModelSpec) -> dict[str, float]:
        labels = table["label"].to_pylist()
        if spec.problem_type != "single_label" or not labels:
            return {}
        return {"majority": Counter(labels).most_common(1)[0][1] / len(labels)}

    def encode_inputs(self, inputs: Sequence[Any], tokenizer: Any, spec: ModelSpec) -> tuple[list[Features], list[Any]]:
        from ..data.encoding import rows_of, tokenize

        texts, pairs = [], []
        for each in inputs:
            first, second = _text_and_pair(each)
            texts.append(first)
            pairs.append(second)
        if any(pair is not None for pair in pairs) and not all(pair is not None for pair in pairs):
            raise DataError(Problem("either every input or none has a second text", "both kinds", "Give them apart."))
        with_pairs = bool(pairs) and pairs[0] is not None
        columns = tokenize(tokenizer, texts, spec.max_length, [str(pair) for pair in pairs] if with_pairs else None)
        return rows_of(columns), list(texts)

    def decode(self, logits: Sequence[Any], rows: Sequence[Any], spec: ModelSpec) -> list[dict[str, Any]]:
        import numpy as np

        answers: list[dict[str, Any]] = []
        labels = spec.labels or []
        for row in logits:
            values = np.asarray(row, dtype=np.float64)
            if spec.problem_type == "regression":
                answers.append({"score": float(values.reshape(-1)[0])})
                continue
            if spec.problem_type == "multi_label":
                shares = 1 / (1 + np.exp(-values))
                scores = {label: float(share) for label, share in zip(labels, shares, strict=True)}
                picked = [label for label, share in scores.items() if share > 0.5]
                answers.append({"labels": picked, "scores": scores})
                continue
            shares = np.exp(values - values.max())
            shares /= shares.sum()
            best = int(shares.argmax())
            answers.append(
                {
                    "label": labels[best],
                    "score": float(shares[best]),
                    "scores": {label: float(share) for label, share in zip(labels, shares, strict=True)},
                }
            )
        return answers

    def example(self, row: Features, tokenizer: Any, spec: ModelSpec) -> dict[str, Any]:
        found: dict[str, Any] = {"text": tokenizer.decode(row["input_ids"]), "tokens": len(row["input_ids"])}
        labels, value = spec.labels or [], row.get("labels")
        if spec.problem_type == "single_label" and value is not None:
            found["label"] = labels[int(value)]
        elif spec.problem_type == "multi_label" and value is not None:
            found["label"] = [label for label, on in zip(labels, value, strict=True) if on]
        else:
            found["label"] = value
        return found


def _text_and_pair(given: Any) -> tuple[str, str | None]:
    if isinstance(given, str):
        return given, None
    if isinstance(given, Mapping) and isinstance(given.get("text"), str):
        pair = given.get("text_pair")
        return given["text"], None if pair is None else str(pair)
    if isinstance(given, (list, tuple)) and len(given) == 2 and all(isinstance(each, str) for each in given):
        return given[0], given[1]
    do = "Give a text, a pair of texts, or a dict with text (and text_pair)."
    raise DataError(Problem("an input is a text", f"{type(given).__name__}: {str(given)[:60]!r}", do))


def _macro_scores(best: Any, truth: Any, classes: int) -> dict[str, float]:
    """Unweighted means over the classes that occur in truth or prediction."""
    import numpy as np

    hits = np.bincount(truth[best == truth], minlength=classes).astype(float)
    said, there = np.bincount(best, minlength=classes), np.bincount(truth, minlength=classes)
    seen = (said + there) > 0
    precision = np.divide(hits, said, out=np.zeros(classes), where=said > 0)[seen]
    recall = np.divide(hits, there, out=np.zeros(classes), where=there > 0)[seen]
    f1 = (2 * hits / np.maximum(said + there, 1))[seen]
    return {"f1": float(f1.mean()), "precision": float(precision.mean()), "recall": float(recall.mean())}


def _multi_label_scores(said: Any, truth: Any) -> dict[str, float]:
    """Micro F1 (the main metric), macro F1, and the share of rows that are right in every label."""
    import numpy as np

    hits = (said & truth).sum(0).astype(float)
    sizes = said.sum(0) + truth.sum(0)
    total = sizes.sum()
    return {
        "f1": float(2 * hits.sum() / total) if total else 0.0,
        "macro_f1": float(np.mean(2 * hits / np.maximum(sizes, 1))),
        "precision": float(hits.sum() / max(said.sum(), 1)),
        "recall": float(hits.sum() / max(truth.sum(), 1)),
        "exact_match": float((said == truth).all(-1).mean()),
    }


def _regression_scores(guess: Any, truth: Any) -> dict[str, float]:
    """Coefficient of determination, root mean squared and mean absolute error, Pearson correlation."""
    import numpy as np

    spread = float(((truth - truth.mean()) ** 2).sum())
    error = guess - truth
    both = guess.std() > 0 and truth.std() > 0
    return {
        "r2": 1 - float((error**2).sum()) / spread if spread else 0.0,
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
        "pearson": float(np.corrcoef(guess, truth)[0, 1]) if both else 0.0,
    }
