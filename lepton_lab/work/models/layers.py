"""Layers that LoRA can be added to, by the names of a model's tensors. Torch free: asked at submit."""

from __future__ import annotations

import difflib
import json
import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import Problem

_WHERE = "peft.target_modules"
# The length of a safetensors header is written in its first eight bytes; the format allows 100 MB.
_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 100_000_000
_POINTER = b"version https://git-lfs"


def check_target_modules(wanted: Sequence[str], folder: Path) -> list[Problem]:
    """One problem for all of ``wanted`` that no layer of the model in ``folder`` is called.

    Names are matched as ``peft`` does: whole, or as the end of a path behind a dot. A model whose
    tensors cannot be read here is left to the worker.
    """
    layers = layer_names(folder)
    # Separate experts are fused when they are loaded, which changes names.
    if not wanted or not layers or list(wanted) == ["all-linear"] or any(".experts." in name for name in layers):
        return []
    unknown = [word for word in wanted if not any(f".{name}".endswith(f".{word}") for name in layers)]
    if not unknown:
        return []
    known = short_names(folder)
    guesses = [difflib.get_close_matches(word.rpartition(".")[2], known, n=1, cutoff=0.6) for word in unknown]
    meant = ", ".join(dict.fromkeys(guess[0] for guess in guesses if guess))
    do = f"Did you mean {meant}? " if meant else ""
    got = ", ".join(map(repr, unknown))
    return [
        Problem(
            "the model has no layer of that name",
            got,
            f"{do}Set --target-modules to some of: {', '.join(known)}.",
            _WHERE,
        )
    ]


def layer_names(folder: Path) -> list[str]:
    """The modules with a matrix of weights, as the headers of the safetensors files in ``folder`` name them.

    Empty when there are none, or none that can be read.
    """
    found = set()
    for path in sorted(folder.glob("*.safetensors")):
        for name, shape, _ in _tensors(path):
            module, _, kind = name.rpartition(".")
            if kind == "weight" and len(shape) >= 2:
                found.add(module)
    return sorted(found)


def layer_shapes(folder: Path) -> list[tuple[int, int]]:
    """The shapes of the matrices of :func:`layer_names`."""
    return [
        (shape[0], shape[1])
        for path in sorted(folder.glob("*.safetensors"))
        for name, shape, _ in _tensors(path)
        if name.endswith(".weight") and len(shape) == 2
    ]


def short_names(folder: Path) -> list[str]:
    """The last words of the names of :func:`layer_names`, those that people give."""
    last = {name.rpartition(".")[2] for name in layer_names(folder)}
    return sorted(word for word in last if word and not word.isdigit())


def torn_file(path: Path) -> str:
    """Why a safetensors file cannot be whole, or an empty string."""
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            return "a Git LFS pointer, not the weights"
    ends = [0]
    for _, _, end in _tensors(path):
        ends.append(end)
    if len(ends) == 1:
        return "no header that can be read"
    with path.open("rb") as file:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    needed, size = _LENGTH.size + length + max(ends), path.stat().st_size
    return f"{size:,} of {needed:,} bytes" if size < needed else ""


def count_weights(folder: Path) -> int:
    """How many numbers a model has: by the headers of its safetensors files, else guessed from their sizes as fp32."""
    files = sorted(folder.glob("*.safetensors"))
    counted = sum(math.prod(shape) for path in files for _, shape, _ in _tensors(path))
    return counted or sum(path.stat().st_size for path in files or folder.glob("pytorch_model*.bin")) // 4


def _tensors(path: Path) -> Iterator[tuple[str, list[int], int]]:
    """(name, shape, end among the data in bytes) of each tensor of a safetensors file; none of one that is torn."""
    try:
        with path.open("rb") as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            header = json.loads(file.read(length)) if length <= _LONGEST_HEADER else {}
    except (OSError, ValueError, struct.error):
        return
    for name, about in header.items() if isinstance(header, dict) else ():
        if name != "__metadata__" and isinstance(about, dict):
            yield name, list(about.get("shape", ())), int(about.get("data_offsets", (0, 0))[1])
