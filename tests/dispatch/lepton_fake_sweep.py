"""The real controller of sweeps, whose trials are done by the small worker."""

from __future__ import annotations

import sys

from lepton_lab.dispatch import handing
from lepton_lab.search.worker import main, run

if __name__ == "__main__":
    handing.WORKER_MODULE = "lepton_fake_worker"
    main(run)
    assert "torch" not in sys.modules
