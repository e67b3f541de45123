"""ONNX Runtime: the model as an ONNX graph, in fp32 or with int8 matrix products."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .backend import Backend, Request, Runner, check_installed, read_manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .backend import Logits
    from .hardware import Hardware

_MODEL_FILE = "model.onnx"


class OnnxRuntime(Backend):
    """Microsoft's runtime for ONNX graphs; answers without torch."""

    def __init__(self) -> None:
        super().__init__(
            name="onnxruntime",
            title="ONNX Runtime",
            extra="onnx",
            licence="MIT",
            packages=("onnxruntime",),
            build_packages=("onnx", "onnxscript"),
        )

    def precisions(self, hardware: Hardware) -> list[str]:
        return ["fp32", "int8"]

    def depends_on_batch(self, precision: str) -> bool:
        # int8 activations are scaled by the largest value in the whole batch.
        return precision == "int8"

    def build(self, request: Request, out_dir: Path) -> None:
        exported = request.scratch / "onnx" / _MODEL_FILE
        if not exported.exists():
            export_onnx(request, exported)
        if request.precision == "fp32":
            for path in exported.parent.iterdir():
                shutil.copyfile(path, out_dir / path.name)
        else:
            _quantise(exported, out_dir / _MODEL_FILE)

    def load(self, folder: Path, threads: int) -> Runner:
        import onnxruntime

        check_installed(self, to_build=False)
        manifest = read_manifest(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin between requests take the cores from whoever comes next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        session = onnxruntime.InferenceSession(folder / _MODEL_FILE, options, providers=["CPUExecutionProvider"])
        return OnnxRunner(session, manifest["inputs"])


class OnnxRunner:
    """Answers through an ONNX Runtime session."""

    def __init__(self, session: Any, names: list[str]) -> None:
        self._session = session
        self._names = tuple(names)
        # The exporter drops inputs that cannot change the answer.
        self._used = {each.name for each in session.get_inputs()}

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._names

    def __call__(self, **batch: NDArray[np.int64]) -> Logits:
        check_batch(batch, self._names)
        logits: Logits = self._session.run(None, {name: batch[name] for name in self._used})[0]
        return logits

    def close(self) -> None:
        self._session = None


def check_batch(batch: dict[str, NDArray[np.int64]], names: tuple[str, ...]) -> None:
    """Raise TypeError unless the batch has exactly the inputs ``names``."""
    if set(batch) != set(names):
        raise TypeError(f"the model takes {', '.join(names)}, got {', '.join(sorted(batch))}")


def export_onnx(request: Request, path: Path) -> None:
    """Write the model as ONNX (torch's dynamo exporter), any number of rows and tokens."""
    import torch

    from .torch_model import export_program, quiet

    program = export_program(request)
    with quiet():
        graph = torch.onnx.export(
            program, dynamo=True, input_names=list(request.example), output_names=["logits"], verbose=False
        )
    temporary = path.parent.with_name("onnx.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    graph.save(temporary / path.name)
    temporary.rename(path.parent)


def _quantise(source: Path, target: Path) -> None:
    """Matrix products in int8: weights by output channel, activations by the batch at run time."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from .torch_model import quiet

    with quiet():
        quantize_dynamic(
            source, target, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"]
        )
