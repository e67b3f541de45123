"""The Jupyter Server extension: REST and one WebSocket a page, under ``lepton/api``.

Reads the run folders itself, so that live views need no kernel. Kernels that this
server starts find ``LEPTON_JUPYTER_SERVER`` (the server's process id) and
``LEPTON_JUPYTER_SERVER_HOME`` in their environment: that is how a cell knows that a
browser can draw its run. Loads neither torch nor dask nor plotly.
"""

from __future__ import annotations

from typing import Any

from .extension import LeptonLab

__all__ = ["LeptonLab"]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    """Called once by Jupyter Server when it starts."""
    LeptonLab(parent=serverapp).start(serverapp.web_app)
