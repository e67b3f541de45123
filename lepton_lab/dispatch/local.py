"""The detached process of this host: ``python -m lepton_lab.dispatch.local``.

A Dask scheduler, a worker and a client in one process and one event loop, all on
loopback and under TLS, behind a control socket in the state folder. Submitters speak
to the socket (:mod:`.cluster`); this process is the Dask client that keeps their runs'
futures, so no notebook has to.

It ignores interrupts, reads nobody's Dask configuration, and stops when it has had
nothing to do for half an hour.
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

from .. import places
from ..record import RunFolder, write_json
from .cluster import PROTOCOL, control_path
from .devices import host_devices
from .environment import import_environment, spare_key
from .processes import ProcessMark
from .spare import SPARE_IDLE_SECONDS, SpareKeeper

CLUSTER_IDLE_SECONDS = 1800.0
"""Without work for so long, the process ends. ``LEPTON_CLUSTER_IDLE_SECONDS`` says otherwise."""
_LINE_BYTES = 2**22


@dataclass
class Job:
    """A run that this process handed to Dask."""

    folder: RunFolder
    parent: str
    future: Any
    watch: asyncio.Task[None] | None = None


@dataclass
class Agent:
    """Scheduler, worker, client and control socket."""

    build: str
    keeper: SpareKeeper
    idle_seconds: float
    dashboard: bool = False
    started: float = field(default_factory=time.time)
    jobs: dict[str, Job] = field(default_factory=dict)
    _last_used: float = field(default_factory=time.monotonic)
    _spare_for: tuple[dict[str, str], str] | None = None
    _wants_spare: bool = False

    async def start(self) -> None:
        """Bring Dask up. Raises what Dask raises."""
        from distributed import Client

        from .dask_servers import start_scheduler, start_worker

        self.stopped = asyncio.Event()
        self.devices = host_devices()
        self.scheduler = await start_scheduler(self.dashboard)
        self.worker = await start_worker(self.scheduler.address, len(self.devices))
        self.client = await Client(
            self.scheduler.address,
            security=self.scheduler.security,
            asynchronous=True,
            set_as_default=False,
            name="lepton-lab",
        )
        path = control_path()
        path.unlink(missing_ok=True)
        self.server = await asyncio.start_unix_server(self._serve, str(path), limit=_LINE_BYTES)
        path.chmod(0o600)
        write_json(places.state_dir() / "scheduler.json", self._identity(), mode=0o600)

    async def run(self) -> None:
        """Serve until told to stop, or idle for too long."""
        while not self.stopped.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopped.wait(), 1.0)
            if self.jobs:
                continue
            idle = time.monotonic() - self._last_used
            if idle > self.idle_seconds or not control_path().exists():
                break

    async def close(self) -> None:
        """Let everything go; running supervisors go on by themselves."""
        for job in self.jobs.values():
            if job.watch is not None:
                job.watch.cancel()  # the client's end is not the end of its runs
        await asyncio.sleep(0)
        self.server.close()
        control_path().unlink(missing_ok=True)
        (places.state_dir() / "scheduler.json").unlink(missing_ok=True)
        self.keeper.stop(wait_seconds=3.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await self.client.close()
                await self.worker.close(executor_wait=False)
                await self.scheduler.close()

    def _identity(self) -> dict[str, Any]:
        return {
            "address": self.scheduler.address,
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
            "children": self._children,
            "spare": self._spare,
            "status": self._status,
            "stop": self._stop,
            "submit": self._submit,
        }
        if request.get("protocol") != PROTOCOL or (request["build"] != self.build and not self.jobs):
            if request["operation"] == "stop" and not self.jobs:
                return await self._stop(request)
            return {"outdated": True, "busy": sorted(self.jobs), "pid": os.getpid()}
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
        running = [run for run, job in self.jobs.items() if any(job.folder.attempts())]
        return {
            **self._identity(),
            "devices": self.devices,
            "running": running,
            "queued": [run for run in self.jobs if run not in running],
            "spare": self.keeper.state(),
            "dashboard": getattr(self.scheduler, "lepton_dashboard", ""),
            "idle_seconds": 0.0 if self.jobs else time.monotonic() - self._last_used,
        }

    async def _spare(self, request: dict[str, Any]) -> dict[str, Any]:
        self.prepare_spare(request)
        return {"spare": self.keeper.state()}

    async def _children(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"children": [run for run, job in self.jobs.items() if job.parent == request["run"]]}

    async def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        unfinished = sorted(run for run, job in self.jobs.items() if job.folder.final() is None)
        if unfinished:
            return {"busy": unfinished, "pid": os.getpid()}
        self.stopped.set()
        return {"stopping": True, "pid": os.getpid()}

    async def _submit(self, request: dict[str, Any]) -> dict[str, Any]:
        from .attempt import AttemptPlan, run_attempt, wait_for_runs
        from .environment import JobEnvironment, allotted_threads

        if not any(state.resources.get("device") for state in self.scheduler.workers.values()):
            return {"error": "no worker of the local cluster offers a device"}
        folder = RunFolder(Path(request["run_dir"]))
        environment = request["environment"]
        plan = AttemptPlan(
            run_dir=request["run_dir"],
            number=int(request["attempt"]),
            threads=allotted_threads(request["cpus"], environment, len(self.devices)),
            grace_seconds=float(request["grace_seconds"]),
            use_spare=bool(request["use_spare"]),
            worker_module=request["worker_module"],
            environment=JobEnvironment(environment),
        )
        self._wants_spare = plan.use_spare
        self._spare_for = (import_environment(environment), plan.worker_module)
        if not plan.use_spare or self.keeper.key != spare_key(environment, plan.worker_module):
            self.keeper.stop()
        # First come, first served, across whatever happened to this process meanwhile.
        priority = -float(request["created"])
        waited = None
        if request["after"]:
            known = [self.jobs[run].future for run in request["after"] if run in self.jobs]
            paths = [str(folder.path.with_name(run)) for run in request["after"]]
            waited = self.client.submit(
                wait_for_runs, paths, known, key=f"wait-{folder.run}-{plan.number}", pure=False, priority=priority
            )
        key = f"lepton-{folder.run}-{plan.number}"
        future = self.client.submit(
            run_attempt, plan, waited, key=key, pure=False, priority=priority, resources={"device": 1}
        )
        job = Job(folder, request["parent"], future)
        self.jobs[folder.run] = job
        job.watch = asyncio.create_task(self._watch(job, plan.number))
        await self.client.publish_dataset(future, name=key, override=True)
        return {"key": key, "pid": os.getpid()}

    async def _watch(self, job: Job, number: int) -> None:
        """Wait for a run's task; a task that broke, which is our fault, ends its run."""
        from .endings import end_attempt

        try:
            await job.future.result()
        except Exception as error:  # noqa: BLE001  it becomes the run's final state
            if job.folder.path.is_dir() and job.folder.final() is None:
                attempt = job.folder.attempt(number)
                attempt.path.mkdir(exist_ok=True)
                message = f"The task that watched the run broke: {type(error).__name__}: {error}"
                end_attempt(job.folder, attempt, {"status": "failed", "reason": "dispatch", "message": message})
        finally:
            self.jobs.pop(job.folder.run, None)
            self._last_used = time.monotonic()
        if not self.jobs and self._wants_spare and self._spare_for is not None:
            self.keeper.refill(*self._spare_for)
        await self.client.unpublish_dataset(job.future.key)

    def prepare_spare(self, request: dict[str, Any]) -> None:
        """Start a spare for the runs that this submitter is likely to send."""
        self._wants_spare = bool(request["use_spare"])
        self._spare_for = (import_environment(request["environment"]), request["worker_module"])
        if self._wants_spare and not self.jobs:
            self.keeper.refill(*self._spare_for)


