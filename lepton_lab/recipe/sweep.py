"""How to search for good settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import field_validator

from .option import option
from .section import Section


class SweepConfig(Section):
    """What to vary, how often to try, and how to choose. See :mod:`lepton_lab.recipe.dimensions`."""

    search: list[str] = option(
        [],
        "A field and its values: lr=1e-5..1e-3:log (a range, here on a logarithmic scale), epochs=1..3 (whole "
        "numbers), lora_r=4,8,16 (choices).",
        whole=True,
    )
    trials: int | None = option(None, "Trials in all. Default: 20, or the whole grid with --sampler grid.", ge=1)
    parallel: int | None = option(None, "Trials at a time. Default: one for each free device.", ge=1)
    metric: str | None = option(None, "Validation metric that judges a trial. Default: the task's.")
    direction: Literal["auto", "maximize", "minimize"] = option(
        "auto", "Whether more or less of the metric is better; auto knows it."
    )
    sampler: Literal["tpe", "random", "grid"] = option(
        "tpe", "How values are chosen: learning from earlier trials, by chance, or every combination."
    )
    pruner: Literal["none", "median", "hyperband"] = option(
        "none", "Which trials are stopped early: none, those below the median of earlier ones, or by Hyperband."
    )
    timeout_minutes: float | None = option(
        None, "Start no trial after so long; those that run are finished.", gt=0, le=60 * 24 * 365
    )

    @field_validator("search", mode="before")
    @classmethod
    def _join(cls, search: Any) -> Any:
        """A mapping of names to values, as YAML and Python write it, is the same as a list of texts."""
        if not isinstance(search, Mapping):
            return search
        return [f"{name}={_words(values)}" for name, values in search.items()]


def _words(values: Any) -> str:
    if isinstance(values, (list, tuple)):
        return ",".join(_words(each) for each in values)
    return str(values).lower() if isinstance(values, bool) else str(values)
