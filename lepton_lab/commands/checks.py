"""The single findings of ``doctor``. Versions are read from metadata; no package is imported to look."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

import psutil

from .. import places
from ..errors import LeptonError
from .results import bytes_text

_LOW_MEMORY_BYTES = 4e9
_LOW_DISK_BYTES = 5e9


@dataclass(frozen=True)
class Check:
    """One finding. ``do`` says what to do where ``ok`` is False (or could be done where it is True)."""

    check: str
    ok: bool
    found: str
    do: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields as a JSON object."""
        return asdict(self)


def every_check() -> Iterator[Check]:
    """Every finding, the ones that matter most first."""
    gpus = _gpus()
    yield _python()
    yield from _libraries(bool(gpus))
    yield _processor()
    yield _gpu(gpus)
    yield _memory()
    yield _disk()
    yield from _backends()
    yield _samples()
    yield from _places()
    yield _hub()
    yield _cluster()
    yield _notebook()
    yield _watching()


def version_of(package: str) -> str:
    """The installed version, or an empty string."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _python() -> Check:
    found = f"{platform.python_version()} in {sys.prefix}"
    if platform.python_version_tuple()[:2] == ("3", "11"):
        return Check("Python", True, found)
    return Check("Python", True, found, "Tested whole on 3.11; 3.12 and 3.13 for what needs no torch.")


def _libraries(has_gpu: bool) -> Iterator[Check]:
    torch = version_of("torch")
    if not torch:
        do = "To train here: pip install torch. Without it this machine can watch runs of a remote cluster."
        yield Check("torch", False, "not installed", do)
    elif has_gpu and not _is_cuda_build(torch):
        do = "There is a GPU that this build cannot use. See https://pytorch.org/get-started"
        yield Check("torch", False, f"{torch}, a CPU build", do)
    else:
        yield Check("torch", True, f"{torch}, a {'CUDA' if _is_cuda_build(torch) else 'CPU'} build")
    names = ("transformers", "peft", "accelerate", "datasets", "distributed", "pyarrow")
    missing = [name for name in names if not version_of(name)]
    found = ", ".join(f"{name} {version_of(name)}" for name in names if name not in missing)
    do = f"Run: pip install {' '.join(missing)}" if missing else ""
    yield Check("libraries", not missing, found or "none", do)


def _is_cuda_build(torch: str) -> bool:
    if "+" in torch:
        return "+cu" in torch
    return any((each.name or "").startswith("nvidia-cuda-runtime") for each in distributions())


def processor_features() -> dict[str, bool]:
    """What the processor has that makes models fast; empty where the system does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    flags = set(line.partition(":")[2].split())
    wanted = {
        "AVX2": ("avx2",),
        "AVX-512": ("avx512f",),
        "bf16": ("avx512_bf16", "amx_bf16", "bf16"),
        "VNNI": ("avx512_vnni", "avx_vnni"),
        "AMX": ("amx_tile",),
    }
    return {name: any(each in flags for each in names) for name, names in wanted.items()}


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> Check:
    features = processor_features()
    has = ", ".join(name for name, there in features.items() if there)
    found = f"{platform.machine()}, {usable_cores()} cores" + (f", {has}" if has else "")
    if features.get("bf16"):
        return Check("processor", True, found, "bf16 is fast here; --precision auto uses it.")
    if features and not features.get("AVX2") and platform.machine() == "x86_64":
        return Check("processor", False, found, "Without AVX2 training is very slow. Use a newer machine or a cluster.")
    return Check("processor", True, found)


def _gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def _gpu(gpus: list[str]) -> Check:
    if not gpus:
        return Check("GPU", True, "none", "Everything works on the processor.")
    return Check("GPU", True, "; ".join(gpus))


def _memory() -> Check:
    memory = psutil.virtual_memory()
    total = min(memory.total, _control_group_limit() or memory.total)
    found = f"{bytes_text(total)}, {bytes_text(min(memory.available, total))} free"
    if total < _LOW_MEMORY_BYTES:
        return Check("memory", False, found, "Below 4 GB: use --peft lora and --batch-size 8; no spare worker is kept.")
    return Check("memory", True, found)


