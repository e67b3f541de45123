"""A worker that speaks the protocol and does what its run's name says. Standard library only."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import sys
import time
from pathlib import Path

from lepton_lab.record import AttemptFolder, RunFolder, checkpoint_step, digest_of, last_complete, mark_complete
from lepton_lab.telemetry import NO_TELEMETRY

SAVE_STEPS = 5

stop = {"asked": False, "save": False}


def save(attempt: AttemptFolder, step: int) -> None:
    """A checkpoint that says by what it was reached: the sum of all steps so far."""
    path = attempt.path / "checkpoints" / f"checkpoint-{step}"
    path.mkdir(parents=True, exist_ok=True)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    mark_complete(path)


def follow_first_host(attempt: AttemptFolder) -> None:
    """What another host of a gang does: it learns along until the first one has done, or it is told to stop."""
    while not stop["asked"] and not select.select([sys.stdin], [], [], 0.02)[0]:
        pass
    attempt.write_outcome("cancelled", reason="cancelled", message="stopped along")


def score(folder: RunFolder) -> float:
    """What a training with this learning rate comes to: best at 1e-3."""
    return max(0.0, 1 - abs(math.log10(float(folder.recipe().train.learning_rate or 1)) + 3) / 4)


def main() -> None:
    if "--spare" in sys.argv:
        print("ready", flush=True)
    line = sys.stdin.readline()
    if not line:
        return
    job = json.loads(line)
    os.environ.update(job["env"])
    folder = RunFolder(Path(job["run_dir"]))
    host = (job.get("gang") or {}).get("node_rank", 0)
    attempt = folder.attempt(int(job["attempt"]), host)
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
        events.report("telemetry", {name: os.environ.get(name) for name in NO_TELEMETRY})
    if "child" in words:
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
        events.report("child", child)
    steps = next((int(word) for word in words if word.isdigit()), 3)
    pause = next((float(word[1:]) for word in words if word[0] == "p" and word[1:].isdigit()), 10) / 1000
    found = last_complete(folder)
    if host:
        events.report("gang", job["gang"])
        follow_first_host(attempt)
        return
    for step in range(1 + (checkpoint_step(found) if found else 0), steps + 1):
        events.metric(step, {"loss": 1 / step})
        if "scores" in words:
            events.metric(step, {"eval_accuracy": score(folder) * step / steps})
        if "crash" in words:
            print("something terrible", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if "quit" in words:
            sys.exit(3)
        if "fail" in words or ("fails" in words and score(folder) < 0.5):
            attempt.write_outcome("failed", reason="error", message="it went wrong")
            return
        if stop["save"]:
            stop["save"] = False
            events.log(f"saved at {step}")
            save(attempt, step)
        if "saves" in words and step % SAVE_STEPS == 0:
            save(attempt, step)
        orphaned = bool(select.select([sys.stdin], [], [], 0)[0])
        if (stop["asked"] or orphaned) and "stubborn" not in words:
            if "saves" in words:
                save(attempt, step)
            attempt.write_outcome("cancelled", reason="orphaned" if orphaned else "cancelled", message="saved")
            return
        time.sleep(pause)
    if "artifact" in words:
        model = attempt.path / "model"
        model.mkdir()
        (model / "weights").write_bytes(os.urandom(300_000))
        digest, size = digest_of(model)
        events.artifact("model", "model", model.relative_to(folder.path).as_posix(), digest, size)
    scores = {"eval_accuracy": score(folder)} if "scores" in words else {}
    attempt.write_outcome("succeeded", metrics={"test_accuracy": 0.9, **scores})


if __name__ == "__main__":
    main()
