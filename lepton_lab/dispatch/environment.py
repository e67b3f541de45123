"""Which environment variables a run gets, and how they travel.

A run sees the environment of who submitted it as far as :data:`TRAVELS` lists it.
These values go from the submitter's memory through the task into the worker's
environment. They are never written to disk and never shown: they may be credentials.
Everything else comes from the detached process, which is started without them.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ..telemetry import NO_TELEMETRY

TRAVELS: tuple[str, ...] = (
    # Hugging Face: token, endpoint, caches, offline mode
    "HF_*",
    "HUGGINGFACE_*",
    "HUGGING_FACE_*",
    "TRANSFORMERS_*",
    "TOKENIZERS_PARALLELISM",
    # the way out
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    # stores of data and models
    "AWS_*",
    "S3_*",
    "GOOGLE_*",
    "GCLOUD_*",
    "AZURE_*",
    "FSSPEC_*",
    # trackers
    "MLFLOW_*",
    "WANDB_*",
    "COMET_*",
    "NEPTUNE_*",
    # devices and threads
    "CUDA_*",
    "CUBLAS_WORKSPACE_CONFIG",
    "NCCL_*",
    "OMP_*",
    "MKL_*",
    "KMP_*",
    "OPENBLAS_NUM_THREADS",
    # what is imported, and how it computes
    "PYTHONPATH",
    "PYTHONHASHSEED",
    "PYTORCH_*",
    "TORCH_*",
    "TORCHINDUCTOR_*",
)
"""Names (with ``*`` for any ending) that travel with a run."""

READ_AT_IMPORT: tuple[str, ...] = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_DATASETS_CACHE",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "TRANSFORMERS_CACHE",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "PYTHONPATH",
    "PYTHONHASHSEED",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "PYTORCH_*",
    "TORCH_*",
    "TORCHINDUCTOR_*",
    "KMP_*",
)
"""Names that libraries read when they are imported: a warm spare serves only runs that agree on them."""

_CREDENTIALS = (
    "*TOKEN",
    "*TOKEN_*",
    "*SECRET*",
    "*PASSWORD*",
    "*PASSWD*",
    "*CREDENTIAL*",
    "*API_KEY*",
    "*APIKEY*",
    "*ACCESS_KEY*",
    "*PRIVATE_KEY*",
)

# Never inherited by the detached process: what belongs to one kernel or shell, what
# looks like a credential, and what would change Dask.
_STAYS_BEHIND = (
    "JPY_*",
    "JUPYTER*",
    "IPY*",
    "VSCODE_*",
    "DASK_*",
    "MPLBACKEND",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONWARNINGS",
    "PYTEST_*",
    "COLUMNS",
    "LINES",
    "*TOKEN*",
    *_CREDENTIALS,
)


@dataclass(frozen=True)
class JobEnvironment:
    """Variables of one run. Its repr, which Dask may log, shows no value."""

    values: Mapping[str, str] = field(repr=False)

    def without(self, name: str) -> JobEnvironment:
        """The others."""
        return JobEnvironment({key: value for key, value in self.values.items() if key != name})


def collect_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of ``environ`` (default: of this process) that travel with a run."""
    return dict(_matching(os.environ if environ is None else environ, TRAVELS))


def select_environment(environ: Mapping[str, str], patterns: tuple[str, ...]) -> dict[str, str]:
    """The variables of ``environ`` whose names are in ``patterns`` (``*`` for any ending)."""
    return dict(_matching(environ, patterns))


def credential_names(environment: Mapping[str, str]) -> list[str]:
    """The names in ``environment`` that look like credentials."""
    return [name for name in environment if _is_one_of(name, _CREDENTIALS)]


def import_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of a run's variables that libraries read at import."""
    return dict(_matching(environment, READ_AT_IMPORT))


def base_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the detached process inherits: ``environ`` without what travels, and without credentials."""
    behind = (*TRAVELS, *_STAYS_BEHIND)
    kept = {name: value for name, value in environ.items() if name == "PYTHONPATH" or not _is_one_of(name, behind)}
    return {**kept, **NO_TELEMETRY}


def worker_environment(environment: Mapping[str, str], threads: int | None) -> dict[str, str]:
    """What a worker gets on top of the inherited environment.

    One that has no ``threads`` to compute with, and hands its environment on, keeps the wish of who submitted it.
    """
    if threads is None:
        return {**environment, **NO_TELEMETRY}
    count = str(threads)
    counts = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
    return {**environment, **counts, **NO_TELEMETRY}


def allotted_threads(cpus: int | None, environment: Mapping[str, str], devices: int) -> int:
    """Threads of one run: as asked, else ``OMP_NUM_THREADS`` of who submitted it, else its share of the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cpus is not None:
        return max(1, min(cpus, cores))
    wished = environment.get("OMP_NUM_THREADS", "").split(",")[0]
    if wished.isdigit() and int(wished) > 0:
        return min(int(wished), cores)
    return max(1, cores // max(1, devices))


def spare_key(environment: Mapping[str, str], worker_module: str) -> str:
    """What a spare and a run must agree on: interpreter, installed code, import-time variables."""
    text = [sys.executable, worker_module, code_mark()]
    text += [f"{name}={value}" for name, value in sorted(import_environment(environment).items())]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:12]


def code_mark(rooms: tuple[str, ...] = ("",)) -> str:
    """Changes when this package (or only these rooms of it) or the set of installed packages changes."""
    package = Path(__file__).resolve().parent.parent
    paths = sorted(path for room in rooms for path in (package / room).rglob("*.py"))
    stats = [(str(path.relative_to(package)), path.stat()) for path in paths]
    parts = [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats]
    packages = Path(sysconfig.get_paths()["purelib"])
    if packages.is_dir():
        parts.append(str(packages.stat().st_mtime_ns))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _matching(environ: Mapping[str, str], patterns: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in environ.items() if _is_one_of(name, patterns))


def _is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
