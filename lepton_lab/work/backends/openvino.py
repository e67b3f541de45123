"""OpenVINO: Intel's runtime, in fp32 or with bf16 arithmetic."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .backend import Backend, Request, Runner, check_installed, read_manifest
from .onnxruntime import check_batch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .backend import Logits
    from .hardware import Hardware

_MODEL_FILE = "openvino_model.xml"
_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVino(Backend):
    """Intel's runtime; answers without torch. One file serves both formats: the arithmetic is a hint at loading."""

    def __init__(self) -> None:
        super().__init__(
            name="openvino", title="OpenVINO", extra="openvino", licence="Apache-2.0", packages=("openvino",)
        )

    def precisions(self, hardware: Hardware) -> list[str]:
        return ["fp32", "bf16"] if hardware.bf16 else ["fp32"]

    def build(self, request: Request, out_dir: Path) -> None:
        converted = request.scratch / "openvino"
        if not converted.exists():
            _convert(request, converted)
        for path in converted.iterdir():
            shutil.copyfile(path, out_dir / path.name)

    def load(self, folder: Path, threads: int) -> Runner:
        check_installed(self)
        openvino = import_openvino()
        manifest = read_manifest(folder)
        compiled = openvino.Core().compile_model(
            folder / _MODEL_FILE,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": _HINTS[manifest["precision"]],
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
            },
        )
        return OpenVinoRunner(compiled, manifest["inputs"])


class OpenVinoRunner:
    """Answers through one OpenVINO infer request."""

    def __init__(self, compiled: Any, names: list[str]) -> None:
        self._request = compiled.create_infer_request()
        self._names = tuple(names)
        self._used = {port.any_name for port in compiled.inputs}

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._names

    def __call__(self, **batch: NDArray[np.int64]) -> Logits:
        check_batch(batch, self._names)
        found = self._request.infer({name: batch[name] for name in self._used}, share_inputs=True)
        logits: Logits = found[0]
        return logits

    def close(self) -> None:
        self._request = None


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """Importing openvino sends usage data through ``openvino_telemetry`` where that can be imported."""
    name = "openvino_telemetry"
    absent = object()
    before: Any = sys.modules.get(name, absent)
    sys.modules[name] = None  # type: ignore[assignment] # an import of it now fails, and openvino takes its stub
    try:
        yield
    finally:
        if before is absent:
            del sys.modules[name]
        else:
            sys.modules[name] = before


def import_openvino() -> Any:
    """The openvino package, with its telemetry off."""
    with _without_telemetry():
        import openvino
        import openvino.tools.ovc
    return openvino


def _convert(request: Request, folder: Path) -> None:
    """Write OpenVINO's own form of the model, weights in fp32, any number of rows and tokens."""
    from .torch_model import export_program, quiet

    openvino = import_openvino()
    program = export_program(request)
    with quiet(), _without_telemetry():
        model = openvino.convert_model(program)
    for port, name in zip(model.inputs, request.example, strict=True):
        port.get_tensor().set_names({name})
    temporary = folder.with_name("openvino.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    openvino.save_model(model, temporary / _MODEL_FILE, compress_to_fp16=False)
    temporary.rename(folder)
