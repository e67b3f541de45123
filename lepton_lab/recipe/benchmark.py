"""How to measure a model."""

from __future__ import annotations

from pydantic import ValidationInfo, field_validator

from .option import option, short
from .section import Section


class BenchmarkConfig(Section):
    """Shapes and repetitions of a latency measurement."""

    batch_sizes: list[int] = option([1, 8], "Rows a request.")
    lengths: list[int] = option([32, 128], "Tokens a row.")
    repeats: int = option(50, "Timed requests a shape.", ge=5)
    warmup: int = option(5, "Requests before the clock starts.", ge=0)
    baseline: bool = option(True, "Measure the uncompiled model beside it, interleaved.")
    max_new_tokens: int = option(32, "Tokens to generate a request (text generation).", ge=1)

    @field_validator("batch_sizes", "lengths")
    @classmethod
    def _check_shapes(cls, sizes: list[int], info: ValidationInfo) -> list[int]:
        if not sizes or min(sizes) < 1:
            raise ValueError(f"{info.field_name} must be whole numbers from 1 on|{short(sizes)}")
        return sizes
