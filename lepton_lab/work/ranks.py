"""What a process of a gang shares with the others: agreements, whose turn it is, and one voice."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..record import Event, EventWriter

_LAST_WORDS = "lepton/last-words/{}"
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

    Small words go over a group of their own on the CPU, so that no GPU waits for them. ``store`` is where ranks on
    several hosts met; it is kept by the first host's leader and outlives the ranks.
    """

    rank: int
    count: int
    local: int
    words: Any
    store: Any = None

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
        place = None
        if not store:
            address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
            place = distributed.TCPStore(*address, is_master=False, wait_for_workers=False)
        return cls(rank, count, local, distributed.new_group(backend=_CPU_BACKEND), place)

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

    def spread(self, tensors: Iterable[Any]) -> None:
        """Give every rank what rank 0 has in these tensors."""
        from torch import distributed

        for each in tensors:
            distributed.broadcast(each, 0)

    def exchange_last_words(self, outcome: dict[str, Any]) -> dict[int, dict[str, Any]]:
        """Leave word of how this rank failed; what ranks elsewhere have left, by rank.

        One that fails says so before its connections close, so who failed for that reason finds the cause.
        """
        found: dict[int, dict[str, Any]] = {}
        if self.store is None:
            return found  # the others' are in the attempt's folder
        with contextlib.suppress(RuntimeError):  # the first host has gone: nobody is left to hear it
            self.store.set(_LAST_WORDS.format(self.rank), json.dumps({**outcome, "time": time.time()}))
            for rank in range(self.count):
                if rank != self.rank and self.store.check([_LAST_WORDS.format(rank)]):
                    found[rank] = json.loads(self.store.get(_LAST_WORDS.format(rank)))
        return found

    def leave(self) -> None:
        """Part in peace: nobody takes the other's end for a fault."""
        from torch import distributed

        self.wait()
        distributed.destroy_process_group()
