"""A scheduler and workers on machines that one can log in to, through asyncssh and Dask's SSHCluster."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import field_validator

from ...errors import ClusterError, Problem
from ...recipe.option import option
from .connection import is_loopback
from .provider import LiveCluster, Provider, StartedOptions
from .started import StartedCluster, finished, name_of

if TYPE_CHECKING:
    from ..renewal import HostCertificates

_FOLDER = ".local/state/lepton-lab/ssh"  # in the home of who logs in
_REMOTE_FILES = {"authority": "authority.pem", "certificate": "cluster.pem", "key": "cluster.key"}


class SshOptions(StartedOptions):
    """Hosts, and how to log in. Passwords are not taken: use a key or an agent."""

    hosts: list[str] = option(
        [], "Where to log in, NAME or USER@NAME. The first also runs the scheduler.", flag="host", aliases=("hosts",)
    )
    port: int = option(22, "Port of the SSH servers.", ge=1, le=65_535)
    key_file: str | None = option(None, "Private key to log in with. Default: those of ~/.ssh and the SSH agent.")
    known_hosts: str | None = option(None, "File with the hosts' keys. Default: ~/.ssh/known_hosts.")
    python: str | None = option(None, "Python on the hosts that has this package. Default: the path of this one.")
    threads: int | None = option(None, "Threads of each worker. Default: one a core.", ge=1)

    @property
    def hosts_to_come(self) -> int:
        """One worker a host."""
        return len(self.hosts)

    @field_validator("hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        words = [value] if isinstance(value, str) else value
        return [part.strip() for word in words for part in str(word).split(",") if part.strip()]


class Ssh(Provider):
    """SSH hosts. Both ends speak TLS with certificates that are put there first, in 0600 files."""

    name = "ssh"
    summary = "machines that you can log in to by SSH"
    extra = "cluster"
    packages = ("asyncssh",)
    options = SshOptions
    start_seconds = 180.0
    main_option = "hosts"
    environment = ("SSH_AUTH_SOCK",)
    example = "ssh --host gpu1 --host gpu2 --python /opt/lepton/bin/python"

    def check(self, options: SshOptions) -> list[Problem]:
        """Hosts there must be; files must exist."""
        problems = []
        if not options.hosts:
            do = "Set --host, once for each machine; the first also runs the scheduler."
            problems.append(Problem("SSH needs a host", "none", do, where="resources.cluster"))
        for name in ("key_file", "known_hosts"):
            value = getattr(options, name)
            if value and not Path(value).expanduser().is_file():
                flag = "--" + name.replace("_", "-")
                problems.append(Problem("there is no such file", value, f"Check {flag}.", where="resources.cluster"))
        return problems

    async def open(self, options: SshOptions) -> LiveCluster:
        """Put the TLS files on every host, then start the scheduler and one worker a host."""
        from distributed import SSHCluster

        from ..security import security

        folders = await _place_everywhere(options)
        cluster = SSHCluster(**cluster_options(options, folders[0]), asynchronous=True)
        for spec, folder in zip(cluster.worker_spec.values(), folders, strict=True):
            # Homes may differ between hosts, so each worker has paths of its own.
            spec["options"]["kwargs"] = {**spec["options"]["kwargs"], "security": _security_in(folder)}
        cluster.security = security()
        return _SshCluster(await cluster, {"hosts": list(options.hosts)}, options)

    def render(self, options: SshOptions) -> str:
        """Arguments of ``SSHCluster``; on each host the folder is that of who logs in."""
        given = cluster_options(options, f"$HOME/{_FOLDER}/{name_of(self.name, options)}")
        return yaml.safe_dump(json.loads(json.dumps({"SSHCluster": given})), sort_keys=False)


@dataclass(frozen=True)
class _SshCluster(StartedCluster):
    options: SshOptions = field(default_factory=SshOptions)

    @property
    def certificates(self) -> HostCertificates:
        """New files for every host, under the names that its processes were started with."""
        from ..renewal import HostCertificates

        return HostCertificates(lambda: _place_everywhere(self.options), (self.cluster.scheduler_comm,))

    async def scale(self, workers: int, idle: Sequence[str] = (), busy: int = 0) -> None:
        """There are as many workers as hosts; one that was lost is started again."""
        await finished(self.cluster.scale(len(self.cluster.worker_spec)))


def cluster_options(options: SshOptions, folder: str) -> dict[str, Any]:
    """Keyword arguments of ``SSHCluster`` where the TLS files are in ``folder``."""
    hosts = [host.rpartition("@")[2] for host in options.hosts]
    scheduler: dict[str, Any] = {"protocol": "tls", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    # Both end by themselves when this machine is gone and cannot tell them to.
    scheduler["idle_timeout"] = f"{60 * options.idle_minutes:g}s"
    worker: dict[str, Any] = {"protocol": "tls", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    worker["death_timeout"] = "60s"
    if all(is_loopback(f"tls://{host}:1") for host in hosts):
        scheduler["host"] = worker["host"] = "127.0.0.1"
    if options.threads:
        worker["nthreads"] = options.threads
    connect = [_connect_options(host, options) for host in options.hosts]
    return {
        "hosts": [hosts[0], *hosts],
        "connect_options": [connect[0], *connect],
        "scheduler_options": {**scheduler, "security": _security_in(folder)},
        "worker_options": {**worker, "security": _security_in(folder)},
        "remote_python": options.python,
    }


def _connect_options(host: str, options: SshOptions) -> dict[str, Any]:
    user, _, _ = host.rpartition("@")
    found: dict[str, Any] = {"port": options.port}
    if user:
        found["username"] = user
    if options.key_file:
        found["client_keys"] = [str(Path(options.key_file).expanduser())]
    if options.known_hosts:
        found["known_hosts"] = str(Path(options.known_hosts).expanduser())
    return found


def _security_in(folder: str) -> dict[str, Any]:
    """Dask's ``Security`` as JSON: paths on the host, never what is in the files."""
    roles = {
        f"tls_{role}_{part}": f"{folder}/{_REMOTE_FILES[file]}"
        for role in ("scheduler", "worker", "client")
        for part, file in (("cert", "certificate"), ("key", "key"))
    }
    return {"require_encryption": True, "tls_ca_file": f"{folder}/{_REMOTE_FILES['authority']}", **roles}


async def _place_everywhere(options: SshOptions) -> list[str]:
    """:func:`_place_files` for every host, in their order."""
    name = name_of(Ssh.name, options)
    return [await _place_files(host, options, name) for host in options.hosts]


async def _place_files(host: str, options: SshOptions, name: str) -> str:
    """Write this host's certificates on ``host``, over the encrypted connection; the folder there."""
    import asyncssh

    from ..security import ensure_certificates

    files = ensure_certificates()
    make = f"umask 077; mkdir -p {_FOLDER}/{name} && cd {_FOLDER}/{name} && chmod 700 . && pwd -P"
    try:
        async with asyncssh.connect(host.rpartition("@")[2], **_connect_options(host, options)) as connection:
            folder = str((await connection.run(make, check=True)).stdout).strip()
            for role, file in _REMOTE_FILES.items():
                command = f"umask 077; cat > {shlex.quote(f'{folder}/{file}')}"
                await connection.run(command, input=files[role].read_text(), check=True)
    except asyncssh.ProcessError as error:
        raise ClusterError(f"{host} could not take the TLS files: {error.stderr or error}") from None
    except (OSError, asyncssh.Error) as error:
        raise ClusterError(f"{host} could not be reached by SSH: {error}") from None
    return folder
