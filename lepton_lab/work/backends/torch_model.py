"""The trained model as torch has it: what every backend starts from. Its functions import torch."""

from __future__ import annotations

import contextlib
import inspect
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ModelError, Problem
from ...registry import load_task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..tasks.task import ModelSpec
    from .backend import Batch, Logits, Request

_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def load_torch_model(folder: Path, spec: ModelSpec, precision: str = "fp32") -> Any:
    """The model of a folder in ``precision``, in evaluation mode, on the CPU. Raises :class:`ModelError`."""
    import torch
    import transformers

    auto_class = getattr(transformers, load_task(spec.task).auto_class)
    try:
        with quiet():
            model, found = auto_class.from_pretrained(
                folder, dtype=getattr(torch, _DTYPES[precision]), use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(Problem("the trained model cannot be loaded", first, f"Look into {folder}.")) from error
    if found["missing_keys"]:
        # Fresh weights would answer at random.
        names = ", ".join(sorted(str(each) for each in found["missing_keys"])[:3])
        raise ModelError(Problem("the trained model lacks weights", names, f"Look into {folder}; train again."))
    return model.eval().requires_grad_(False)


def save_torch_model(request: Request, out_dir: Path) -> None:
    """The weights in the request's precision as a model folder; unchanged files are copied byte by byte."""
    if request.precision == "fp32":
        for path in (*request.model_dir.glob("*.safetensors"), *request.model_dir.glob("*.safetensors.index.json")):
            shutil.copyfile(path, out_dir / path.name)
        for name in ("config.json", "generation_config.json"):
            if (request.model_dir / name).exists():
                shutil.copyfile(request.model_dir / name, out_dir / name)
        return
    with quiet():
        load_torch_model(request.model_dir, request.spec, request.precision).save_pretrained(out_dir)


def forward_names(model: Any) -> list[str]:
    """The names of the arguments that the model's ``forward`` takes."""
    return list(inspect.signature(model.forward).parameters)


def logits_module(model: Any, names: Sequence[str]) -> Any:
    """A module that takes the inputs ``names`` in order and gives the logits alone: what compilers take."""
    import torch

    class LogitsOnly(torch.nn.Module):  # type: ignore[misc] # torch is Any to mypy
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> Any:
            options = {"use_cache": False} if "use_cache" in forward_names(model) else {}
            return self.model(**dict(zip(names, inputs, strict=True)), **options).logits

    return LogitsOnly().eval()


def tensors_of(batch: Mapping[str, NDArray[np.int64]], names: Sequence[str]) -> tuple[Any, ...]:
    """The arrays of a batch as tensors, in the order of ``names``. Raises KeyError, TypeError for a wrong batch."""
    import torch

    unknown = set(batch) - set(names)
    if unknown:
        raise TypeError(f"the model takes {', '.join(names)}, not {', '.join(sorted(unknown))}")
    return tuple(torch.from_numpy(batch[name]) for name in names)


def export_program(request: Request) -> Any:
    """``torch.export`` of the logits, with any number of rows and of tokens up to the model's positions."""
    import torch

    model = load_torch_model(request.model_dir, request.spec)
    names = list(request.example)
    rows = torch.export.Dim("rows", min=1, max=4096)
    tokens = torch.export.Dim("tokens", min=1, max=longest(model.config))
    shapes = (tuple({0: rows, 1: tokens} for _ in names),)
    with quiet(), torch.inference_mode(False), torch.no_grad():
        return torch.export.export(
            logits_module(model, names), tensors_of(request.example, names), dynamic_shapes=shapes, strict=False
        )


def longest(config: Any) -> int:
    """The most tokens that a model with this configuration has positions for."""
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 0
    offset = 2 if config.model_type in ("roberta", "xlm-roberta", "camembert", "longformer") else 0
    return int(positions) - offset if positions else 4096


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep progress bars and warnings of libraries about themselves out of the user's output."""
    import transformers

    bars = transformers.utils.logging.is_progress_bar_enabled()
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "transformers", "onnxscript")]
    levels = [each.level for each in loggers]
    transformers.utils.logging.disable_progress_bar()
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
        if bars:
            transformers.utils.logging.enable_progress_bar()


def as_logits(tensor: Any) -> Logits:
    """A tensor as a float32 array."""
    array: Logits = tensor.float().numpy()
    return array


class TorchRunner:
    """Answers through a torch module, or through what compiled it."""

    def __init__(self, model: Any, names: Sequence[str], threads: int, function: Any = None) -> None:
        self._model = model
        self._function = logits_module(model, names) if function is None else function
        self._names = tuple(names)
        self._threads = threads

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._names

    def __call__(self, **batch: NDArray[np.int64]) -> Logits:
        with self._ready():
            return as_logits(self._function(*tensors_of(batch, self._names)))

    def generate(self, batch: Batch, max_new_tokens: int, **options: Any) -> list[list[int]]:
        """The new tokens of each row, greedy unless ``options`` of ``model.generate`` say otherwise."""
        ends = self._model.generation_config.eos_token_id
        ends = {ends} if isinstance(ends, int) else set(ends or ())
        options = {"do_sample": False, **options}
        if options.get("pad_token_id") is None:
            options["pad_token_id"] = self._model.config.pad_token_id or next(iter(ends), 0)
        width = batch["input_ids"].shape[1]
        inputs = dict(zip(self._names, tensors_of(batch, self._names), strict=True))
        with self._ready(), quiet():
            written = self._model.generate(**inputs, max_new_tokens=max_new_tokens, **options)[:, width:].tolist()
        rows = []
        for row in written:
            end = next((place for place, token in enumerate(row) if token in ends), len(row))
            rows.append(row[:end])
        return rows

    def close(self) -> None:
        self._model = self._function = None

    @contextlib.contextmanager
    def _ready(self) -> Iterator[None]:
        import torch

        # The number belongs to the process: another runner may have changed it.
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        with torch.inference_mode():
            yield
