"""The rows a run learns from, is steered by, and is judged on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from ..errors import Problem

ProblemType = Literal["single_label", "multi_label", "regression"]
SPLIT_NAMES = ("train", "validation", "test")


@dataclass
class Splits:
    """Three tables with canonical column names only.

    ``text``, ``text_pair``, ``prompt``, ``completion`` are strings; ``tokens`` and ``tags`` are lists
    of strings; ``messages`` is a list of ``{role, content}``; ``label`` is a string (single_label),
    a list of strings (multi_label) or a float64 (regression).

    ``mapping`` says which column of the user's data each canonical one came from; ``labels`` are the
    class names in order, None without classes. ``source`` tells where the rows came from: ``uri``,
    ``digest``, ``format``, ``encoding``, ``licence``, ``columns``, ``rows``, ``dropped`` (rows left
    out, by reason) and ``cut`` (the splits that were cut from the training rows). ``complete`` is
    False when only the head of a huge file was read, as the checks before a run do.
    """

    train: pa.Table
    validation: pa.Table
    test: pa.Table
    mapping: dict[str, str] = field(default_factory=dict)
    labels: list[str] | None = None
    problem_type: ProblemType | None = None
    warnings: list[Problem] = field(default_factory=list)
    source: dict[str, Any] = field(default_factory=dict)
    complete: bool = True

    def items(self) -> Iterator[tuple[str, pa.Table]]:
        """The splits by name: train, validation, test."""
        for name in SPLIT_NAMES:
            yield name, getattr(self, name)
