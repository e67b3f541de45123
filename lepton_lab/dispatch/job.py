"""A run that was handed over and is not over, as the agent sees it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..record import LOST_AFTER_SECONDS, AttemptFolder, RunFolder, view_of
from .attempt import AttemptPlan, GangPlace
from .devices import VISIBLE
from .endings import AttemptLimit
from .order import RunOrder
from .placing import Way
from .watching import supervisor_of
from .workers import WorkerFacts, site_of


@dataclass
class Seat:
    """One host's part of an attempt. Only a gang has more than one."""

    worker: WorkerFacts | None = None
    """Where we sent it; None where a former agent did that."""
    place: GangPlace | None = None
    """Its place in the gang, if it is one."""
    way: Way | None = None
    """How it got there, if by us."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker has left the cluster."""

    @property
    def host(self) -> int:
        """The number of this host in its gang."""
        return self.place.node_rank if self.place else 0


@dataclass
class Job:
    """One run, and where its attempt is."""

    folder: RunFolder
    order: RunOrder
    number: int = 1
    """Of the attempt that runs, or is next."""
    seats: list[Seat] = field(default_factory=list)
    """Where the attempt runs; none while the run waits."""
    watch: asyncio.Task[None] | None = None
    may_start: bool = False
    """Whether the runs before it are known to be over."""
    rests_until: float = 0.0
    """When to try again, by the monotonic clock, after the hosts were found to be used by others."""
    _waits_for: str = ""

    @property
    def is_active(self) -> bool:
        """Whether the attempt runs."""
        return self.watch is not None

    @property
    def attempt(self) -> AttemptFolder:
        """The attempt that runs, or is next."""
        return self.folder.attempt(self.number)

    def part(self, seat: Seat) -> AttemptFolder:
        """What is told of the attempt on one host."""
        return self.folder.attempt(self.number, seat.host)

    def site(self, seat: Seat) -> str:
        """Whose device a seat uses; empty where that is not known."""
        if seat.worker is not None:
            return seat.worker.site
        supervisor = supervisor_of(self.part(seat))
        return site_of(supervisor) if supervisor is not None else ""

    def take_seats(self, workers: list[WorkerFacts]) -> None:
        """The next attempt goes to these, the first of which leads if they are several."""
        self.seats = [Seat(worker, self._place(number, len(workers))) for number, worker in enumerate(workers)]

    def find_seats(self) -> None:
        """The attempt is where a former agent sent it."""
        hosts = [0, *(part.host for part in self.folder.parts_elsewhere(self.number))]
        self.seats = [Seat(place=self._place(host, self.order.workers)) for host in hosts]

    def wait_for(self, what: str) -> None:
        """Tell viewers what keeps the run waiting, if it is not only its turn."""
        if what != self._waits_for:
            self._waits_for = what
            with contextlib.suppress(OSError):
                self.folder.tell_waiting(what)

    def plan(self, seat: Seat, stays: bool) -> AttemptPlan:
        """What a seat's host needs to know; ``stays`` as of the plan."""
        return AttemptPlan(
            run_dir=str(self.folder.path),
            number=self.number,
            gang=seat.place,
            cpus=self.order.cpus,
            processes=self.order.processes,
            sharers=self._sharers(seat),
            grace_seconds=self.order.grace_seconds,
            orphan_grace_seconds=self.order.orphan_grace_seconds,
            stays=stays or not self.order.needs_device,
            limit=AttemptLimit.of(self.folder, self.order.max_attempts),
            needs_device=self.order.needs_device,
            use_spare=self.order.use_spare and self.order.needs_device,
            worker_module=self.order.worker_module,
            # Which devices a worker elsewhere may use was said to it.
            environment=self.order.environment if stays else self.order.environment.without(VISIBLE),
        )

    def devices(self, seat: Seat) -> int:
        """How many devices a seat takes."""
        return seat.worker.devices_for(self.order.processes) if seat.worker is not None else 1

    def is_next(self) -> bool:
        """Whether the runs that this one waits for will not change any more."""
        return all(_is_over(self.folder.path.with_name(run)) for run in self.order.after)

    def parent_problem(self) -> str:
        """Why this run cannot start, if its parent run did not succeed."""
        if not self.order.parent:
            return ""
        above = RunFolder(self.folder.path.with_name(self.order.parent))
        if not above.path.is_dir():
            return f"its parent run {above.run} is not there any more"
        status = view_of(above).status
        return "" if status == "succeeded" else f"its parent run {above.run} ended {status}"

    def credentials_problem(self) -> str:
        """Why this run cannot start, if the agent lacks what the submitter had."""
        missing = self.order.missing_credentials()
        if not missing:
            return ""
        return (
            f"The agent that took the run over has not {', '.join(missing)}, which the submitter had. "
            f"Set it and go on with: lepton resume {self.folder.run}"
        )

    def _sharers(self, seat: Seat) -> int:
        if seat.worker is None:
            return 1
        return len(seat.worker.devices) // self.devices(seat)

    def _place(self, host: int, hosts: int) -> GangPlace | None:
        return GangPlace(hosts, host) if hosts > 1 else None


def _is_over(path: Path) -> bool:
    folder = RunFolder(path)
    if not path.is_dir() or folder.final() is not None:
        return True
    attempts = folder.attempts()
    beat = attempts[-1].heartbeat_time() if attempts else None
    return beat is not None and time.time() - beat > LOST_AFTER_SECONDS
