"""The detached process of one cluster: ``python -m lepton_lab.dispatch.agent --cluster WORD``.

It asks the cluster's provider for a scheduler, is its only client of ours, and places runs on
its workers. Submitters speak to it over a control socket in the state folder (:mod:`.door`),
so that no front end imports Dask or holds a connection to lose.

It ignores interrupts, reads nobody's Dask configuration, and stops when it has had nothing to
do for half an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..record import RunFolder, write_json
from ..redaction import redact
from .devices import host_devices
from .door import PROTOCOL, AgentDoor
from .environment import import_environment, spare_key
from .job import Job
from .link import Link
from .order import RunOrder
from .processes import ProcessMark
from .providers import LOCAL, Provider, ProviderOptions, find_provider
from .providers.provider import StartedOptions
from .queue import RunQueue
from .readiness import report
from .reconciling import unfinished_jobs
from .spare import SPARE_IDLE_SECONDS, SpareKeeper
from .usage import Wakefulness, WorkerHours

CLUSTER_IDLE_SECONDS = 1800.0
"""Without work for so long, the process ends. ``LEPTON_CLUSTER_IDLE_SECONDS`` says otherwise."""
_TAKEOVER_SECONDS = 10.0  # for the agent before this one to close
_CLOSE_SECONDS = 3.0
_REFILL_SECONDS = 10.0
_GIVE_BACK_SECONDS = 120.0  # machines and jobs are ended one by one, by others
_LINE_BYTES = 2**22


@dataclass
class Agent:
    """The provider's cluster, a client of it, the queue of runs, and the control socket."""

    cluster: str
    provider: Provider
    options: ProviderOptions
    build: str
    keeper: SpareKeeper
    idle_seconds: float
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    """Of who started it: for the runs that a former agent left."""
    started: float = field(default_factory=time.time)
    _last_used: float = field(default_factory=time.monotonic)
    _spare_for: tuple[dict[str, str], str] | None = None
    _wants_spare: bool = False

    async def start(self) -> None:
        """Bring the cluster up. Raises what Dask and the provider raise.

        A cluster that others start may still be down: then runs wait for it.
        """
        from .dask_servers import configure

        configure(with_users=isinstance(self.options, StartedOptions))
        self.door = AgentDoor(self.cluster)
        self.stopped = asyncio.Event()
        self._wanted = self.options.workers if isinstance(self.options, StartedOptions) else None
        self._next_refill = 0.0
        self._wakefulness = Wakefulness(self.idle_seconds)
        self._worker_hours = WorkerHours()
        self.link = Link(self.provider, self.options)
        try:
            await self.link.connect()
        except Exception:
            if not self.provider.is_found:
                raise
        self.queue = RunQueue(self.link, self.cluster == LOCAL, self._rest)
        for job in unfinished_jobs(self.cluster, self.environment):
            self.queue.add(job)
        self._placing = asyncio.create_task(self.queue.run())
        self._connecting = asyncio.create_task(self.link.stay())
        self.door.control.unlink(missing_ok=True)
        self.server = await asyncio.start_unix_server(self._serve, str(self.door.control), limit=_LINE_BYTES)
        self.door.control.chmod(0o600)
        write_json(self.door.identity, self._identity(), mode=0o600)

    async def run(self) -> None:
        """Serve until told to stop, or idle for too long."""
        while not self.stopped.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopped.wait(), 1.0)
            if self._placing.done():
                self._placing.result()  # it never ends by itself: this raises what broke it
            await self.link.look_after_certificates()
            if self._wanted is not None:
                self._worker_hours.count(self._wanted)
            if self.queue.jobs:
                await self._refill()
                if self.cluster != LOCAL and self.link.is_up:
                    self._wakefulness.show(self.link.client)
                continue
            idle = time.monotonic() - self._last_used
            if idle > self.idle_seconds or not self.door.control.exists():
                break

    async def _refill(self) -> None:
        """Ask again for workers that were promised: jobs end at their walltime, cheap machines are taken away."""
        now = time.monotonic()
        if self._wanted is None or not self.link.is_up or now < self._next_refill:
            return
        self._next_refill = now + _REFILL_SECONDS
        try:
            await self._ask_for_workers(self._wanted)
        except Exception as error:  # noqa: BLE001  whatever the library raises, the runs that run go on
            sys.stderr.write(f"could not ask for workers again: {type(error).__name__}: {redact(str(error))}\n")

    async def close(self) -> None:
        """Let everything go; running supervisors go on by themselves."""
        self._placing.cancel()
        self._connecting.cancel()
        self.queue.close()  # the client's end is not the end of its runs
        await asyncio.sleep(0)
        self.server.close()
        self.door.control.unlink(missing_ok=True)
        self.door.identity.unlink(missing_ok=True)
        self.keeper.stop(wait_seconds=3.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS if self.cluster == LOCAL else _GIVE_BACK_SECONDS):
                await self.link.close()

    def _identity(self) -> dict[str, Any]:
        return {
            "cluster": self.cluster,
            "provider": self.provider.name,
            "address": self.link.where,
            **ProcessMark.of(os.getpid()).to_dict(),
            "since": self.started,
            "build": self.build,
            "protocol": PROTOCOL,
            "python": sys.executable,
        }

    # Control socket

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            if line:
                answer = await self._answer(json.loads(line))
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the other end left, or is not one of ours
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        operations = {
            "check": self._check,
            "children": self._children,
            "scale": self._scale,
            "spare": self._spare,
            "status": self._status,
            "stop": self._stop,
            "submit": self._submit,
        }
        jobs = self.queue.jobs
        if request.get("protocol") != PROTOCOL or (request["build"] != self.build and not jobs):
            if request["operation"] == "stop" and not jobs:
                return await self._stop(request)
            return {"outdated": True, "busy": sorted(jobs), "pid": os.getpid()}
        if request["operation"] not in ("status", "children"):
            self._last_used = time.monotonic()
        operation = operations.get(str(request["operation"]))
        if operation is None:
            return {"error": f"unknown operation {request['operation']!r}"}
        try:
            return await operation(request)
        except Exception as error:  # noqa: BLE001  it is reported to who asked
            return {"error": f"{type(error).__name__}: {error}"}

    async def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        jobs = self.queue.jobs
        if not jobs:
            with contextlib.suppress(OSError):  # its problem is told below
                await self.queue.look_at_workers()  # with jobs it looks all the time
        workers = list(self.queue.roster.workers.values())
        running = [run for run, job in jobs.items() if job.is_active]
        return {
            **self._identity(),
            **(self.link.live.info() if self.link.live is not None else {}),
            "devices": host_devices() if self.cluster == LOCAL else [each for one in workers for each in one.devices],
            "workers": [each.to_dict() for each in workers],
            "free_devices": self.queue.free_devices(),
            "problems": self.queue.roster.problems if self.link.is_up else {"scheduler": self.link.problem},
            "running": running,
            "queued": [run for run in jobs if run not in running],
            "spare": self.keeper.state(),
            "worker_hours": self._worker_hours.to_list(),
            "idle_seconds": 0.0 if jobs else time.monotonic() - self._last_used,
        }

    async def _spare(self, request: dict[str, Any]) -> dict[str, Any]:
        self.prepare_spare(request)
        return {"spare": self.keeper.state()}

    async def _check(self, request: dict[str, Any]) -> dict[str, Any]:
        """What every worker says to a question, for :func:`.readiness.check_workers`."""
        if not self.link.is_up:
            return {"error": self.link.problem}
        await self.queue.look_at_workers()
        facts, client = self.queue.roster.workers, self.link.client
        said = await client.run(report, request["question"], workers=list(facts), on_error="return") if facts else {}
        broken = {address: str(each) for address, each in said.items() if isinstance(each, BaseException)}
        return {
            "reports": {
                address: {**each, "shares_home": facts[address].shares_home, "site": facts[address].site}
                for address, each in said.items()
                if address not in broken
            },
            "problems": {**self.queue.roster.problems, **broken},
        }

    async def _children(self, request: dict[str, Any]) -> dict[str, Any]:
        jobs = self.queue.jobs
        return {"children": [run for run, job in jobs.items() if job.order.parent == request["run"]]}

    async def _scale(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for a number of workers. Only those without a run may be taken away."""
        if not self.link.is_up:
            return {"error": self.link.problem}
        self._wanted = int(request["workers"])
        return await self._ask_for_workers(self._wanted)

    async def _ask_for_workers(self, workers: int) -> dict[str, Any]:
        identity = await self.link.client.scheduler.identity(n_workers=-1)
        busy = self.queue.busy_workers() & set(identity["workers"])
        idle = [str(each["name"]) for address, each in identity["workers"].items() if address not in busy]
        if self.link.live is not None:
            await self.link.live.scale(workers, idle, len(busy))
        return {"asked": workers, "connected": len(identity["workers"]), "busy": len(busy)}

    async def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        unfinished = sorted(run for run, job in self.queue.jobs.items() if job.folder.final() is None)
        if unfinished:
            return {"busy": unfinished, "pid": os.getpid()}
        self.stopped.set()
        return {"stopping": True, "pid": os.getpid()}

    async def _submit(self, request: dict[str, Any]) -> dict[str, Any]:
        order = RunOrder.from_dict(request["order"], request["environment"])
        if self.cluster == LOCAL and order.needs_device:
            self._wants_spare = order.use_spare
            self._spare_for = (import_environment(order.environment.values), order.worker_module)
            if not order.use_spare or self.keeper.key != spare_key(order.environment.values, order.worker_module):
                self.keeper.stop()
        self.queue.add(Job(RunFolder(Path(request["run_dir"])), order))
        return {"pid": os.getpid()}

    def _rest(self) -> None:
        """No run is left: time for a spare."""
        self._last_used = time.monotonic()
        if self._wants_spare and self._spare_for is not None:
            self.keeper.refill(*self._spare_for)

    def prepare_spare(self, request: dict[str, Any]) -> None:
        """Start a spare for the runs that this submitter is likely to send."""
        if self.cluster != LOCAL:
            return  # a spare serves the machine that it is on
        self._wants_spare = bool(request["use_spare"])
        self._spare_for = (import_environment(request["environment"]), request["worker_module"])
        if self._wants_spare:
            self.keeper.refill(*self._spare_for)


def main(arguments: list[str] | None = None) -> None:
    """Start detached; say ``ready`` on standard output when runs can be taken."""
    parser = argparse.ArgumentParser(prog="lepton_lab.dispatch.agent")
    parser.add_argument("--cluster", default=LOCAL)
    cluster = parser.parse_args(arguments).cluster
    request = json.loads(sys.stdin.readline())
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork():  # who started this process need not wait for it
        os._exit(0)
    if not _begin_life(AgentDoor(cluster).lifetime):
        sys.exit(f"Another agent of cluster {cluster} runs with this state folder, and does not answer.")
    provider, options = find_provider(cluster)
    options = options.model_copy(update=request.get("options", {}))
    keeper = SpareKeeper(float(os.environ.get("LEPTON_SPARE_IDLE_SECONDS") or SPARE_IDLE_SECONDS))
    idle_seconds = float(os.environ.get("LEPTON_CLUSTER_IDLE_SECONDS") or idle_seconds_of(options))
    agent = Agent(cluster, provider, options, request["build"], keeper, idle_seconds, request["environment"])
    # The spare imports torch while this process imports Dask.
    agent.prepare_spare(request)
    try:
        asyncio.run(_run(agent))
    except BaseException:
        agent.keeper.stop()
        raise


def idle_seconds_of(options: ProviderOptions) -> float:
    """How long a cluster with these options lives without a run."""
    return 60 * options.idle_minutes if isinstance(options, StartedOptions) else CLUSTER_IDLE_SECONDS


def _begin_life(path: Path) -> bool:
    """Lock ``path`` for as long as this process lives; False if another keeps it, and is not just closing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _TAKEOVER_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return False
            time.sleep(0.05)


async def _run(agent: Agent) -> None:
    await agent.start()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, agent.stopped.set)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    os.dup2(2, 1)
    await agent.run()
    await agent.close()
    sys.stderr.flush()
    os._exit(0)  # threads that watch supervisors must not hold this process


if __name__ == "__main__":
    main()
