"""What people see of a run: static card, live dashboard, figures, report. Draws views; computes no state."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .card import card_html, card_text
    from .hosts import Host, find_host
    from .show import show_run

__all__ = ["Host", "card_html", "card_text", "find_host", "show_run"]

_HOMES = {"Host": "hosts", "find_host": "hosts", "card_html": "card", "card_text": "card", "show_run": "show"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
