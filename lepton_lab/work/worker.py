"""The process that does one attempt of one run: ``python -m lepton_lab.work.worker [--spare | --rank]``.

It reads one JSON line on its standard input: ``run_dir``, ``attempt``, ``threads``, ``env``. With
``--spare`` it first does the heavy imports, says ``ready``, and then waits for that line.

========================  =====================================================================
SIGTERM                   save at the next step boundary, outcome ``cancelled``
SIGUSR1                   save a checkpoint now and go on
end of standard input     the supervisor is gone: save and leave after ``orphan_grace_seconds``
========================  =====================================================================

The last thing it does is to write the attempt's ``outcome.json``; then it exits with 0.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import telemetry
from ..errors import DiskFull, Problem, RequestError
from ..record import AttemptFolder, BatchPlan, RunFolder, memory_problem, plan_of
from ..redaction import RedactingStream
from . import gang
from .context import Stopped, WorkContext
from .memory import is_out_of_memory
from .ranks import Ranks, Silence

Job = Callable[[WorkContext], dict[str, Any]]
"""What is done: the final metrics, or an exception."""

_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
}


def main(job: Job | None = None) -> None:
    """Read the order, do it (``job``, or the one of the recipe's kind), write the outcome."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    telemetry.switch_off()
    sys.stdout, sys.stderr = RedactingStream(sys.stdout), RedactingStream(sys.stderr)  # they go to a log on disk
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a shell is the supervisor's business
    if "--rank" in sys.argv[1:]:
        _run_rank(json.loads(os.environ.pop(gang.ORDER_VARIABLE)))
        return
    spare = "--spare" in sys.argv[1:]
    if spare:
        from .warming import warm_up

        warm_up()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    line = _read_line()
    if not line.strip():
        return  # a spare that nobody needed
    order = json.loads(line)
    os.environ.update(order.get("env") or {})
    folder = RunFolder(Path(order["run_dir"]))
    gang_order = order.get("gang") or {}
    attempt = folder.attempt(int(order["attempt"]), int(gang_order.get("node_rank", 0)))
    if spare:
        _redirect(attempt)
    processes = _processes(folder)
    if processes > 1 or gang_order:
        attempt.keep_reserve()
        gang.lead(attempt, order, processes)
    else:
        outcome = _run(folder, attempt, int(order["threads"]), job or _do_job)
        attempt.write_outcome(outcome.pop("status"), **outcome)


def _processes(folder: RunFolder) -> int:
    """How many processes of this host train; 1 for everything else."""
    try:
        recipe = folder.recipe()
    except RequestError:
        return 1  # said where the recipe is needed
    return recipe.resources.processes if recipe.kind == "train" else 1


def _run_rank(order: dict[str, Any]) -> None:
    """One process of a gang: what it writes of its end, the leader reads."""
    gang.end_with_leader(int(order["leader"]))
    folder = RunFolder(Path(order["run_dir"]))
    attempt = folder.attempt(int(order["attempt"]), int(order["host"]))
    ranks = Ranks.join(order["store"])
    outcome = _run(folder, attempt, int(order["threads"]), _do_job, ranks)
    attempt.write_rank_outcome(ranks.rank, outcome)
    if outcome["status"] == "failed":
        for rank, said in ranks.exchange_last_words(outcome).items():
            attempt.write_rank_outcome(rank, said)
        os._exit(1)  # the others may wait for this one for ever: the leader ends them
    ranks.leave()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads of gloo may abort a process that ends slowly, and its host would take that for a loss


def _read_line() -> bytes:
    """One line of standard input, byte by byte, so that what follows stays unread."""
    line = bytearray()
    while byte := os.read(0, 1):
        line += byte
        if byte == b"\n":
            break
    return bytes(line)


def _redirect(attempt: AttemptFolder) -> None:
    """A spare's output goes to the log of the attempt it now belongs to."""
    log = os.open(attempt.path / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)


def _run(
    folder: RunFolder, attempt: AttemptFolder, threads: int, job: Job, ranks: Ranks | None = None
) -> dict[str, Any]:
    """Do the job; ``status`` and what else is to be said of its end."""
    faulthandler.enable()
    outcome: dict[str, Any]
    is_silent = ranks is not None and ranks.rank > 0
    events = Silence(folder.run, attempt.number) if is_silent else attempt.writer("trainer")
    try:
        if ranks is None:
            attempt.keep_reserve()
        context = WorkContext(folder, attempt, folder.recipe(), events, threads, ranks)
        if ranks is None:  # a gang's leader has the signals
            signal.signal(signal.SIGTERM, lambda *_: context.request_stop())
            signal.signal(signal.SIGUSR1, lambda *_: context.request_save())
        _watch_supervisor(context)
        outcome = {"status": "succeeded", "metrics": job(context)}
    except Stopped as error:
        reason = str(error)
        if reason == "orphaned":
            message = "its supervisor went away; the next attempt goes on from the last checkpoint"
            outcome = {"status": "failed", "reason": reason, "message": message}
        else:
            outcome = {"status": "cancelled", "reason": "cancelled", "message": "stopped as asked"}
    except DiskFull as error:
        outcome = _failed("disk", *error.problems)
    except RequestError as error:
        outcome = _failed("request", *error.problems)
    except Exception as error:  # noqa: BLE001 - the process boundary: whatever it was becomes the outcome
        attempt.free_reserve()  # the log may be on the disk that is full
        with contextlib.suppress(OSError):
            traceback.print_exc()
        outcome = _outcome_of(error, attempt)
    attempt.free_reserve()
    with contextlib.suppress(OSError):  # the outcome says it, too
        if outcome["status"] == "failed":
            events.log(outcome["message"], "error")
        events.sync()
        sys.stderr.flush()
    return outcome


def _do_job(context: WorkContext) -> dict[str, Any]:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(context.threads)
    import torch

    torch.set_num_threads(context.threads)
    job = importlib.import_module(f"lepton_lab.work.jobs.{context.recipe.kind}")
    metrics: dict[str, Any] = job.run(context)
    return metrics


def _watch_supervisor(context: WorkContext) -> None:
    """Stop the job some time after standard input ended; a gang's leader also says there what it was asked."""

    def watch() -> None:
        while (word := os.read(0, 1)) and word != gang.ORPHANED:
            if word == gang.STOP:
                context.request_stop()
            elif word == gang.SAVE:
                context.request_save()
        if not word and context.ranks:
            os._exit(1)  # the leader died: the others do the same
        context.events.log("the supervisor is gone; this run will save and leave", "warning")
        timer = threading.Timer(
            context.recipe.resources.orphan_grace_seconds, context.request_stop, kwargs={"reason": "orphaned"}
        )
        timer.daemon = True
        timer.start()

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


def _outcome_of(error: Exception, attempt: AttemptFolder) -> dict[str, Any]:
    """What an error that nobody expected means for the run."""
    if DiskFull.is_meant_by(error):
        return _failed("disk", *DiskFull(attempt.path).problems)
    if is_out_of_memory(error):
        return _out_of_memory(error, plan_of(attempt))
    return {"status": "failed", "reason": "error", "message": f"{_first_line(error)} (the traceback is in worker.log)"}


def _out_of_memory(error: Exception, plan: BatchPlan | None) -> dict[str, Any]:
    """``memory``: the next attempt needs less. ``memory_final``: there is nothing left to make smaller."""
    if plan is None:
        do = "Set a smaller --batch-size or --max-length, or use a machine with more memory."
        return _failed("memory_final", Problem("memory ran out", _first_line(error), do))
    less = plan.shrunk()
    if less is None:
        return _failed("memory_final", memory_problem(plan))
    if plan.phase == "evaluate":
        do = f"the next attempt evaluates {less.evaluate} rows at once"
        return {"status": "failed", "reason": "memory", "message": f"memory ran out in an evaluation; {do}"}
    do = f"the next attempt holds {less.train}, {less.accumulation} batches to an update of {less.effective} rows"
    return {"status": "failed", "reason": "memory", "message": f"memory ran out with {plan.train} rows at once; {do}"}


def _failed(reason: str, *problems: Problem) -> dict[str, Any]:
    message = " ".join(str(problem) for problem in problems)
    found = [problem.to_dict() for problem in problems]
    return {"status": "failed", "reason": reason, "message": message, "problems": found}


def _first_line(error: Exception) -> str:
    """One line for people; the traceback is in worker.log."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


if __name__ == "__main__":
    main()
