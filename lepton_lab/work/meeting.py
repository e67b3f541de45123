"""The ranks of one host meet without a port: the agent of ``torch.distributed.run`` needs no other host."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from torch.distributed import FileStore
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.api import RendezvousStoreInfo

ONE_HOST = "lepton-one-host"


class OneHost(RendezvousHandler):  # type: ignore[misc]
    """The only host is there at once. torch's own meetings listen on every interface, without a password."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._folder = tempfile.TemporaryDirectory(prefix="lepton-meeting-")

    def get_backend(self) -> str:
        """The name that is asked for."""
        return ONE_HOST

    def next_rendezvous(self) -> RendezvousInfo:
        """Host 0 of 1."""
        store = FileStore(str(Path(self._folder.name) / "agent"), 1)
        return RendezvousInfo(store, 0, 1, RendezvousStoreInfo("localhost", 0))

    def is_closed(self) -> bool:
        """It never closes."""
        return False

    def set_closed(self) -> None:
        """Nobody else is coming."""

    def num_nodes_waiting(self) -> int:
        """Nobody."""
        return 0

    def get_run_id(self) -> str:
        """The agent's name for the run."""
        return self._run_id

    def shutdown(self) -> bool:
        """Forget the meeting."""
        self._folder.cleanup()
        return True


def register_one_host() -> None:
    """Make the meeting known to torch by its name."""

    def make(parameters: RendezvousParameters) -> Any:
        return OneHost(parameters.run_id)

    rendezvous_handler_registry.register(ONE_HOST, make)
