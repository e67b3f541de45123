"""Collects what is wrong with a data set, so that everything is said at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import Problem

_ROWS_NAMED = 5


@dataclass
class Notes:
    """Problems stop the run; warnings are shown and do not."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def error(self, what: str, got: str = "", do: str = "", where: str = "data.dataset") -> None:
        """Something that stops the run."""
        problem = Problem(what, got, do, where)
        if problem not in self.problems:
            self.problems.append(problem)

    def warn(self, what: str, got: str = "", do: str = "", where: str = "data.dataset") -> None:
        """Something that the user should know."""
        problem = Problem(what, got, do, where)
        if problem not in self.warnings:
            self.warnings.append(problem)


def name_rows(rows: Sequence[int]) -> str:
    """``rows 3, 7 and 9`` from row indices counted from 0; people count from 1, without the header."""
    numbers = [str(int(row) + 1) for row in rows[:_ROWS_NAMED]]
    if len(rows) == 1:
        return f"row {numbers[0]}"
    if len(rows) > _ROWS_NAMED:
        return f"rows {', '.join(numbers)} and {len(rows) - _ROWS_NAMED:,} more"
    return f"rows {', '.join(numbers[:-1])} and {numbers[-1]}"


def name_values(values: Iterable[object], most: int = 12) -> str:
    """``a, b, c and 5 more``."""
    words = [str(value) for value in values]
    text = ", ".join(words[:most])
    return f"{text} and {len(words) - most:,} more" if len(words) > most else text


def count_rows(count: int) -> str:
    """``1 row`` or ``1,234 rows``."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
