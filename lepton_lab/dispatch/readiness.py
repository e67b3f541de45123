"""Before a job leaves: what would keep it from running on a cluster's workers, all of it, at once.

:func:`report` runs on each worker and looks; :func:`check_workers` is pure and judges. Neither
imports torch: a version is read from the package's own description.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import Problem
from .devices import PROCESSOR, usable_devices
from .environment import allotted_threads

if TYPE_CHECKING:
    from ..recipe import Recipe

COMPARED = ("torch", "transformers", "peft", "lepton-lab")
"""Packages whose first two numbers must agree: what is trained there is loaded here."""

_REACH_SECONDS = 3.0
_WHERE = "resources.cluster"


@dataclass(frozen=True)
class Question:
    """What a run needs of a worker, as JSON values.

    ``packages`` are import names by what needs them and ``extras`` what installs them; ``paths`` must be readable
    on a worker that shares our disk (others get a copy); ``hosts`` are ``HOST:PORT`` to be reached.
    """

    packages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    extras: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For the way to the worker."""
        return asdict(self)


def report(question: Mapping[str, Any]) -> dict[str, Any]:
    """Runs on a worker (or here, to compare with): versions, devices, and what it lacks of ``question``."""
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "versions": _versions(),
        "cuda": _cuda_of_torch(),
        "devices": usable_devices(os.environ),
        "cores": allotted_threads(None, {}, 1),
        "missing": {
            what: [package for package in packages if importlib.util.find_spec(package) is None]
            for what, packages in question.get("packages", {}).items()
        },
        "unreadable": [path for path in question.get("paths", ()) if not os.access(path, os.R_OK)],
        "unreached": [host for host in question.get("hosts", ()) if not _reaches(host)],
    }


