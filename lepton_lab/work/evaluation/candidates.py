"""Candidates: every backend × precision that was asked for, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...registry import backend_names, load_backend
from ..backends.backend import Backend
from ..backends.hardware import Hardware
from ..tasks.task import Task
from .latency import Timing
from .parity import Verdict

REFERENCE = ("eager", "fp32")
"""What every candidate is compared with."""

# The slow compilers come last, so that a run that is stopped has shown the others.
_LAST = ("inductor",)


@dataclass
class Candidate:
    """One backend in one precision.

    ``status``: ``waiting``, ``ok`` (it answers; ``verdict`` says how well), ``failed``, ``missing`` (a package),
    ``unavailable`` (something else), ``unsupported`` (it cannot take the task or has not the precision).
    ``asked`` is false for the reference where it only comes along.
    """

    backend: Backend
    precision: str
    status: str = "waiting"
    reason: str = ""
    asked: bool = True
    verdict: Verdict | None = None
    latency: Timing | None = None
    speedup: tuple[float, float, float] | None = None
    size_bytes: int = 0
    compile_seconds: float | None = None
    load_seconds: float | None = None

    @property
    def key(self) -> str:
        """``backend-precision``."""
        return f"{self.backend.name}-{self.precision}"

    @property
    def is_reference(self) -> bool:
        """Whether it is the model as it was trained."""
        return (self.backend.name, self.precision) == REFERENCE

    def row(self) -> dict[str, Any]:
        """The candidate as a row of the report; what is not known is null."""
        verdict, latency = self.verdict, self.latency
        return {
            "backend": self.backend.name,
            "precision": self.precision,
            "status": self.status,
            "verdict": verdict.verdict if verdict else None,
            "latency_ms": latency.p50_ms if latency else None,
            "speedup": self.speedup[0] if self.speedup else None,
            "metric": verdict.candidate if verdict else None,
            "difference_points": verdict.difference_points if verdict else None,
            "bound_points": verdict.bound_points if verdict else None,
            "agreement": verdict.agreement if verdict else None,
            "max_logit_difference": verdict.max_logit_difference if verdict else None,
            "size_mb": round(self.size_bytes / 2**20, 2) if self.size_bytes else None,
            "reason": self.reason,
            "rows_needed": verdict.rows_needed if verdict else None,
            "lossless": verdict.lossless if verdict else None,
            "latency_interval_ms": [latency.p50_low_ms, latency.p50_high_ms] if latency else None,
            "latency": latency.to_dict() if latency else None,
            "speedup_interval": list(self.speedup[1:]) if self.speedup else None,
            "compile_seconds": self.compile_seconds,
            "load_seconds": self.load_seconds,
            "licence": self.backend.licence,
            "method": verdict.method if verdict else None,
        }


def list_candidates(backend: str, precision: str, task: Task, hardware: Hardware) -> list[Candidate]:
    """What ``--backend`` and ``--precision`` ask for, with those that cannot be tried and why.

    The reference (eager fp32) comes first, asked for or not.
    """
    eager = load_backend(REFERENCE[0])
    wanted = backend == "auto" or backend == REFERENCE[0]
    found = [Candidate(eager, REFERENCE[1], asked=wanted and precision in ("auto", REFERENCE[1]))]
    names = backend_names() if backend == "auto" else [backend]
    for name in sorted(names, key=lambda each: (each in _LAST, each)):
        found += [each for each in _of_backend(load_backend(name), precision, task, hardware) if not each.is_reference]
    return found


def _of_backend(backend: Backend, precision: str, task: Task, hardware: Hardware) -> list[Candidate]:
    missing = backend.missing()
    offered = backend.precisions(hardware)
    shown = precision if precision != "auto" else "auto"
    if missing:
        reason = f"needs {', '.join(missing)}; run: {backend.install_command()}"
        return [Candidate(backend, shown, "missing", reason)]
    if backend.obstacle():
        return [Candidate(backend, shown, "unavailable", backend.obstacle())]
    if backend.refusal(task):
        return [Candidate(backend, shown, "unsupported", backend.refusal(task))]
    if precision == "auto":
        return [Candidate(backend, each) for each in offered]
    if precision not in offered:
        return [Candidate(backend, precision, "unsupported", f"here it has {', '.join(offered)}")]
    return [Candidate(backend, precision)]


def pick_fastest(candidates: list[Candidate]) -> Candidate:
    """The fastest that passed; the reference always passes. Speed is relative to the reference, timed beside it."""
    passed = [each for each in candidates if each.verdict is not None and each.verdict.verdict == "pass"]
    reference = next(each for each in candidates if each.is_reference)
    if not any(each.speedup for each in passed):
        return reference
    return max((each for each in passed if each.speedup), key=lambda each: each.speedup[0] if each.speedup else 0.0)
