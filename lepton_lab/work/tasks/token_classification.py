"""One tag for each word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...data.need import ColumnNeed
from ...errors import DataError, Problem
from .entities import entity_scores, find_entities, uses_prefixes
from .task import Features, ModelSpec, Task

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

    from ..data.collator import PaddedBatch

__all__ = ["TokenClassification", "entity_scores"]

_IGNORED = -100
_TOKENS = ("tokens", "words", "token")
_TAGS = ("tags", "ner_tags", "labels", "pos_tags", "tag", "label")


class TokenClassification(Task):
    """Tags of words: names, parts of an address, parts of speech.

    A word's first sub-word carries its tag; the others are left out of the loss and of the scores.
    """

    name = "token-classification"
    title = "Token classification"
    needs = (
        (
            ColumnNeed("tokens", "tokens", "tokens_column", _TOKENS),
            ColumnNeed("tags", "tags", "tags_column", _TAGS),
        ),
    )
    auto_class = "AutoModelForTokenClassification"
    main_metric = "f1"
    default_batch_size = 16

    def metric_names(self, problem_type: str | None = None) -> tuple[str, ...]:
        del problem_type
        return ("loss", "f1", "precision", "recall", "macro_f1", "accuracy")

    def check_model(self, config: Mapping[str, Any]) -> list[Problem]:
        from ..models.source import check_ability

        return check_ability(dict(config), self)

    def prepare_model(self, model: Any, tokenizer: Any, spec: ModelSpec) -> None:
        """Byte-level tokenizers need a space before a word to see it as one."""
        del model, spec
        _add_prefix_space(tokenizer)

    def encode(self, table: pa.Table, tokenizer: Any, spec: ModelSpec) -> datasets.Dataset:
        from ..data.encoding import dataset_of, tokenize

        _add_prefix_space(tokenizer)
        columns = tokenize(tokenizer, table["tokens"].to_pylist(), spec.max_length, words=True)
        if "tags" in table.column_names:
            place = {label: number for number, label in enumerate(spec.labels or [])}
            tags = table["tags"].to_pylist()
            columns["labels"] = [
                _align([place[tag] for tag in row], ids) for row, ids in zip(tags, columns["word_ids"], strict=True)
            ]
        return dataset_of(columns)

    def collator(self, tokenizer: Any, spec: ModelSpec) -> PaddedBatch:
        from ..data.collator import PaddedBatch

        return PaddedBatch.of(tokenizer, label_kind="tokens")

    def model_kwargs(self, spec: ModelSpec) -> dict[str, Any]:
        labels = spec.labels or []
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
        }

    def reduce(self, logits: Any, labels: Any) -> Any:
        return logits.argmax(-1)

    def metrics(self, logits: Sequence[Any], labels: Sequence[Any], spec: ModelSpec) -> dict[str, float]:
        truth, predicted = self._tags(logits, labels, spec)
        return entity_scores(truth, predicted)

    def _tags(
        self, logits: Sequence[Any], labels: Sequence[Any], spec: ModelSpec
    ) -> tuple[list[list[str]], list[list[str]]]:
        """True and predicted tags of the words that carry one; ``logits`` may hold class numbers already."""
        import numpy as np

        names = np.asarray(spec.labels or [], dtype=object)
        truth, predicted = [], []
        for row, answer in zip(logits, labels, strict=True):
            values, wanted = np.asarray(row), np.asarray(answer)
            best = values.argmax(-1) if values.ndim == 2 else values
            kept = np.flatnonzero(wanted != _IGNORED)
            truth.append(names[wanted[kept]].tolist())
            predicted.append(names[best[kept].astype(np.int64)].tolist())
        return truth, predicted

    def baseline(self, table: pa.Table, spec: ModelSpec) -> dict[str, float]:
        counts = Counter(tag for row in table["tags"].to_pylist() for tag in row)
        total = sum(counts.values())
        return {"majority": counts.most_common(1)[0][1] / total} if total else {}

    def encode_inputs(self, inputs: Sequence[Any], tokenizer: Any, spec: ModelSpec) -> tuple[list[Features], list[Any]]:
        from ..data.encoding import rows_of, tokenize

        _add_prefix_space(tokenizer)
        rows = [_split(each) for each in inputs]
        columns = tokenize(tokenizer, [row["words"] for row in rows], spec.max_length, words=True)
        for row, ids in zip(rows, columns["word_ids"], strict=True):
            row["word_ids"] = ids
        return rows_of(columns), list(rows)

    def decode(self, logits: Sequence[Any], rows: Sequence[Any], spec: ModelSpec) -> list[dict[str, Any]]:
        import numpy as np

        labels = spec.labels or []
        prefixed = uses_prefixes(labels)
        answers = []
        for values, row in zip(logits, rows, strict=True):
            scores = np.asarray(values, dtype=np.float64)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            shares /= shares.sum(-1, keepdims=True)
            tags: list[str | None] = [None] * len(row["words"])
            sure = [0.0] * len(tags)
            for place, word in _first_pieces(row["word_ids"]):
                best = int(shares[place].argmax())
                tags[word], sure[word] = labels[best], float(shares[place, best])
            entities = [
                {
                    "label": entity.label,
                    "text": row["text"][row["starts"][entity.start] : row["ends"][entity.end - 1]],
                    "start": row["starts"][entity.start],
                    "end": row["ends"][entity.end - 1],
                    "score": sum(sure[entity.start : entity.end]) / (entity.end - entity.start),
                }
                for entity in find_entities([tag or "O" for tag in tags], prefixed)
            ]
            answers.append({"entities": entities, "tokens": row["words"], "tags": tags})
        return answers

    def example(self, row: Features, tokenizer: Any, spec: ModelSpec) -> dict[str, Any]:
        labels = spec.labels or []
        pieces = tokenizer.convert_ids_to_tokens(list(row["input_ids"]))
        tagged = [
            [piece, None if label == _IGNORED else labels[label]]
            for piece, label in zip(pieces, row["labels"], strict=True)
        ]
        return {"text": tokenizer.decode(row["input_ids"]), "tokens": len(pieces), "tagged": tagged}


def _align(tags: Sequence[int], word_ids: Sequence[int | None]) -> list[int]:
    """A tag for each sub-word: the word's on its first, none on the others."""
    aligned = [_IGNORED] * len(word_ids)
    for place, word in _first_pieces(word_ids):
        aligned[place] = tags[word]
    return aligned


