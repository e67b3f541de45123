"""The number format of the arithmetic, chosen from the hardware."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from ...errors import Problem, RecipeError

_X86_BF16 = ("amx_bf16", "avx512_bf16")
_ARM_BF16 = ("bf16",)


@dataclass(frozen=True)
class Precision:
    """``name`` is ``fp32``, ``bf16`` or ``fp16``; ``device`` ``cpu``, ``cuda`` or ``mps``; ``reason`` is for people."""

    name: str
    device: str
    reason: str

    @property
    def dtype(self) -> str:
        """The torch name of the format."""
        return {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}[self.name]

    @property
    def width_multiple(self) -> int:
        """What a batch's width should be a multiple of: GPUs multiply in tiles of eight; on a
        processor each column of padding costs its time and no tile is won."""
        return 8 if self.device == "cuda" else 1


def choose_precision(wanted: str = "auto", device: str | None = None) -> Precision:
    """The format to train in on ``device`` (default: the best there is).

    Raises :class:`~lepton_lab.errors.RecipeError` for a format that the device cannot train in.
    """
    device = device or find_device()
    if wanted != "auto":
        return _check_wanted(wanted, device)
    if device == "cuda":
        import torch

        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision("bf16", device, f"{name} multiplies bf16 natively")
        return Precision("fp16", device, f"{name} has no bf16; fp16 with loss scaling")
    if device == "mps":
        return Precision("fp32", device, "mixed precision on Apple GPUs is not proven yet")
    feature = cpu_bf16_feature()
    if feature:
        return Precision("bf16", device, f"this CPU has {feature}, which multiplies bf16 faster than fp32")
    return Precision("fp32", device, "this CPU has no bf16 instructions, so bf16 would be slower")


def find_device() -> str:
    """``cuda``, ``mps`` or ``cpu``: what a Trainer picks by itself."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def cpu_bf16_feature() -> str:
    """The CPU instruction set that multiplies bf16 (``avx512_bf16``, ``amx_bf16``, ``bf16``), or an empty string."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    word = "flags" if platform.machine().lower() in ("x86_64", "amd64") else "Features"
    line = next((each for each in text.splitlines() if each.startswith(word)), "")
    flags = set(line.partition(":")[2].split())
    return next((each for each in (_X86_BF16 if word == "flags" else _ARM_BF16) if each in flags), "")


def _check_wanted(wanted: str, device: str) -> Precision:
    if wanted == "fp16" and device != "cuda":
        do = "Set --precision bf16, fp32 or auto."
        raise RecipeError(Problem(f"fp16 training needs a CUDA GPU, not {device}", "'fp16'", do, "train.precision"))
    if wanted == "bf16" and device == "cpu" and not cpu_bf16_feature():
        return Precision(wanted, device, "as asked; this CPU has no bf16 instructions, so fp32 may be faster")
    return Precision(wanted, device, "as asked")
