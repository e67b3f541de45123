"""How to make the trained model fast."""

from __future__ import annotations

from typing import Literal

from .option import option
from .section import Section


class CompileConfig(Section):
    """Backends to try and what they may cost."""

    backend: str = option("auto", "auto tries those installed; or the name of one backend.")
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = option(
        "auto", "Number format to compile to; auto tries what the backend and the hardware have."
    )
    tolerance: float = option(
        0.5, "Points of the task's metric that the compiled model may lose (one-sided 95 % bound).", ge=0, le=100
    )
    threads: int | None = option(None, "Threads of the compiled model. Default: the cores the run was given.", ge=1)
    latency_batch_size: int = option(1, "Rows a request when candidates are timed.", ge=1, advanced=True)
    max_validation_rows: int = option(2000, "Validation rows used to choose.", ge=1, advanced=True)
    max_test_rows: int = option(5000, "Test rows used for the verdict.", ge=1, advanced=True)
