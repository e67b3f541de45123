"""Tables as they were read, before anything is known about their columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass
class Raw:
    """The tables of one data set by split name (``train``, ``validation``, ``test``).

    ``typed`` is False when every cell is text (CSV). ``origin`` says what is known of where
    the rows came from: ``digest``, ``encoding``, ``licence``. ``complete`` is False when only
    the head was read.
    """

    tables: dict[str, pa.Table]
    format: str
    typed: bool = True
    origin: dict[str, Any] = field(default_factory=dict)
    complete: bool = True
