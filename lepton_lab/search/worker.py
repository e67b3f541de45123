"""The process of one attempt at a sweep: ``python -m lepton_lab.search.worker``, in a worker's place."""

from __future__ import annotations

from ..work.worker import main
from .controller import run

if __name__ == "__main__":
    main(run)
