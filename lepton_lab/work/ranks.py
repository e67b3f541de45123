"""What a process of a gang shares with the others: agreements, whose turn it is, and one voice."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..record import Event, EventWriter

_CPU_BACKEND = "gloo"
_GPU_BACKEND = "nccl"


class Silence(EventWriter):
    """The events of a rank that is not the first: what it sees the first sees too, and says."""

    def __init__(self, run: str, attempt: int) -> None:
        self._about = (run, attempt, "nobody")

    def write(self, kind: Any, **body: Any) -> Event:
        """Nothing is written."""
        return Event(*self._about, 0, time.time(), kind, body)

    def sync(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among ``count`` that train one model; ``local`` is its number on its host.

    Small words go over a group of their own on the CPU, so that no GPU waits for them.
    """

    rank: int
    count: int
    local: int
    words: Any

    @classmethod
    def join(cls, store: str | None) -> Ranks:
        """Meet the others: through the file ``store`` on one host, else where the launcher says."""
        import torch
        from torch import distributed

        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        local = int(os.environ["LOCAL_RANK"])
        backend = _CPU_BACKEND
        if torch.cuda.is_available():
            torch.cuda.set_device(local)
            backend = _GPU_BACKEND
        meeting = f"file://{store}" if store else "env://"
        distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=count)
        return cls(rank, count, local, distributed.new_group(backend=_CPU_BACKEND))

    def most(self, *numbers: int) -> list[int]:
        """The largest of what each rank says, number by number: every rank gets the same answer."""
        import torch
        from torch import distributed

        said = torch.tensor(numbers)
        distributed.all_reduce(said, distributed.ReduceOp.MAX, group=self.words)
        found: list[int] = said.tolist()
        return found

    def wait(self) -> None:
        """Go on when every rank has come here."""
        self.most(0)

    @contextlib.contextmanager
    def first_on_host_first(self) -> Iterator[None]:
        """What the first rank of a host does here, the others find done."""
        if self.local > 0:
            self.wait()
        yield
        if self.local == 0:
            self.wait()

    def gather(self, value: bytes) -> list[bytes]:
        """What every rank has, in their order; empty except at rank 0."""
        from torch import distributed

        found: list[Any] | None = [None] * self.count if self.rank == 0 else None
        distributed.gather_object(value, found, group=self.words)
        return found or []

    def leave(self) -> None:
        """Part in peace: nobody takes the other's end for a fault."""
        from torch import distributed

        self.wait()
        distributed.destroy_process_group()
