"""Curves in little memory: 24 bytes a point."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field


class Column(array):  # type: ignore[type-arg]  # subscriptable only since Python 3.12
    """Numbers, eight bytes each, that compare and print as a list does."""

    @classmethod
    def of_integers(cls, values: Iterable[int] = ()) -> Column:
        """Whole numbers."""
        return cls("q", values)

    @classmethod
    def of_floats(cls, values: Iterable[float] = ()) -> Column:
        """Numbers of double precision."""
        return cls("d", values)

    def __eq__(self, other: object) -> bool:
        return self.tolist() == list(other) if isinstance(other, (list, array)) else NotImplemented

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self.tolist())


@dataclass(slots=True)
class Series:
    """One curve: the value of a metric at each step, each step once, steps rising."""

    steps: Column = field(default_factory=Column.of_integers)
    values: Column = field(default_factory=Column.of_floats)
    times: Column = field(default_factory=Column.of_floats)

    def put(self, step: int, value: float, when: float) -> None:
        """Add a point; a step that was computed again replaces what came from it on."""
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()
            self.times.pop()
        self.steps.append(step)
        self.values.append(value)
        self.times.append(when)

    def insert(self, step: int, value: float, when: float) -> None:
        """Add a point that comes late: points after it stay."""
        place = bisect_left(self.steps, step)
        if place == len(self.steps) or self.steps[place] != step:
            self.steps.insert(place, step)
            self.values.insert(place, value)
            self.times.insert(place, when)

    def cut(self, step: int) -> None:
        """Take back what came from this step on."""
        place = bisect_left(self.steps, step)
        del self.steps[place:], self.values[place:], self.times[place:]