def check_workers(
    recipe: Recipe,
    reports: Mapping[str, Mapping[str, Any]],
    here: Mapping[str, Any],
    question: Question,
    hosts_to_come: int = 0,
) -> list[Problem]:
    """Everything that would go wrong, one problem a cause, each with the workers that it is about.

    ``reports`` are :func:`report`'s by the workers' addresses, with ``shares_home`` and ``site`` beside; ``here`` is
    this machine's. ``hosts_to_come`` are all that a cluster will have which starts its workers itself.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for address, said in reports.items():
        for problem in _problems_of(recipe, said, here, question):
            found.setdefault((problem.what, problem.got, problem.do), []).append(f"{said['host']} ({address})")
    problems = [
        Problem(f"{what}, on {_few(workers, len(reports))}", got, do, where=_WHERE)
        for (what, got, do), workers in found.items()
    ]
    problems += _too_few_hosts(recipe, reports, hosts_to_come)
    if recipe.resources.gpu and reports and all(_gpus(said) == [] for said in reports.values()):
        do = "Use a cluster whose workers have one, or leave --gpu out."
        problems.append(Problem("the run needs a GPU", f"none on any of {len(reports)} workers", do, where=_WHERE))
    return problems


def _too_few_hosts(recipe: Recipe, reports: Mapping[str, Mapping[str, Any]], to_come: int) -> list[Problem]:
    """Whether a gang has as many hosts as it wants. Workers of one host share its devices and count once."""
    wanted = recipe.hosts
    able = {said["site"]: said["host"] for said in reports.values() if not recipe.resources.gpu or _gpus(said)}
    if wanted == 1 or max(len(able), to_come) >= wanted:
        return []
    if to_come:
        do = f"Let the cluster have {wanted}: lepton cluster use … --workers {wanted}"
        return [Problem(f"the run needs {wanted} machines", f"a cluster of {to_come}", do, where="resources.workers")]
    got = f"{len(able)}" + (f" ({', '.join(sorted(able.values()))})" if able else "")
    less = f"set --machines to {len(able)}, or " if len(able) > 1 else ""
    do = f"Start dask workers on {wanted - len(able)} more, {less}use --processes on one machine."
    kind = " with a GPU" if recipe.resources.gpu else ""
    return [Problem(f"the run needs {wanted} machines{kind} with a worker", got, do, where="resources.workers")]


def _problems_of(
    recipe: Recipe, said: Mapping[str, Any], here: Mapping[str, Any], question: Question
) -> Iterable[Problem]:
    if _first_two(said["python"]) != _first_two(here["python"]):
        do = f"Start the workers with Python {_first_two(here['python'])}."
        yield Problem(f"Python differs from this machine's {here['python']}", said["python"], do)
    lacking = {package for packages in said["missing"].values() for package in packages}
    for package in COMPARED:
        mine, theirs = here["versions"].get(package), said["versions"].get(package)
        if mine and theirs and _first_two(mine) != _first_two(theirs):
            do = f"Run there: pip install '{package}=={_first_two(mine)}.*'"
            yield Problem(f"{package} differs from this machine's {mine}", theirs, do)
        elif not theirs and package == "lepton-lab":
            yield Problem("Lepton Lab is needed", "none installed", "Run there: pip install lepton-lab")
    for what, packages in said["missing"].items():
        if packages:
            extra = question.extras.get(what, "")
            do = f"Run there: pip install 'lepton-lab{f'[{extra}]' if extra else ''}'"
            yield Problem(f"{what} needs {', '.join(packages)}", "none installed", do)
    if _gpus(said) and not said["cuda"] and "torch" not in lacking and said["versions"].get("torch"):
        do = "Install a CUDA build of torch there; see pytorch.org."
        yield Problem("torch cannot use the GPU", f"torch {said['versions']['torch']} without CUDA", do)
    if said["cuda"] and here["cuda"] and recipe.resources.gpu and _major(said["cuda"]) != _major(here["cuda"]):
        do = "Install builds of torch for one CUDA."
        yield Problem(f"CUDA of torch differs from this machine's {here['cuda']}", said["cuda"], do)
    processes = recipe.resources.processes
    if 0 < len(_gpus(said)) < processes:
        do = f"Set --processes to {len(_gpus(said))} or fewer."
        yield Problem(f"each of {processes} processes needs a GPU of its own", f"{len(_gpus(said))}", do)
    cpus = recipe.resources.cpus
    if cpus and cpus > said["cores"]:
        yield Problem(f"the run asks for {cpus} cores", f"{said['cores']}", f"Set --cpus to {said['cores']} or fewer.")
    if said.get("shares_home"):
        for path in said["unreadable"]:
            yield Problem("the run's data cannot be read", path, "Put it on a disk that the workers see as well.")
    for host in said["unreached"]:
        do = "Open the way, set HTTPS_PROXY, or use a model and data that are here already."
        yield Problem("the Hub cannot be reached", host, do)


def _gpus(said: Mapping[str, Any]) -> list[str]:
    return [device for device in said["devices"] if device != PROCESSOR]


def _few(workers: list[str], of: int) -> str:
    if len(workers) == of and of > 1:
        return f"all {of} workers"
    return ", ".join(workers[:3]) + (f" and {len(workers) - 3} more" if len(workers) > 3 else "")


def _first_two(version: str) -> str:
    return ".".join(version.split("+", maxsplit=1)[0].split(".")[:2])


def _major(version: str) -> str:
    return version.partition(".")[0]


def _versions() -> dict[str, str]:
    found = {}
    for name in COMPARED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _cuda_of_torch() -> str:
    """The CUDA that torch was built for, read from its text: importing torch here would cost seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return ""
    said = re.search(r"^cuda\b[^=\n]*=\s*'([\d.]+)'", text, re.MULTILINE)
    return said[1] if said else ""


def _reaches(host: str) -> bool:
    name, _, port = host.rpartition(":")
    try:
        with socket.create_connection((name, int(port)), timeout=_REACH_SECONDS):
            return True
    except (OSError, ValueError):
        return False


def way_out(url: str, environment: Mapping[str, str]) -> str:
    """``HOST:PORT`` that a worker must reach to fetch ``url``: the host's own, or the proxy's."""
    proxy = environment.get("HTTPS_PROXY") or environment.get("https_proxy") or ""
    parts = urlsplit(proxy if "://" in proxy else url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return f"{parts.hostname}:{port}"
