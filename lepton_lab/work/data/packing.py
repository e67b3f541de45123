"""Several short rows in one sequence, none of which sees another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ModelError, Problem
from .collator import IGNORED

if TYPE_CHECKING:
    import datasets

_ROUNDINGS = 4


def pack(rows: datasets.Dataset, max_length: int) -> datasets.Dataset:
    """Rows joined up to ``max_length`` tokens, longest first into the fullest sequence that has room.

    ``position_ids`` start again with each row: that is how the model keeps them apart. A row's first
    token is never learnt, because what stands before it is another row's.
    """
    from .encoding import dataset_of

    ids, labels = rows["input_ids"], rows["labels"]
    columns: dict[str, list[Any]] = {"input_ids": [], "position_ids": [], "labels": [], "length": []}
    for bin_rows in _fill([len(row) for row in ids], max_length):
        columns["input_ids"].append([token for number in bin_rows for token in ids[number]])
        columns["position_ids"].append([place for number in bin_rows for place in range(len(ids[number]))])
        columns["labels"].append([label for number in bin_rows for label in [IGNORED, *labels[number][1:]]])
        columns["length"].append(len(columns["input_ids"][-1]))
    return dataset_of(columns)


def _fill(lengths: list[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing: rows by sequence; sequences in the order of their first row."""
    import bisect

    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, sequence), sorted
    for number in sorted(range(len(lengths)), key=lambda each: (-lengths[each], each)):
        place = bisect.bisect_left(room, (lengths[number], -1))
        if place < len(room):
            free, chosen = room.pop(place)
        else:
            free, chosen = capacity, len(bins)
            bins.append([])
        bins[chosen].append(number)
        bisect.insort(room, (free - lengths[number], chosen))
    return sorted(sorted(each) for each in bins)


def check_packing(model: Any) -> None:
    """Refuse a model that lets packed rows see each other: what it says of one row must not hang on the row before.

    Both answers come from inputs of one shape, so that they differ by next to no rounding, also in bf16. Raises
    :class:`ModelError`. The masks come from transformers, which makes them from ``position_ids`` for models that use
    its mask functions; others (state-space models, old code) ignore them.
    """
    import torch

    device = next(model.parameters()).device
    size = int(model.config.get_text_config().vocab_size)
    generator = torch.Generator().manual_seed(0)
    first, other, second = (torch.randint(size, (1, length), generator=generator).to(device) for length in (5, 5, 7))
    positions = torch.cat([torch.arange(5), torch.arange(7)])[None].to(device)

    def answers(before: Any) -> Any:
        return model(input_ids=torch.cat([before, second], 1), position_ids=positions).logits[:, 5:].float()

    was_training = model.training
    model.eval()
    with torch.no_grad():
        one, another = answers(first), answers(other)
    model.train(was_training)
    difference = float((one - another).abs().max())
    step = max(torch.finfo(each.dtype).eps for each in model.parameters() if each.is_floating_point())
    if difference > _ROUNDINGS * step * float(one.abs().max()):
        got = f"answers that differ by {difference:.2g} behind another row"
        kind = type(model).__name__
        do = "Set --no-packing; group_by_length already keeps padding small."
        raise ModelError(Problem(f"{kind} lets packed rows see each other", got, do, "train.packing"))
