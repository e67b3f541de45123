"""Where the hosts of a gang meet: asked of each worker before an attempt on several hosts begins."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import Any

from .devices import DeviceLock, usable_devices
from .job import Job
from .link import Link


async def gather_hosts(link: Link, job: Job) -> str:
    """Give every seat of a gang its place; who keeps the gang from beginning, or an empty string.

    Raises what the workers raise, and :class:`OSError` while no scheduler answers.
    """
    workers = [seat.worker for seat in job.seats if seat.worker is not None]
    addresses = [each.address for each in workers]
    said = await link.client.run(describe_host, job.order.processes, workers=addresses)
    busy = [each.host for each in workers if not said[each.address]["is_free"]]
    if busy:
        return ", ".join(busy)
    first = said[workers[0].address]
    for seat, worker in zip(job.seats, workers, strict=True):
        if seat.place is not None:
            seat.place = replace(seat.place, rdzv=first["meeting"], interface=said[worker.address]["interface"])
    return ""


def describe_host(processes: int, dask_worker: Any) -> dict[str, Any]:
    """Runs on the worker, which Dask fills in: the network device that it uses itself, and where others could meet it.

    ``is_free`` tells whether as many of its devices as that takes are used by nobody, other submitters included.
    """
    address = str(dask_worker.ip)
    interface = _interface_of(address)
    host = f"[{address}]" if ":" in address else address
    lock = DeviceLock(usable_devices(os.environ), processes)
    try:
        return {
            "interface": interface,
            "meeting": f"{host}:{_free_port(address if interface else '')}",
            "is_free": lock.acquire(),
        }
    finally:
        lock.release()


def _interface_of(address: str) -> str:
    """The network device that has an address; empty if none has, as behind a translation of addresses."""
    import psutil  # Dask needs it

    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address.partition("%")[0] == address for each in addresses):
            return str(name)
    return ""


def _free_port(address: str) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
