"""How many rows are held in memory at once, and how many make one update of the weights.

When memory runs out, the next attempt holds fewer rows at once and sums more batches before each
update: the rows of an update, and so the training, stay the same. Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ..errors import Problem
from .files import read_json, write_json
from .folder import AttemptFolder, RunFolder

Phase = Literal["train", "evaluate"]

_FILE = "batch.json"


@dataclass(frozen=True)
class BatchPlan:
    """``effective`` rows make an update; a device of ``ranks`` holds ``train`` of them at once, or ``evaluate`` rows.

    ``phase`` is what an attempt does now: it says which of the two was too many when memory ran out.
    """

    effective: int
    train: int
    evaluate: int
    ranks: int = 1
    phase: Phase = "train"

    @property
    def accumulation(self) -> int:
        """Batches that a device sums before each update."""
        return math.ceil(math.ceil(self.effective / self.ranks) / self.train)

    def shrunk(self) -> BatchPlan | None:
        """The plan that needs less memory in this phase; None if a batch of one row was too much."""
        if self.phase == "evaluate":
            return replace(self, evaluate=self.evaluate // 2) if self.evaluate > 1 else None
        return replace(self, train=self.train // 2) if self.train > 1 else None

    def write(self, attempt: AttemptFolder) -> None:
        """Keep the plan in the attempt's folder, for whoever has to make the next one."""
        write_json(attempt.path / _FILE, self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The fields, with the accumulation that follows from them."""
        return {**asdict(self), "accumulation": self.accumulation}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> BatchPlan:
        """The plan that :meth:`to_dict` gave."""
        return cls(**{name: value for name, value in values.items() if name != "accumulation"})


def plan_of(attempt: AttemptFolder) -> BatchPlan | None:
    """The plan of an attempt, or None when it did not come as far as to have one."""
    found = read_json(attempt.path / _FILE)
    return BatchPlan.from_dict(found) if found else None


def ran_out_of_memory(attempt: AttemptFolder) -> bool:
    """Whether an attempt ended because memory ran out: its worker says so, or whoever saw the system kill it."""
    words = (attempt.outcome(), attempt.ended())
    return any(word is not None and word.get("reason") == "memory" for word in words)


def can_shrink(attempt: AttemptFolder) -> bool:
    """Whether an attempt whose memory ran out can be followed by one that needs less."""
    plan = plan_of(attempt)
    return plan is not None and plan.shrunk() is not None


def next_plan(folder: RunFolder, first: BatchPlan, number: int) -> BatchPlan:
    """The plan of attempt ``number``: ``first``, made smaller for each earlier attempt that ran out of memory."""
    plan = first
    for attempt in folder.attempts():
        if attempt.number >= number:
            break
        had = plan_of(attempt)
        if had is not None and ran_out_of_memory(attempt):
            less = had.shrunk() or had
            plan = replace(plan, train=min(plan.train, less.train), evaluate=min(plan.evaluate, less.evaluate))
    return plan


def memory_problem(plan: BatchPlan) -> Problem:
    """What to say when not even one row fits."""
    if plan.phase == "evaluate":
        return Problem(
            "the memory does not hold the model and one row of the evaluation",
            f"a batch of {plan.evaluate}",
            "Set a smaller --max-length, or use a smaller model or a machine with more memory.",
            "data.max_length",
        )
    return Problem(
        "the memory does not hold the model, its gradients and one row",
        f"a batch of {plan.train}",
        "Set --gradient-checkpointing, a smaller --max-length or --peft lora, or use a smaller model.",
        "data.max_length",
    )
