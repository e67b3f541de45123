"""From encoded rows to one batch of tensors, padded to its longest row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

IGNORED = -100
"""The label of a position that the loss leaves out."""


@dataclass
class PaddedBatch:
    """Makes a batch; counts rows and tokens it has seen, for the throughput.

    ``label_kind``: ``int`` or ``float`` for one label (or vector) a row, ``tokens`` for one a token.
    Causal models without an attention mask (packed rows) get ``position_ids`` instead.
    ``multiple``: widths are rounded up to it.
    """

    pad_id: int
    side: str = "right"
    label_kind: Literal["int", "float", "tokens"] = "int"
    multiple: int = 1
    rows: int = 0
    tokens: int = 0

    @classmethod
    def of(cls, tokenizer: Any, label_kind: Literal["int", "float", "tokens"]) -> PaddedBatch:
        """The batch maker for a tokenizer's padding token and side."""
        pad = tokenizer.pad_token_id
        if pad is None:
            pad = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else 0
        # Trained rows are padded on the right whatever the tokenizer prefers for generating.
        side = "right" if label_kind == "tokens" else str(tokenizer.padding_side)
        return cls(int(pad), side, label_kind)

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """A dict of tensors ``[rows, tokens]`` (labels: ``[rows]`` or ``[rows, labels]`` unless by token)."""
        import numpy as np
        import torch

        lengths = [len(row["input_ids"]) for row in features]
        self.rows += len(lengths)
        self.tokens += sum(lengths)
        width = -(-max(lengths) // self.multiple) * self.multiple
        batch: dict[str, Any] = {}
        fills = {"input_ids": self.pad_id, "attention_mask": 0, "token_type_ids": 0}
        if "position_ids" in features[0]:
            fills = {"input_ids": self.pad_id}
            batch["position_ids"] = torch.from_numpy(self._positions(features, width))
        if self.label_kind == "tokens":
            fills["labels"] = IGNORED
        for name, fill in fills.items():
            if name not in features[0]:
                continue
            filled = np.full((len(features), width), fill, dtype=np.int64)
            for number, row in enumerate(features):
                values = row[name]
                if self.side == "left":
                    filled[number, width - len(values) :] = values
                else:
                    filled[number, : len(values)] = values
            batch[name] = torch.from_numpy(filled)
        if self.label_kind != "tokens" and "labels" in features[0]:
            kind = np.int64 if self.label_kind == "int" else np.float32
            batch["labels"] = torch.from_numpy(np.asarray([row["labels"] for row in features], dtype=kind))
        return batch

    @staticmethod
    def _positions(features: Sequence[dict[str, Any]], width: int) -> Any:
        """Positions that start again in each packed part; the padding is a part of its own."""
        import numpy as np

        filled = np.zeros((len(features), width), dtype=np.int64)
        for number, row in enumerate(features):
            values = row["position_ids"]
            filled[number, : len(values)] = values
            filled[number, len(values) :] = np.arange(width - len(values))
        return filled
