"""Names of tasks, backends and providers, and where they live. Strings only: looking a name up imports nothing heavy.

A third party adds one through the entry-point groups ``lepton_lab.tasks``,
``lepton_lab.backends`` and ``lepton_lab.providers``; built-in ones are listed here and loaded the same way.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any

from .errors import Problem, RecipeError

if TYPE_CHECKING:
    from .dispatch.providers import Provider
    from .work.backends.backend import Backend
    from .work.tasks.task import Task

TASKS = {
    "text-classification": "lepton_lab.work.tasks.text_classification:TextClassification",
    "token-classification": "lepton_lab.work.tasks.token_classification:TokenClassification",
    "text-generation": "lepton_lab.work.tasks.text_generation:TextGeneration",
}

BACKENDS = {
    "eager": "lepton_lab.work.backends.eager:Eager",
    "inductor": "lepton_lab.work.backends.inductor:Inductor",
    "onnxruntime": "lepton_lab.work.backends.onnxruntime:OnnxRuntime",
    "openvino": "lepton_lab.work.backends.openvino:OpenVino",
}

PROVIDERS = {
    "local": "lepton_lab.dispatch.providers.local:Local",
    "address": "lepton_lab.dispatch.providers.address:Address",
    "scheduler-file": "lepton_lab.dispatch.providers.scheduler_file:SchedulerFile",
    "ssh": "lepton_lab.dispatch.providers.ssh:Ssh",
    "slurm": "lepton_lab.dispatch.providers.slurm:Slurm",
    "pbs": "lepton_lab.dispatch.providers.pbs:Pbs",
    "lsf": "lepton_lab.dispatch.providers.lsf:Lsf",
    "kubernetes": "lepton_lab.dispatch.providers.kubernetes:Kubernetes",
    "aws": "lepton_lab.dispatch.providers.aws:Aws",
    "gcp": "lepton_lab.dispatch.providers.gcp:Gcp",
    "azure": "lepton_lab.dispatch.providers.azure:Azure",
    "gateway": "lepton_lab.dispatch.providers.gateway:Gateway",
    "coiled": "lepton_lab.dispatch.providers.coiled:Coiled",
    "cuda": "lepton_lab.dispatch.providers.cuda:Cuda",
}


def task_names() -> list[str]:
    """Every task that a recipe can name."""
    return sorted(_known(TASKS, "lepton_lab.tasks"))


def backend_names() -> list[str]:
    """Every backend that a recipe can name, installed or not."""
    return sorted(_known(BACKENDS, "lepton_lab.backends"))


def provider_names() -> list[str]:
    """Every provider of clusters, installed or not, in the order in which they are asked about a word."""
    return list(_known(PROVIDERS, "lepton_lab.providers"))


def load_task(name: str) -> Task:
    """The task ``name``. Raises :class:`RecipeError` that names the nearest one."""
    task: Task = _load(name, _known(TASKS, "lepton_lab.tasks"), "task", "--task")
    return task


def load_backend(name: str) -> Backend:
    """The backend ``name``. Raises :class:`RecipeError` that names the nearest one."""
    backend: Backend = _load(name, _known(BACKENDS, "lepton_lab.backends"), "backend", "--backend")
    return backend


def load_provider(name: str) -> Provider:
    """The provider ``name``. Raises :class:`RecipeError` that names the nearest one."""
    provider: Provider = _load(name, _known(PROVIDERS, "lepton_lab.providers"), "provider", "--cluster")
    return provider


def _known(built_in: dict[str, str], group: str) -> dict[str, str]:
    others = {point.name: point.value for point in _installed().select(group=group)}
    return {**built_in, **{name: value for name, value in others.items() if name not in built_in}}


@cache
def _installed() -> Any:
    from importlib.metadata import entry_points

    # Once a process: it reads the metadata of every package there is, 30 ms. Its type differs by version of Python.
    return entry_points()


def _load(name: str, known: dict[str, str], what: str, option: str) -> Any:
    if name not in known:
        import difflib

        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        do = f"Set {option} to one of: {', '.join(sorted(known))}.{hint}"
        raise RecipeError(Problem(f"there is no such {what}", repr(name), do, where=what))
    module, _, attribute = known[name].partition(":")
    return getattr(importlib.import_module(module), attribute)()
