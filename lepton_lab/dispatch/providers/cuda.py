"""One worker a GPU of this machine, through dask-cuda.

dask-cuda needs exactly the ``distributed`` of its own release, often an older one than this
environment has: so it lives in an environment of its own, with this package beside it, which ``--python`` names.
The agent starts the scheduler, and dask-cuda's workers as a process of that environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import Problem
from ...recipe.option import option
from .provider import LiveCluster, Provider, ProviderOptions

if TYPE_CHECKING:
    from ..renewal import HostCertificates

_GONE_SECONDS = 30.0


class CudaOptions(ProviderOptions):
    """Which environment, which devices."""

    python: str = option("python", "Python of the environment that has dask-cuda and this package.")
    devices: str | None = option(None, "GPUs to use, as in 0,1. Default: all that are visible.")


class Cuda(Provider):
    """dask-cuda's workers."""

    name = "cuda"
    summary = "one worker a GPU of this machine, through dask-cuda in an environment of its own"
    options = CudaOptions
    main_option = "python"
    environment = ("CUDA_*", "NVIDIA_*")
    example = "cuda --python ~/dask-cuda/bin/python"

    def missing(self) -> list[str]:
        """Nothing here: dask-cuda is in the environment that ``--python`` names."""
        return []

    def install_command(self) -> str:
        """An environment of its own."""
        return "python -m venv ~/dask-cuda && ~/dask-cuda/bin/pip install dask-cuda lepton-lab"

    def check(self, options: CudaOptions) -> list[Problem]:
        """Whether there is such a Python."""
        if shutil.which(str(Path(options.python).expanduser())):
            return []
        do = f"dask-cuda needs an environment of its own. Run: {self.install_command()}"
        return [Problem("there is no such Python", options.python, do, where="resources.cluster")]

    async def open(self, options: CudaOptions) -> LiveCluster:
        """A scheduler in this process on loopback, and a process that starts one worker a GPU."""
        from ..dask_servers import start_scheduler
        from ..renewal import HostCertificates

        scheduler = await start_scheduler(dashboard=False)
        environment = {"CUDA_VISIBLE_DEVICES": options.devices} if options.devices else {}
        command = worker_command(options, str(scheduler.address))
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environment}, start_new_session=True
        )
        return _CudaCluster(scheduler, process, HostCertificates())

    def render(self, options: CudaOptions) -> str:
        """The command line."""
        devices = f"CUDA_VISIBLE_DEVICES={options.devices} " if options.devices else ""
        return devices + shlex.join(worker_command(options, "tls://127.0.0.1:PORT"))


def worker_command(options: CudaOptions, scheduler: str) -> list[str]:
    """dask-cuda's own command, in its own environment."""
    from ..security import tls_files

    files = tls_files()
    python = str(Path(options.python).expanduser())
    tls = ["--tls-ca-file", files["authority"], "--tls-cert", files["certificate"], "--tls-key", files["key"]]
    # Should the agent die, its workers are not to wait for it for ever.
    return [
        python,
        "-m",
        "dask",
        "cuda",
        "worker",
        scheduler,
        "--no-dashboard",
        "--death-timeout",
        "60",
        *map(str, tls),
    ]


@dataclass(frozen=True)
class _CudaCluster:
    scheduler: Any
    process: asyncio.subprocess.Process
    certificates: HostCertificates

    @property
    def address(self) -> str:
        return str(self.scheduler.address)

    @property
    def security(self) -> Any:
        return self.scheduler.security

    async def scale(self, workers: int, idle: Sequence[str] = (), busy: int = 0) -> None:
        """There are as many workers as GPUs."""

    async def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), _GONE_SECONDS)
        await self.scheduler.close()

    def info(self) -> dict[str, Any]:
        return {"dask-cuda": self.process.pid}
