"""From encoded rows to one batch of arrays, padded to its longest row. Torch free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..tasks.task import Features, Task


@dataclass(frozen=True)
class Padding:
    """How rows become a batch: the padding token, the side it goes to, and the inputs of the model."""

    pad_id: int
    side: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, tokenizer: Any, task: Task, names: Sequence[str]) -> Padding:
        """What the task's training used: tokens are padded on the right, texts where the tokenizer says."""
        pad = tokenizer.pad_token_id
        if pad is None:
            pad = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else 0
        by_token = task.generates or task.auto_class == "AutoModelForTokenClassification"
        return cls(int(pad), "right" if by_token else str(tokenizer.padding_side), tuple(names))

    def batch(self, rows: Sequence[Features], side: str | None = None) -> dict[str, NDArray[np.int64]]:
        """``[rows, tokens]`` of every input. An input that a row lacks (``token_type_ids``) is zero."""
        import numpy as np

        lengths = [len(row["input_ids"]) for row in rows]
        width = max(lengths)
        batch = {}
        for name in self.names:
            filled = np.full((len(rows), width), self.pad_id if name == "input_ids" else 0, dtype=np.int64)
            for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
                values = row.get(name)
                if values is None:
                    values = 1 if name == "attention_mask" else 0
                filled[number, self.span(length, width, side)] = values
            batch[name] = filled
        return batch

    def span(self, length: int, width: int, side: str | None = None) -> slice:
        """Where a row of ``length`` tokens lies in a batch ``width`` wide."""
        return slice(width - length, width) if (side or self.side) == "left" else slice(0, length)


def batches_by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Row numbers in batches of rows of similar length: little padding."""
    order = sorted(range(len(lengths)), key=lambda number: lengths[number])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def input_names(tokenizer: Any, forward_names: Sequence[str]) -> tuple[str, ...]:
    """The tokenizer's outputs that the model takes, ``token_type_ids`` too where it does:

    a compiled model that left them out would answer pairs of texts wrongly.
    """
    wanted = [name for name in tokenizer.model_input_names if name in forward_names]
    return tuple(dict.fromkeys(["input_ids", "attention_mask", *wanted]))
