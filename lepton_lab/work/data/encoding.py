"""From texts to token numbers, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datasets

Columns = dict[str, list[Any]]
"""Encoded rows by column: ``input_ids``, ``attention_mask``, maybe ``token_type_ids``, ``length``, ``whole_length``."""

# Rows tokenised at once: enough for the tokenizer's threads, little memory.
_BLOCK = 10_000


def tokenize(
    tokenizer: Any,
    texts: Sequence[Any],
    max_length: int,
    pairs: Sequence[str] | None = None,
    *,
    words: bool = False,
    special_tokens: bool = True,
) -> Columns:
    """Texts (or lists of words) cut to ``max_length`` tokens.

    ``length`` counts the tokens kept, ``whole_length`` those before the cut. With ``words``,
    ``word_ids`` says for each token which word it belongs to (None for special tokens).
    """
    columns: Columns = {"input_ids": [], "attention_mask": [], "length": [], "whole_length": []}
    segments: list[list[int]] = []
    for start in range(0, len(texts), _BLOCK):
        block = list(texts[start : start + _BLOCK])
        second = list(pairs[start : start + _BLOCK]) if pairs is not None else None
        options = {"is_split_into_words": words, "add_special_tokens": special_tokens, "verbose": False}
        encoded = tokenizer(block, second, truncation=True, max_length=max_length, **options)
        columns["input_ids"] += encoded["input_ids"]
        columns["attention_mask"] += [[1] * len(row) for row in encoded["input_ids"]]
        lengths = [len(row) for row in encoded["input_ids"]]
        columns["length"] += lengths
        columns["whole_length"] += _whole_lengths(tokenizer, block, second, lengths, max_length, options)
        if words:
            columns.setdefault("word_ids", []).extend(encoded.word_ids(number) for number in range(len(block)))
        if "token_type_ids" in encoded:
            segments += encoded["token_type_ids"]
    # All zeros is what a model takes anyway.
    if any(any(row) for row in segments):
        columns["token_type_ids"] = segments
    return columns


def _whole_lengths(
    tokenizer: Any, block: list[Any], second: list[str] | None, lengths: list[int], max_length: int, options: Any
) -> list[int]:
    """Lengths before the cut; only rows that fill ``max_length`` are counted again."""
    whole = list(lengths)
    full = [number for number, length in enumerate(lengths) if length >= max_length]
    if full:
        again = tokenizer(
            [block[number] for number in full],
            [second[number] for number in full] if second is not None else None,
            truncation=False,
            return_attention_mask=False,
            **options,
        )
        for number, row in zip(full, again["input_ids"], strict=True):
            whole[number] = len(row)
    return whole


def dataset_of(columns: Columns) -> datasets.Dataset:
    """Columns as a data set that a Trainer reads row by row."""
    import datasets
    import pyarrow as pa

    types = {"input_ids": pa.list_(pa.int32()), "attention_mask": pa.list_(pa.int8())}
    table = pa.table(
        {name: pa.array(values, types.get(name)) for name, values in columns.items() if name != "word_ids"}
    )
    return datasets.Dataset(table)


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    """Columns as rows for a collator, without what only statistics need."""
    names = [name for name in columns if name not in ("length", "whole_length", "word_ids")]
    return [dict(zip(names, values, strict=True)) for values in zip(*(columns[name] for name in names), strict=True)]
