"""Eager: the model as torch runs it, operator by operator. The reference of all others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..tasks.task import ModelSpec
from .backend import Backend, Request, Runner, read_manifest

if TYPE_CHECKING:
    from typing import Any

    from .hardware import Hardware


class Eager(Backend):
    """PyTorch without a compiler."""

    def __init__(self) -> None:
        super().__init__(
            name="eager", title="PyTorch eager", licence="BSD-3-Clause", packages=("torch",), generates=True
        )

    def precisions(self, hardware: Hardware) -> list[str]:
        return ["fp32", "bf16"] if hardware.bf16 else ["fp32"]

    def build(self, request: Request, out_dir: Path) -> None:
        from .torch_model import save_torch_model

        save_torch_model(request, out_dir)

    def load(self, folder: Path, threads: int) -> Runner:
        from .torch_model import TorchRunner, load_torch_model

        manifest = read_manifest(folder)
        model = load_torch_model(folder, ModelSpec.load(folder), manifest["precision"])
        return TorchRunner(model, manifest["inputs"], threads)


def load_trained(folder: Path, tokenizer: Any, threads: int) -> Runner:
    """A runner of a trained folder itself, in fp32: the reference, and the answer before any compilation."""
    from .padding import input_names
    from .torch_model import TorchRunner, forward_names, load_torch_model

    model = load_torch_model(folder, ModelSpec.load(folder))
    return TorchRunner(model, input_names(tokenizer, forward_names(model)), threads)
