"""What a backend is: it makes a compiled folder of a trained one, and a runner of a compiled folder.

A compiled folder holds the backend's own files, the tokenizer, ``lepton.json`` (the model's spec) and,
written last so that its existence proves completeness, ``compiled.json``::

    {"backend": "openvino", "precision": "bf16", "inputs": ["input_ids", …], "threads": 2,
     "batch_size": null, "files": {"openvino_model.bin": {"digest": "sha256:…", "bytes": 1}}, "versions": {…}}

Importing this module, or that of any backend, imports no runtime; methods do.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import MissingExtra, ModelError, Problem
from ...record.files import digest_of, write_json
from ..tasks.task import SPEC_FILE, ModelSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..tasks.task import Task
    from .hardware import Hardware

    Batch = Mapping[str, NDArray[np.int64]]
    """``input_ids``, ``attention_mask`` and what else the model takes, each ``[rows, tokens]``."""

    Logits = NDArray[np.float32]
    """``[rows, labels]`` or ``[rows, tokens, labels]``."""

MANIFEST_FILE = "compiled.json"
_MANIFEST_FORMAT = 1
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "chat_template*",
    "additional_chat_templates",
)


class Runner(Protocol):
    """A model in memory, ready to answer; warm, with its threads set."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs that :meth:`__call__` takes; others in a batch are an error of the caller."""

    def __call__(self, **batch: NDArray[np.int64]) -> Logits:
        """Logits of a batch of any number of rows and tokens."""

    def close(self) -> None:
        """Free its memory and threads; it answers no more."""


class Generator(Runner, Protocol):
    """A runner that can also go on writing."""

    def generate(self, batch: Batch, max_new_tokens: int, **options: Any) -> list[list[int]]:
        """The new tokens of each row of a left-padded batch, without end and padding tokens."""


@dataclass(frozen=True)
class Request:
    """What to compile.

    ``example`` is a real batch of at least two rows and two tokens with every input of the model.
    ``scratch`` is kept between requests for the same model: what two precisions share lies there.
    """

    model_dir: Path
    spec: ModelSpec
    precision: str
    threads: int
    example: Batch
    scratch: Path


@dataclass
class Backend:
    """One runtime. ``packages`` are what it imports, ``extra`` is the pip extra that brings them."""

    name: str = ""
    title: str = ""
    extra: str = ""
    licence: str = ""
    packages: tuple[str, ...] = ()
    # Only to compile; answering needs `packages` alone.
    build_packages: tuple[str, ...] = ()
    generates: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """The packages to install first; empty if none. Imports nothing."""
        wanted = (*self.packages, *self.build_packages)
        return [package for package in wanted if importlib.util.find_spec(package) is None]

    def install_command(self) -> str:
        """What brings the missing packages."""
        return f"pip install 'lepton-lab[{self.extra}]'" if self.extra else "pip install lepton-lab"

    def obstacle(self) -> str:
        """What else than a package keeps it from working on this machine, with the remedy; empty if nothing."""
        return ""

    def refusal(self, task: Task) -> str:
        """Why it cannot take models of ``task``; empty if it can."""
        if task.generates and not self.generates:
            return f"{self.title} does not take {task.name} yet; eager does"
        return ""

    def precisions(self, hardware: Hardware) -> list[str]:
        """The number formats that it has on ``hardware``, the most exact first."""
        raise NotImplementedError

    def depends_on_batch(self, precision: str) -> bool:
        """Whether a row's answer depends on the rows beside it, so that it must be scored as it is served."""
        return False

    def compile(self, request: Request, out_dir: Path) -> dict[str, Any]:
        """Make the compiled folder ``out_dir`` (new, empty); its manifest. Raises whatever the compiler raises."""
        check_installed(self)
        self.build(request, out_dir)
        copy_tokenizer(request.model_dir, out_dir)
        request.spec.save(out_dir)
        return write_manifest(self, request, out_dir)

    def build(self, request: Request, out_dir: Path) -> None:
        """Write the backend's own files into ``out_dir``."""
        raise NotImplementedError

    def load(self, folder: Path, threads: int) -> Runner:
        """A warm runner of a compiled folder, with ``threads`` threads."""
        raise NotImplementedError


def check_installed(backend: Backend, *, to_build: bool = True) -> None:
    """Raise :class:`MissingExtra` if a package that ``backend`` needs is not there."""
    wanted = (*backend.packages, *(backend.build_packages if to_build else ()))
    missing = [package for package in wanted if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingExtra(", ".join(missing), backend.extra, f"the backend {backend.name}")


def copy_tokenizer(model_dir: Path, out_dir: Path) -> None:
    """Copy what the tokenizer needs, and ``config.json``, from which transformers learns its class."""
    for pattern in (*_TOKENIZER_FILES, "config.json", "generation_config.json"):
        for path in model_dir.glob(pattern):
            target = out_dir / path.name
            if target.exists():
                continue
            if path.is_dir():
                shutil.copytree(path, target)
            else:
                shutil.copyfile(path, target)


def write_manifest(backend: Backend, request: Request, out_dir: Path) -> dict[str, Any]:
    """Write ``compiled.json`` over everything that lies in ``out_dir``, and return it."""
    files = {}
    for path in sorted(out_dir.rglob("*")):
        if path.is_file() and path.name != MANIFEST_FILE:
            digest, size = digest_of(path)
            files[path.relative_to(out_dir).as_posix()] = {"digest": digest, "bytes": size}
    manifest = {
        "format": _MANIFEST_FORMAT,
        "backend": backend.name,
        "precision": request.precision,
        "task": request.spec.task,
        "run": request.spec.run,
        "inputs": list(request.example),
        "threads": request.threads,
        "batch_size": None,
        "licence": backend.licence,
        "versions": versions(("torch", "transformers", *backend.packages, *backend.build_packages)),
        "files": files,
    }
    write_json(out_dir / MANIFEST_FILE, manifest)
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """``compiled.json`` of a folder whose files are all there, with the sizes they had.

    Raises :class:`ModelError`. Digests are compared by :func:`check_digests`, which reads every byte.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        wanted = {name: int(entry["bytes"]) for name, entry in manifest["files"].items()}
    except FileNotFoundError:
        raise ModelError(Problem("the folder holds no compiled model", str(folder), "Compile it again.")) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(Problem(f"{path} cannot be read", str(error), "Compile the model again.")) from None
    if manifest.get("format") != _MANIFEST_FORMAT:
        do = "Compile the model again with this version."
        raise ModelError(Problem(f"{path} has another format", str(manifest.get("format")), do))
    for name, size in wanted.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != size:
            raise ModelError(Problem("a file of the compiled model is missing or cut", name, "Compile it again."))
    return manifest


def check_digests(folder: Path) -> None:
    """Raise :class:`ModelError` if a byte of the compiled folder changed since it was made."""
    for name, entry in read_manifest(folder)["files"].items():
        digest, _ = digest_of(folder / name)
        if digest != entry["digest"]:
            raise ModelError(Problem("a file of the compiled model was changed", name, "Compile it again."))


def amend_manifest(folder: Path, **values: Any) -> dict[str, Any]:
    """Add what was learnt after compilation (``batch_size``, ``parity``) to the manifest."""
    manifest = {**read_manifest(folder), **values}
    write_json(folder / MANIFEST_FILE, manifest)
    return manifest


def is_compiled(folder: Path) -> bool:
    """Whether ``folder`` is a complete compiled folder."""
    return (folder / MANIFEST_FILE).is_file() and (folder / SPEC_FILE).is_file()


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Installed versions by package, as far as they are known."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # an import name that is not a distribution's; nothing to say
    return found
