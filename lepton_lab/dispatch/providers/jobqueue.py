"""What SLURM, PBS and LSF share: one Dask worker a job, which leaves before the walltime ends it.

The scheduler runs in the agent, on the machine that submits, and speaks TLS. Jobs are submitted by number;
adaptive scaling is not used, because it ends busy workers.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationInfo, field_validator, model_validator

from ... import places
from ...errors import Problem
from ...recipe.option import option
from .provider import LiveCluster, Provider, StartedOptions
from .started import StartedCluster, name_of

if TYPE_CHECKING:
    from ..renewal import HostCertificates

_WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>[0-5]\d)(?::(?P<seconds>[0-5]\d))?")


class JobOptions(StartedOptions):
    """One job: what it asks for, and how it starts."""

    queue: str | None = option(None, "Queue or partition. Default: the site's.", aliases=("partition",))
    account: str | None = option(None, "Account or project that the jobs are booked on.", aliases=("project",))
    cores: int = option(4, "Cores of each job.", ge=1)
    memory: str = option("16GB", "Memory of each job, as in 16GB.")
    gpus: int = option(0, "GPUs of each job.", ge=0)
    walltime: str = option("04:00:00", "The longest time of a job, HH:MM:SS or D-HH:MM:SS.")
    leave_seconds: float = option(
        300.0, "So long before its walltime ends it, a worker lets its run save and leaves.", ge=30, advanced=True
    )
    directives: list[str] = option([], "A further line for the job's header, as it is.", flag="directive")
    prologue: list[str] = option([], "A shell command before the worker starts, such as module load cuda.")
    python: str | None = option(None, "Python on the nodes that has this package. Default: the path of this one.")
    interface: str | None = option(None, "Network interface between nodes and this machine, such as ib0.")
    shared_directory: str | None = option(
        None, "A folder that the nodes read too; TLS files of mode 0600 lie there. Default: LEPTON_HOME.", advanced=True
    )
    log_directory: str | None = option(None, "Where the jobs write their logs. Default: the site's.", advanced=True)

    @field_validator("walltime")
    @classmethod
    def _check_walltime(cls, value: str) -> str:
        if not _WALLTIME.fullmatch(value):
            raise ValueError("walltime must be HH:MM:SS or D-HH:MM:SS||For example: --walltime 04:00:00.")
        return value

    @field_validator("memory")
    @classmethod
    def _check_memory(cls, value: str) -> str:
        if not re.fullmatch(r"\d+(\.\d+)?\s*[kMGT]i?B", value):
            raise ValueError("memory must be a number with its unit||For example: --memory 16GB.")
        return value

    @field_validator("directives", "prologue")
    @classmethod
    def _check_lines(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if any("\n" in line for line in value):
            raise ValueError(f"{info.field_name} must be one line each||Give the option once a line.")
        return value

    @model_validator(mode="after")
    def _check_life(self) -> JobOptions:
        if self.walltime_seconds <= 2 * self.leave_seconds:
            raise ValueError(
                f"walltime must be more than twice leave_seconds|{self.walltime}|"
                f"Set --walltime above {2 * self.leave_seconds:g} s, or a smaller --leave-seconds.|walltime"
            )
        return self

    @property
    def walltime_seconds(self) -> int:
        """The walltime as a number."""
        found = _WALLTIME.fullmatch(self.walltime)
        parts = {name: int(value or 0) for name, value in found.groupdict().items()} if found else {}
        hours = 24 * parts.get("days", 0) + parts.get("hours", 0)
        return 3600 * hours + 60 * parts.get("minutes", 0) + parts.get("seconds", 0)


class JobQueue(Provider):
    """Core of the three. A provider names its cluster class, its submit command and its own arguments."""

    extra = "cluster"
    packages = ("dask_jobqueue",)
    options = JobOptions
    cluster_class: ClassVar[str]
    submit_command: ClassVar[str]

    def own_arguments(self, options: JobOptions) -> dict[str, Any]:
        """Arguments of the library's class that this scheduler alone has."""
        raise NotImplementedError

    def check(self, options: JobOptions) -> list[Problem]:
        """Whether jobs can be submitted from here."""
        if shutil.which(self.submit_command):
            return []
        do = f"Log in to a node that has {self.submit_command}, or look at the job with: lepton cluster render"
        what = f"{self.name} jobs are submitted with {self.submit_command}"
        return [Problem(what, "no such command here", do, where="resources.cluster")]

    async def open(self, options: JobOptions) -> LiveCluster:
        """Start the scheduler in this process and submit ``workers`` jobs."""
        from ..dask_servers import QuietScheduler
        from ..security import share_certificates

        name = name_of(self.name, options)
        files = share_certificates(_shared_directory(options) / name)
        cluster = await self._class()(
            **self.arguments(options),
            n_workers=options.workers,
            security=_security(**{role: str(path) for role, path in files.items()}),
            scheduler_cls=QuietScheduler,
            name=name,
            asynchronous=True,
        )
        return _Jobs(cluster, {"jobs": options.workers, "walltime": options.walltime}, files["key"].parent)

    def render(self, options: JobOptions) -> str:
        """The job script."""

        async def script() -> str:
            named = {name: f"TLS/{name}" for name in ("authority", "certificate", "key")}
            cluster = self._class()(**self.arguments(options), security=_security(**named), asynchronous=True)
            try:
                return str(cluster.job_script())
            finally:
                await cluster.close()

        return asyncio.run(script())

    def arguments(self, options: JobOptions) -> dict[str, Any]:
        """Arguments of the library's class, without what belongs to one cluster."""
        # Staggered, so that not all jobs of a cluster leave, and are submitted again, at once.
        stagger = options.leave_seconds / 2
        lifetime = options.walltime_seconds - options.leave_seconds - stagger
        worker = ["--lifetime", f"{lifetime:g}s", "--lifetime-stagger", f"{stagger:g}s"]
        worker += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        found: dict[str, Any] = {
            "queue": options.queue,
            "cores": options.cores,
            "memory": options.memory,
            "processes": 1,
            "walltime": options.walltime,
            "interface": options.interface,
            "job_extra_directives": [*self.gpu_directives(options), *options.directives],
            "job_script_prologue": list(options.prologue),
            "worker_extra_args": worker,
            "log_directory": options.log_directory,
            "python": options.python,
        }
        return {**found, **self.own_arguments(options)}

    def gpu_directives(self, options: JobOptions) -> list[str]:
        """Header lines that ask for GPUs."""
        return []

    def _class(self) -> Any:
        import dask_jobqueue

        return getattr(dask_jobqueue, self.cluster_class)


@dataclass(frozen=True)
class _Jobs(StartedCluster):
    shared: Path = Path()

    @property
    def certificates(self) -> HostCertificates:
        """New files for the nodes, under the names that the job script has."""
        from ..renewal import HostCertificates
        from ..security import share_certificates

        async def share() -> None:
            await asyncio.to_thread(share_certificates, self.shared)

        return HostCertificates(share, (self.cluster.scheduler_comm,))

    async def close(self) -> None:
        """The key goes with the jobs that needed it."""
        try:
            await super().close()
        finally:
            shutil.rmtree(self.shared, ignore_errors=True)


def _shared_directory(options: JobOptions) -> Path:
    root = Path(options.shared_directory).expanduser().absolute() if options.shared_directory else places.lepton_home()
    return root / "cache" / "tls"


def _security(authority: str, certificate: str, key: str) -> Any:
    from distributed.security import Security

    roles: Mapping[str, str] = {
        f"tls_{role}_{part}": value
        for role in ("scheduler", "worker", "client")
        for part, value in (("cert", certificate), ("key", key))
    }
    return Security(require_encryption=True, tls_ca_file=authority, **roles)
