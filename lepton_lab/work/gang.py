"""Several processes that train one model, led by the process that a supervisor started.

::

    supervisor ──stdin, signals──> leader (this module; torch.distributed.run's agent in a thread)
                                     └─ ranks: python -m lepton_lab.work.worker --rank

The leader passes on what it is asked over one pipe, the ranks' standard input: a letter that any rank
reads and all agree on at their next step. Ranks get their order by environment; nothing of it is on
disk. If one is lost, all are ended, and the next attempt goes on from the last complete checkpoint.

Over several hosts there is a leader on each. What becomes of the first host's ranks becomes of the
attempt, so ranks elsewhere leave it their last words in the store where they met.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..record import AttemptFolder

ORDER_VARIABLE = "LEPTON_RANK_ORDER"
STOP, SAVE, ORPHANED = b"t", b"s", b"o"

# What says more of the cause comes first; the others only lost a rank.
_CAUSES = ("request", "disk", "memory_final", "memory")
_LOST_WORDS = ("closed by peer", "reset by peer", "broken pipe", "timed out", "nccl", "gloo")
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>


@dataclass(frozen=True)
class Hosts:
    """Where a gang over several hosts meets; of one host by default.

    ``rdzv`` is ``HOST:PORT`` of the first host; ``interface`` names the network device to use.
    """

    nodes: int = 1
    node_rank: int = 0
    rdzv: str = ""
    interface: str = ""


def lead(attempt: AttemptFolder, order: dict[str, Any], processes: int) -> None:
    """Start the ranks of this host, look after them, and write the outcome they came to."""
    hosts = Hosts(**(order.get("gang") or {}))
    meeting = Path(tempfile.mkdtemp(prefix="lepton-gang-"))
    rank_order = {
        "run_dir": order["run_dir"],
        "attempt": order["attempt"],
        "threads": max(1, int(order["threads"]) // processes),
        "host": hosts.node_rank,
        "store": str(meeting / "store") if hosts.nodes == 1 else None,
        "leader": os.getpid(),
    }
    os.environ[ORDER_VARIABLE] = json.dumps(rank_order)
    os.environ["OMP_NUM_THREADS"] = str(rank_order["threads"])
    # On one host nothing is to be heard outside it.
    interface = hosts.interface or (_loopback() if hosts.nodes == 1 else "")
    if interface:
        os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = interface
    control = _pass_on_requests()
    failures: list[Any] = []
    agent = threading.Thread(target=_run_ranks, args=(hosts, processes, failures), name="ranks")
    try:
        agent.start()
        # Not joined for ever: signals come between.
        while agent.is_alive():
            agent.join(0.1)
    finally:
        os.close(control)
        shutil.rmtree(meeting, ignore_errors=True)
    attempt.free_reserve()
    outcome = decide(attempt.rank_outcomes(), failures, hosts.node_rank * processes)
    attempt.write_outcome(outcome.pop("status"), **outcome)


def _run_ranks(hosts: Hosts, processes: int, failures: list[Any]) -> None:
    """Run the ranks to their end under the agent of ``torch.distributed.run``; what failed goes to ``failures``."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch
    from torch.distributed.run import config_from_args, parse_args

    arguments = [f"--nproc-per-node={processes}", f"--nnodes={hosts.nodes}", "--max-restarts=0"]
    if hosts.nodes == 1:
        from .meeting import ONE_HOST, register_one_host

        register_one_host()
        arguments += [f"--rdzv-backend={ONE_HOST}", "--rdzv-endpoint=localhost"]
    else:
        arguments += ["--rdzv-backend=static", f"--rdzv-endpoint={hosts.rdzv}", f"--node-rank={hosts.node_rank}"]
    config, command, rest = config_from_args(parse_args([*arguments, "-m", "lepton_lab.work.worker", "--rank"]))
    try:
        elastic_launch(config, command)(*rest)
    except ChildFailedError as error:
        failures += error.failures.items()
    except Exception as error:  # noqa: BLE001 - of the agent itself: told as what became of the gang
        failures.append((-1, error))


def _pass_on_requests() -> int:
    """Make the ranks' standard input a pipe of ours, and write to it what we are asked; its descriptor."""
    supervisor = os.dup(0)
    reader, writer = os.pipe()
    os.dup2(reader, 0)
    os.close(reader)

    def send(word: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(writer, word)

    def watch() -> None:
        while os.read(supervisor, 4096):
            pass
        send(ORPHANED)

    signal.signal(signal.SIGTERM, lambda *_: send(STOP))
    signal.signal(signal.SIGUSR1, lambda *_: send(SAVE))
    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()
    return writer


def end_with_leader(leader: int) -> None:
    """Let this rank die when its leader does, where the system can; it is in a session of its own."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != leader:
        os._exit(1)


def decide(outcomes: list[dict[str, Any]], failures: Iterable[tuple[int, Any]], first_rank: int = 0) -> dict[str, Any]:
    """What became of the ranks of a host, from their last words (those of ``first_rank`` first) and their ends."""
    failed = list(failures)
    first = next((each for each in outcomes if each.get("rank") == first_rank), None)
    if first is not None and (first["status"] == "succeeded" or not failed):
        return _plain(first)
    for cause in _CAUSES:
        for outcome in outcomes:
            if outcome.get("reason") == cause:
                return _plain(outcome)
    killed = [(rank, failure) for rank, failure in failed if -signal.SIGTERM != getattr(failure, "exitcode", 0) < 0]
    if killed:
        rank, failure = killed[0]
        return _lost(f"rank {rank} was killed by {signal.Signals(-failure.exitcode).name}")
    for outcome in sorted(outcomes, key=lambda each: float(each["time"])):
        lost_another = outcome.get("reason") == "error" and any(
            word in outcome["message"].lower() for word in _LOST_WORDS
        )
        if outcome["status"] != "succeeded" and not lost_another:
            return _plain(outcome)
    if failed and isinstance(failed[0][1], Exception):
        return _lost(f"the ranks could not be started: {failed[0][1]}")
    return _lost("a rank was lost")


def _lost(how: str) -> dict[str, Any]:
    message = f"{how}; the next attempt starts all ranks from the last complete checkpoint"
    return {"status": "failed", "reason": "rank", "message": message}


def _plain(outcome: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in outcome.items() if name not in ("rank", "time")}


def _loopback() -> str:
    import socket

    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in ("lo", "lo0") if name in names), "")
