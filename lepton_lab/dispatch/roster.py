"""The workers of a cluster: who is there, who is free, and who gets the next run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from .job import Job
from .link import Link
from .order import RunOrder
from .workers import WorkerFacts, describe_worker, home_probe


class Roster:
    """Workers as they described themselves, each asked once."""

    def __init__(self) -> None:
        self.workers: dict[str, WorkerFacts] = {}
        self.problems: dict[str, str] = {}
        """Workers that cannot be used, by address, and why."""

    async def look(self, link: Link) -> set[str]:
        """See who came and who left; the addresses of all that are connected.

        Raises :class:`OSError` while no scheduler answers: then nobody is known to be there.
        """
        try:
            return await self._look(link)
        except OSError:
            self.workers, self.problems = {}, {}
            raise

    async def _look(self, link: Link) -> set[str]:
        identity = await link.client.scheduler.identity(n_workers=-1)
        there = {address: int(each["nthreads"]) for address, each in identity["workers"].items()}
        self.workers = {address: facts for address, facts in self.workers.items() if address in there}
        self.problems = {address: text for address, text in self.problems.items() if address in there}
        fresh = [address for address in there if address not in self.workers and address not in self.problems]
        if fresh:
            with home_probe() as probe:
                said = await link.client.run(describe_worker, probe, workers=fresh, on_error="return")
            for address, answer in said.items():
                if isinstance(answer, BaseException):
                    self.problems[address] = f"{type(answer).__name__}: {answer}"
                else:
                    self.workers[address] = WorkerFacts.of(address, there[address], answer)
        return set(there)

    def free_devices(self, jobs: Iterable[Job]) -> int:
        """How many more runs of one host could begin now."""
        busy = sum(job.devices(seat) for job in jobs if job.order.needs_device for seat in job.seats)
        devices = {(worker.site, device) for worker in self.workers.values() for device in worker.devices}
        return max(0, len(devices) - busy)

    def busy_workers(self, jobs: Iterable[Job]) -> set[str]:
        """Addresses of workers with a run; where a former agent sent one, every worker that it may be on."""
        taken = [(job, seat) for job in jobs if job.order.needs_device for seat in job.seats]
        sent = {seat.worker.address for _, seat in taken if seat.worker is not None}
        adopted = {job.site(seat) for job, seat in taken if seat.worker is None}
        return sent | {worker.address for worker in self.workers.values() if worker.site in adopted}

    def free_workers(self, jobs: Iterable[Job]) -> dict[WorkerFacts, int]:
        """Workers with a thread to watch a run on a free device, and how many such devices; least busy first."""
        taken = [(job, seat) for job in jobs if job.order.needs_device for seat in job.seats]
        at_site: Counter[str] = Counter()
        at_worker: Counter[str] = Counter()
        watched = Counter(seat.worker.address for _, seat in taken if seat.worker is not None)
        for job, seat in taken:
            at_site[job.site(seat)] += job.devices(seat)
            if seat.worker is not None:
                at_worker[seat.worker.address] += job.devices(seat)
        devices: dict[str, set[str]] = {}
        for worker in self.workers.values():
            devices.setdefault(worker.site, set()).update(worker.devices)
        free = {}
        for worker in sorted(self.workers.values(), key=lambda each: at_worker[each.address]):
            at_this_site = len(devices[worker.site]) - at_site[worker.site]
            count = min(at_this_site, len(worker.devices) - at_worker[worker.address])
            if count > 0 and watched[worker.address] < worker.threads:
                free[worker] = count
        return free

    def hosts_for(self, order: RunOrder) -> int:
        """How many hosts could take part in a run, were they free."""
        return len({worker.site for worker in self.workers.values() if worker.has_gpu or not order.gpu})


def choose(order: RunOrder, free: Mapping[WorkerFacts, int]) -> list[WorkerFacts]:
    """The workers that get a run, each on a host of its own: all that it needs, or none."""
    chosen: dict[str, WorkerFacts] = {}
    for worker, devices in free.items():
        if (worker.has_gpu or not order.gpu) and worker.devices_for(order.processes) <= devices:
            chosen.setdefault(worker.site, worker)
        if len(chosen) == order.workers:
            return list(chosen.values())
    return []
