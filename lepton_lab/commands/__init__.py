"""One click tree. Commands return results; they do not print."""

from .completion import complete
from .seat import Seat
from .tree import cli, run_words

__all__ = ["Seat", "cli", "complete", "run_words"]
