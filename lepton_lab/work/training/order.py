"""Which rows make which update: the same whatever fits into memory, on any number of devices, in any attempt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from ...record import BatchPlan

# Epochs of one seed and of the next are different orders.
_EPOCHS_APART = 1_000_003


class UpdateBatches(Sampler):  # type: ignore[misc]
    """Lists of row numbers, one a batch of one device (``rank`` of ``plan.ranks``).

    An epoch's order follows from seed and epoch alone; ``plan.effective`` rows after each other make
    an update, and are dealt to the devices and cut into as many batches as memory asks for. Every
    device has the same number of batches; one without a row for it is empty. With ``lengths``, rows
    of an update are of similar length, and the longest are in the second update.
    """

    def __init__(self, rows: int, lengths: Sequence[int] | None, plan: BatchPlan, seed: int, rank: int = 0) -> None:
        self._rows, self._lengths, self._plan, self._seed, self._rank = rows, lengths, plan, seed, rank
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Which epoch's order comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        full, left = divmod(self._rows, self._plan.effective)
        return full * self._batches_of(self._plan.effective) + self._batches_of(left)

    def __iter__(self) -> Iterator[list[int]]:
        order, plan = self._order(), self._plan
        for start in range(0, self._rows, plan.effective):
            update = order[start : start + plan.effective]
            yield from _cut(update[self._rank :: plan.ranks], self._batches_of(len(update)))

    def _batches_of(self, rows: int) -> int:
        return math.ceil(math.ceil(rows / self._plan.ranks) / self._plan.train)

    def _order(self) -> list[int]:
        generator = torch.Generator().manual_seed(self._seed * _EPOCHS_APART + self._epoch)
        if self._lengths is None:
            order: list[int] = torch.randperm(self._rows, generator=generator).tolist()
            return order
        size = self._plan.effective
        order = list(get_length_grouped_indices(self._lengths, size, generator=generator))
        whole = [order[start : start + size] for start in range(0, self._rows - self._rows % size, size)]
        # As they come they go from long to short, which would bend the curve and every estimate of the time left.
        places = torch.randperm(len(whole), generator=generator).tolist()
        if len(places) > 1:
            # The longest rows are in the first: soon enough to show a lack of memory, behind a quick first step.
            longest = places.index(0)
            places[1], places[longest] = places[longest], places[1]
        return [row for place in places for row in whole[place]] + order[len(whole) * size :]


class UpdateLoader(DataLoader):  # type: ignore[misc]
    """Loads the batches of :class:`UpdateBatches`; draws nothing from the training's own random numbers."""

    def __init__(self, rows: Any, batches: UpdateBatches, collate: Any, pin_memory: bool) -> None:
        super().__init__(
            rows, batch_sampler=batches, collate_fn=collate, pin_memory=pin_memory, generator=torch.Generator()
        )


def _cut(rows: list[int], parts: int) -> Iterator[list[int]]:
    """``rows`` in ``parts`` runs whose lengths differ by one at most."""
    size, more = divmod(len(rows), max(parts, 1))
    start = 0
    for number in range(parts):
        end = start + size + (number < more)
        yield rows[start:end]
        start = end