def main(arguments: list[str] | None = None) -> None:
    """Start detached; say ``ready`` on standard output when runs can be taken."""
    parser = argparse.ArgumentParser(prog="lepton_lab.dispatch.local")
    parser.add_argument("--dashboard", action="store_true")
    options = parser.parse_args(arguments)
    request = json.loads(sys.stdin.readline())
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork():  # who started this process need not wait for it
        os._exit(0)
    lifetime = os.open(places.state_dir() / "cluster.alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lifetime, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("Another local cluster runs with this state folder, and does not answer.")
    keeper = SpareKeeper(float(os.environ.get("LEPTON_SPARE_IDLE_SECONDS") or SPARE_IDLE_SECONDS))
    idle_seconds = float(os.environ.get("LEPTON_CLUSTER_IDLE_SECONDS") or CLUSTER_IDLE_SECONDS)
    agent = Agent(request["build"], keeper, idle_seconds, options.dashboard)
    # The spare imports torch while this process imports Dask.
    agent.prepare_spare(request)
    try:
        asyncio.run(_run(agent))
    except BaseException:
        agent.keeper.stop()
        raise
    sys.stderr.flush()
    os._exit(0)  # threads that watch supervisors must not hold this process


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
    os._exit(0)


if __name__ == "__main__":
    main()
