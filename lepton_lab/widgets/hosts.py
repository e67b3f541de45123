"""Where a cell runs and who watches it: one decision, from positive evidence only.

``LEPTON_NONINTERACTIVE=1`` says that nobody watches. ``LEPTON_HOST=NAME`` (a name of
:data:`HOSTS`) decides instead of the evidence. Where nothing proves that somebody
watches, nobody does, and cells wait.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import psutil

from .. import places
from ..errors import Problem, RequestError

Live = Literal["extension", "widget", "none"]

HOSTS: dict[str, tuple[Live, bool]] = {
    "jupyter-extension": ("extension", True),
    "jupyter": ("widget", True),
    "vscode": ("widget", True),
    "colab": ("none", True),
    "kaggle": ("none", True),
    "databricks": ("none", True),
    "ipython": ("none", True),
    "headless": ("none", False),
    "script": ("none", False),
}
"""Name → (how a run is drawn live, whether somebody watches)."""

_SERVERS = {"jupyter-lab", "jupyter-notebook", "jupyter-server", "jupyter-nbclassic", "jupyterhub-singleuser"}
_SERVER_WORDS = {"lab", "notebook", "server", "nbclassic", "labhub"}
_SERVER_MODULES = {"jupyterlab", "notebook", "jupyter_server", "nbclassic", "jupyterhub.singleuser"}
_KERNEL = "ZMQInteractiveShell"
_NO = ("", "0", "false", "no")


@dataclass(frozen=True)
class Host:
    """``live``: ``extension`` (our labextension over the server's WebSocket), ``widget`` (anywidget
    over the comm) or ``none`` (a static card, drawn while the cell waits). ``reason``: the evidence."""

    name: str
    live: Live
    watched: bool
    reason: str

    @property
    def waits(self) -> bool:
        """Whether a cell waits for its run unless told otherwise."""
        return self.live == "none"


@dataclass(frozen=True)
class Evidence:
    """All that the decision rests on."""

    environment: Mapping[str, str]
    shell: str = ""
    """The class of the IPython shell; empty outside IPython."""
    names: Collection[str] = ()
    """Names of the shell's namespace."""
    modules: Collection[str] = ()
    parent: Sequence[str] = ()
    """The command line of the process that started the kernel."""
    is_terminal: bool = False


def find_host() -> Host:
    """Where this code runs. Raises RequestError when ``LEPTON_HOST`` names no host."""
    return decide(gather())


def gather() -> Evidence:
    """The evidence of this process."""
    shell = _shell()
    starter = os.environ.get("JPY_PARENT_PID", "")
    return Evidence(
        os.environ,
        "" if shell is None else type(shell).__name__,
        () if shell is None else shell.user_ns.keys(),
        sys.modules.keys(),
        _command_line(int(starter)) if starter.isdecimal() else (),
        bool(sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()),
    )


def decide(evidence: Evidence) -> Host:
    """The host that the evidence proves; see :func:`find_host`."""
    environment = evidence.environment
    forced = environment.get("LEPTON_HOST", "")
    if forced and forced not in HOSTS:
        raise RequestError(Problem("LEPTON_HOST must be one of " + ", ".join(HOSTS), repr(forced)))
    if forced:
        return _host(forced, "LEPTON_HOST says so")
    if environment.get("LEPTON_NONINTERACTIVE", "").lower() not in _NO:
        return _host("headless" if evidence.shell == _KERNEL else "script", "LEPTON_NONINTERACTIVE is set")
    if not evidence.shell:
        return _host("script", "there is no IPython shell")
    if "google.colab" in evidence.modules:
        return _host("colab", "google.colab is loaded")
    kaggle = environment.get("KAGGLE_KERNEL_RUN_TYPE")
    if kaggle:
        return _host("kaggle" if kaggle == "Interactive" else "headless", f"KAGGLE_KERNEL_RUN_TYPE is {kaggle}")
    if environment.get("DATABRICKS_RUNTIME_VERSION"):
        return _host("databricks", "DATABRICKS_RUNTIME_VERSION is set")
    if evidence.shell == "TerminalInteractiveShell":
        if evidence.is_terminal:
            return _host("ipython", "IPython in a terminal")
        return _host("script", "IPython without a terminal")
    if evidence.shell != _KERNEL:
        return _host("script", f"a {evidence.shell}, which is no kernel")
    return _of_kernel(evidence)


def _of_kernel(evidence: Evidence) -> Host:
    environment = evidence.environment
    session, starter = environment.get("JPY_SESSION_NAME", ""), environment.get("JPY_PARENT_PID", "")
    if "__vsc_ipynb_file__" in evidence.names or "-jvsc-" in session:
        return _host("vscode", "VS Code names the notebook")
    if environment.get("VSCODE_PID") and not starter:
        return _host("vscode", "VS Code started this kernel itself")
    if not session:
        return _host("headless", "no notebook session started this kernel")
    if starter and environment.get("LEPTON_JUPYTER_SERVER") == starter:
        if environment.get("LEPTON_JUPYTER_SERVER_HOME") == str(places.lepton_home()):
            return _host("jupyter-extension", "a Jupyter server with our extension started this kernel")
        return _host("jupyter", "the Jupyter server's LEPTON_HOME is not this kernel's")
    if _is_server(evidence.parent):
        return _host("jupyter", "a Jupyter server started this kernel")
    return _host("headless", "no Jupyter server started this kernel")


def _host(name: str, reason: str) -> Host:
    live, watched = HOSTS[name]
    return Host(name, live, watched, reason)


def _is_server(command: Sequence[str]) -> bool:
    """Whether a command line is a Jupyter server's, not nbconvert's or papermill's."""
    words = [os.path.basename(word).removesuffix(".exe") for word in command[:4]]
    if any(word in _SERVERS for word in words[:2]):
        return True
    pairs = list(pairwise(words))
    return any(
        (first == "-m" and second in _SERVER_MODULES) or (first == "jupyter" and second in _SERVER_WORDS)
        for first, second in pairs
    )


def _command_line(pid: int) -> Sequence[str]:
    try:
        return list(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ()


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None