def _first_pieces(word_ids: Sequence[int | None]) -> list[tuple[int, int]]:
    """(place of its first sub-word, word) for each word that is there."""
    before: int | None = None
    found = []
    for place, word in enumerate(word_ids):
        if word is not None and word != before:
            found.append((place, word))
        before = word
    return found


def _add_prefix_space(tokenizer: Any) -> None:
    import json

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.pre_tokenizer is None:
        return
    state = json.loads(backend.pre_tokenizer.__getstate__())
    if state.get("type") == "ByteLevel" and not state.get("add_prefix_space"):
        from tokenizers import pre_tokenizers

        backend.pre_tokenizer = pre_tokenizers.ByteLevel(
            add_prefix_space=True, trim_offsets=state.get("trim_offsets", True), use_regex=state.get("use_regex", True)
        )
        tokenizer.add_prefix_space = True


def _split(given: Any) -> dict[str, Any]:
    """Words and where they stand in the text."""
    if isinstance(given, Mapping):
        given = given.get("tokens") or given.get("text")
    if isinstance(given, str):
        spans = [match.span() for match in re.finditer(r"\S+", given)]
        text = given
    elif isinstance(given, (list, tuple)) and given and all(isinstance(word, str) for word in given):
        spans, place = [], 0
        for word in given:
            spans.append((place, place + len(word)))
            place += len(word) + 1
        text = " ".join(given)
    else:
        do = "Give a text, a list of words, or a dict with tokens."
        raise DataError(Problem("an input is a text or a list of words", f"{type(given).__name__}", do))
    if not spans:
        raise DataError(Problem("an input has no words", repr(text)[:60], "Give a text with words."))
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    return {"text": text, "words": [text[start:end] for start, end in spans], "starts": starts, "ends": ends}
