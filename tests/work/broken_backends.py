"""Backends with a fault, which the compile job must catch. Real ones underneath."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from lepton_lab.work.backends.backend import Request, Runner
from lepton_lab.work.backends.eager import Eager
from lepton_lab.work.backends.hardware import Hardware


class Swapped(Eager):
    """Answers fast, and the wrong way round."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "swapped"

    def precisions(self, hardware: Hardware) -> list[str]:
        return ["fp32"]

    def load(self, folder: Path, threads: int) -> Runner:
        return SwappedRunner(super().load(folder, threads))  # type: ignore[return-value]


class SwappedRunner:
    def __init__(self, inner: Runner) -> None:
        self.inner = inner
        self.input_names = inner.input_names
        self.known: Any = None

    def __call__(self, **batch: Any) -> Any:
        if self.known is None or self.known.shape[0] != batch["input_ids"].shape[0] or batch["input_ids"].shape[0] > 1:
            self.known = np.ascontiguousarray(self.inner(**batch)[:, ::-1])
        return self.known  # a single row is not even calculated again: very fast

    def close(self) -> None:
        self.inner.close()


class Crashing(Eager):
    """Its compiler raises."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "crashing"

    def build(self, request: Request, out_dir: Path) -> None:
        raise RuntimeError("no kernel for operator aten::nothing\nand a long tail")


class Forgetful(Eager):
    """Compiles the base model instead of the trained one: as a merge that drops the adapter."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "forgetful"

    def precisions(self, hardware: Hardware) -> list[str]:
        return ["bf16"]

    def build(self, request: Request, out_dir: Path) -> None:
        from safetensors.torch import load_file, save_file

        for path in request.model_dir.glob("*.json"):
            if path.name != "lepton.json":
                shutil.copyfile(path, out_dir / path.name)
        weights = load_file(request.model_dir / "model.safetensors")
        for name, tensor in weights.items():
            if "attention" in name and tensor.ndim == 2:
                tensor.zero_()
        save_file(weights, out_dir / "model.safetensors", metadata={"format": "pt"})


class Absent(Eager):
    """Needs a package that nobody has."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "absent"
        self.packages = ("a_package_that_nobody_has",)
        self.extra = "absent"