def _control_group_limit() -> int | None:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 60:
            return int(text)
    return None


def _disk() -> Check:
    home = places.lepton_home()
    usage = shutil.disk_usage(next(path for path in (home, *home.parents) if path.exists()))
    found = f"{bytes_text(usage.free)} free of {bytes_text(usage.total)}"
    do = "" if usage.free >= _LOW_DISK_BYTES else "Free some with: lepton prune"
    return Check("disk", usage.free >= _LOW_DISK_BYTES, found, do)


def _backends() -> Iterator[Check]:
    from .listings import backend_rows

    for row in backend_rows():
        found = (
            "works here"
            if row["works"]
            else "installed"
            if row["installed"]
            else f"{', '.join(row['missing'])} missing"
        )
        yield Check(f"backend {row['backend']}", row["works"], found, row["do"])


def _samples() -> Check:
    from .samples import sample_rows

    rows = sample_rows()
    there = [row["sample"] for row in rows if row["installed"]]
    missing = [row["sample"].removeprefix("sample:") for row in rows if not row["installed"]]
    do = f"To add more: lepton samples install {' '.join(missing)}" if missing else ""
    return Check("samples", bool(there), ", ".join(there) or "none installed", do)


def _places() -> Iterator[Check]:
    for name, path in (("LEPTON_HOME", places.lepton_home()), ("LEPTON_STATE_DIR", places.state_root())):
        existing = next(each for each in (path, *path.parents) if each.exists())
        ok = os.access(existing, os.W_OK)
        found = f"{places.store_url()}, worked on in {path}" if "HOME" in name and places.store_url() else str(path)
        yield Check(name, ok, found, "" if ok else f"It cannot be written. Set {name} to a folder of yours.")


def _hub() -> Check:
    parts = [os.environ.get("HF_ENDPOINT") or "https://huggingface.co"]
    parts.append("with a token" if os.environ.get("HF_TOKEN") or _token_file().is_file() else "no token")
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("0", ""):
        parts.append("offline mode")
    return Check("model hub", True, ", ".join(parts), "Set HF_TOKEN for gated models." if "no token" in parts else "")


def _token_file() -> Path:
    return Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser() / "token"


def _cluster() -> Check:
    from .. import dispatch

    try:
        status = dispatch.cluster_status()
    except LeptonError as error:
        return Check("cluster", False, str(error), "Try: lepton cluster stop --force")
    found = str(status["cluster"])
    do = {"not running": "It starts with the first run.", "outdated": "It is replaced as soon as it is idle."}
    return Check("cluster", True, found, do.get(found, ""))


def _notebook() -> Check:
    lab = version_of("jupyterlab")
    if not lab:
        if version_of("ipykernel"):
            return Check("notebook", True, "a kernel without JupyterLab", "For the lab: pip install 'lepton-lab[lab]'")
        return Check("notebook", False, "no Jupyter in this environment", "Run: pip install 'lepton-lab[lab]'")
    share = Path(sys.prefix) / "share/jupyter/labextensions/lepton-lab/package.json"
    config = Path(sys.prefix) / "etc/jupyter/jupyter_server_config.d/lepton_lab.json"
    missing = [name for name, path in (("lab extension", share), ("server extension", config)) if not path.is_file()]
    if missing:
        do = "Run: pip install --force-reinstall --no-deps lepton-lab. Without it cells show widgets or cards."
        return Check("notebook", False, f"JupyterLab {lab}, no {' and no '.join(missing)}", do)
    return Check("notebook", True, f"JupyterLab {lab}, live views on", "In a cell: %load_ext lepton_lab")


def _watching() -> Check:
    if os.environ.get("LEPTON_NONINTERACTIVE", "0") not in ("0", ""):
        return Check(
            "watching", True, "LEPTON_NONINTERACTIVE is set", "Cells wait for their runs and show final cards."
        )
    return Check("watching", True, "cells return at once where somebody watches")
