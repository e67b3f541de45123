"""Inductor: ``torch.compile`` with generated C++. Needs a C++ compiler, when compiling and when loading."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import places
from ...errors import ModelError, Problem
from ..tasks.task import ModelSpec
from .backend import Backend, Request, Runner, check_installed, read_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .hardware import Hardware


class Inductor(Backend):
    """PyTorch's own compiler.

    What it makes lives in the process: the folder holds the weights, and every load traces the model
    again and takes the generated code from ``LEPTON_HOME/cache/inductor``, or generates it again
    where that is gone (seconds to a minute).
    """

    def __init__(self) -> None:
        super().__init__(
            name="inductor", title="PyTorch Inductor (torch.compile)", licence="BSD-3-Clause", packages=("torch",)
        )

    def obstacle(self) -> str:
        named = os.environ.get("CXX")
        if any(shutil.which(each) for each in ([named] if named else ["g++", "clang++"])):
            return ""
        return (
            "torch.compile needs a C++ compiler, and there is none. Install g++ or clang++ (Debian: apt install g++)."
        )

    def precisions(self, hardware: Hardware) -> list[str]:
        return ["fp32", "bf16"] if hardware.bf16 else ["fp32"]

    def build(self, request: Request, out_dir: Path) -> None:
        from .torch_model import save_torch_model

        save_torch_model(request, out_dir)
        # Proves that it compiles, and leaves the code in the cache for the load.
        model = self._model(out_dir, request.spec, request.precision)
        self._runner(model, list(request.example), request.threads).close()

    def load(self, folder: Path, threads: int) -> Runner:
        manifest = read_manifest(folder)
        check_installed(self)
        obstacle = self.obstacle()
        if obstacle:
            raise ModelError(Problem(obstacle))
        model = self._model(folder, ModelSpec.load(folder), manifest["precision"])
        return self._runner(model, manifest["inputs"], threads)

    def _model(self, folder: Path, spec: ModelSpec, precision: str) -> Any:
        from .torch_model import load_torch_model

        return load_torch_model(folder, spec, precision)

    def _runner(self, model: Any, names: Sequence[str], threads: int) -> Runner:
        """Compile and warm up. One row is a shape of its own to the compiler, so both kinds are shown to it."""
        import numpy as np
        import torch

        from .torch_model import TorchRunner, logits_module, quiet

        cache = places.cache_dir() / "inductor"
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)
        try:
            torch.set_num_threads(threads)
            # compile_threads: worker processes would outlive the job, and steal from what is timed.
            compiled = torch.compile(
                logits_module(model, names), dynamic=True, options={"freezing": True, "compile_threads": 1}
            )
            runner = TorchRunner(model, names, threads, compiled)
            with quiet():
                for shape in ((1, 9), (3, 17), (1, 24), (2, 12)):
                    ids = np.ones(shape, dtype=np.int64)
                    runner(**{name: ids if name in ("input_ids", "attention_mask") else 0 * ids for name in names})
        finally:
            if before is None:
                os.environ.pop("TORCHINDUCTOR_CACHE_DIR")
            else:
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = before
        return runner
