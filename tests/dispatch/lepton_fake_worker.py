"""A worker that speaks the protocol and does what its run's name says. Standard library only."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from lepton_lab.record import RunFolder

stop = {"asked": False, "save": False}


def main() -> None:
    if "--spare" in sys.argv:
        print("ready", flush=True)
    line = sys.stdin.readline()
    if not line:
        return
    job = json.loads(line)
    os.environ.update(job["env"])
    folder = RunFolder(Path(job["run_dir"]))
    attempt = folder.attempt(int(job["attempt"]))
    if "--spare" in sys.argv:
        log = os.open(attempt.path / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
    words = folder.header()["name"].split()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in words else lambda *_: stop.update(asked=True))
    signal.signal(signal.SIGUSR1, lambda *_: stop.update(save=True))
    events = attempt.writer("trainer")
    print("the worker has begun", flush=True)
    events.write("log", level="info", message=f"pid={os.getpid()} cuda={os.environ.get('CUDA_VISIBLE_DEVICES')}")
    if "environment" in words:
        known = {"token_length": len(os.environ.get("HF_TOKEN", "")), "threads": os.environ["OMP_NUM_THREADS"]}
        events.report("environment", known)
    if "child" in words:
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
        events.report("child", child)
    steps = next((int(word) for word in words if word.isdigit()), 3)
    for step in range(1, steps + 1):
        events.metric(step, {"loss": 1 / step})
        if "crash" in words:
            print("something terrible", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if "quit" in words:
            sys.exit(3)
        if "fail" in words:
            attempt.write_outcome("failed", reason="error", message="it went wrong")
            return
        if stop["save"]:
            stop["save"] = False
            events.log(f"saved at {step}")
        orphaned = bool(select.select([sys.stdin], [], [], 0)[0])
        if (stop["asked"] or orphaned) and "stubborn" not in words:
            attempt.write_outcome("cancelled", reason="orphaned" if orphaned else "cancelled", message="saved")
            return
        time.sleep(0.01)
    attempt.write_outcome("succeeded", metrics={"test_accuracy": 0.9})


if __name__ == "__main__":
    main()
