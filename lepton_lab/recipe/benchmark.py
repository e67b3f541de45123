"""How to measure a model."""

from __future__ import annotations

from .option import option
from .section import Section


class BenchmarkConfig(Section):
    """Shapes and repetitions of a latency measurement."""

    batch_sizes: list[int] = option([1, 8], "Rows a request.")
    lengths: list[int] = option([32, 128], "Tokens a row.")
    repeats: int = option(50, "Timed requests a shape.", ge=5)
    warmup: int = option(5, "Requests before the clock starts.", ge=0)
    baseline: bool = option(True, "Measure the uncompiled model beside it, interleaved.")
    max_new_tokens: int = option(32, "Tokens to generate a request (text generation).", ge=1)
