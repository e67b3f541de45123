"""What this machine can calculate with. Torch free."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_BF16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
_INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm", "asimddp"}


@dataclass(frozen=True)
class Hardware:
    """``bf16`` and ``int8``: whether the CPU has instructions that make the format faster than fp32."""

    cpu: str
    machine: str
    cores: int
    bf16: bool
    int8: bool


def find_hardware() -> Hardware:
    """This machine, as far as the system says."""
    name, flags = platform.processor() or platform.machine(), set()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags = set(value.split())
            break
    return Hardware(name, platform.machine(), usable_cores(), bool(flags & _BF16_FLAGS), bool(flags & _INT8_FLAGS))


def usable_cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
