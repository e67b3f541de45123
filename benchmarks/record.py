"""The record at scale: listing and finding among 10,000 runs, reading a run of 1,000,000 events, a tail's latency.

Each listing and look-up is a whole new process, as a shell's is. The first listing makes the index; the
others use it. Reading is compared with the same lines through ``json.loads`` one by one, which is what
a reader who keeps everything would do.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, finish, own_lab, say, table

from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder, RunTail, new_run_id, view_of

ASK = """
import sys, time
from lepton_lab.record import children_of, find_run, list_runs, newest_run
start = time.perf_counter()
eval(sys.argv[1])
print(time.perf_counter() - start)
"""
QUESTIONS = {
    "list": "list_runs()",
    "newest 20": "list_runs(20)",
    "by name": "find_run('number 77')",
    "last": "newest_run()",
    "children": "children_of(newest_run().run)",
}


def write_runs(count: int) -> None:
    """``count`` runs; all but five have ended."""
    recipe = build_recipe("train", {"task": "text-classification", "model": "m", "dataset": "d"})
    first = RunFolder.create(recipe)
    header, plan = first.header(), (first.path / "recipe.yaml").read_text()
    for number in range(count - 1):
        run = new_run_id()
        folder = first.path.with_name(run)
        (folder / "control").mkdir(parents=True)
        (folder / "attempts" / "1").mkdir(parents=True)
        about = {**header, "run": run, "created": header["created"] - number - 1, "name": f"number {number}"}
        final = {"status": "succeeded", "ended": about["created"], "attempt": 1, "metrics": {"test_accuracy": 0.5}}
        (folder / "recipe.yaml").write_text(plan)
        (folder / "run.json").write_text(json.dumps(about))
        if number >= 4:
            (folder / "final.json").write_text(json.dumps(final))


def write_events(count: int) -> RunFolder:
    """A living run whose trainer wrote ``count`` metric events of three numbers."""
    folder = RunFolder.create(build_recipe("train", {"task": "text-classification", "model": "m", "dataset": "d"}))
    attempt = folder.take_lease(1)
    attempt.writer("supervisor").status(status="running")
    begun = time.time()
    with (attempt.path / "events-trainer.jsonl").open("w") as file:
        for step in range(count):
            event = {"run": folder.run, "attempt": 1, "writer": "trainer", "sequence": step}
            event |= {"time": begun + step / 100, "kind": "metric", "step": step + 1}
            event |= {"values": {"loss": 1 / (step + 1), "learning_rate": 1e-5, "samples_per_second": 12.5}}
            file.write(json.dumps(event) + "\n")
    return folder


def ask(question: str) -> float:
    """Seconds that the question took in a process of its own."""
    done = subprocess.run([sys.executable, "-c", ASK, question], capture_output=True, text=True, check=True)
    return float(done.stdout)


def command() -> float:
    """Seconds of the whole command ``lepton runs --json``."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "lepton_lab", "runs", "--json"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def read_all(folder: RunFolder) -> dict[str, Any]:
    """Seconds and megabytes of a cold fold, and seconds of parsing its lines one by one."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    view = view_of(folder)
    seconds = time.perf_counter() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    with (folder.path / "attempts" / "1" / "events-trainer.jsonl").open("rb") as file:
        start = time.perf_counter()
        for line in file:
            json.loads(line)
        plain = time.perf_counter() - start
    return {"events": view.step, "seconds": seconds, "mb": grown / 1024, "plain_seconds": plain}


def tail_latencies(folder: RunFolder, count: int) -> list[float]:
    """Milliseconds from an event's write to the view, while the run already has its many events."""
    tail = RunTail(folder)
    tail.read()
    writer = folder.attempt(1).writer("trainer")
    found = []
    for number in range(count):
        writer.metric(10_000_000 + number, {"loss": 1.0})
        start = time.perf_counter()
        tail.read()
        found.append((time.perf_counter() - start) * 1000)
    return found


def main() -> None:
    options = arguments(__doc__ or "")
    runs, events, rounds = (1000, 50_000, 3) if options.quick else (10_000, 1_000_000, 10)
    with own_lab() as folder:
        write_runs(runs)
        long = write_events(events)
        first = ask(QUESTIONS["list"])
        raw: dict[str, Any] = {name: [ask(question) for _ in range(rounds)] for name, question in QUESTIONS.items()}
        raw["command"] = [command() for _ in range(rounds)]
        say("lists done")
        os.environ["LEPTON_STATE_DIR"] = str(Path(folder) / "s")
        raw["read"] = read_all(long)
        say("reading done")
        raw["tail"] = tail_latencies(long, 50 if options.quick else 500)
        raw["first list"] = first
    read = raw["read"]
    medians = {name: float(np.median(raw[name])) for name in (*QUESTIONS, "command")}
    p50, p99 = np.percentile(raw["tail"], [50, 99])
    rows = [[f"first list of {runs + 1:,} runs", first], *([name, seconds] for name, seconds in medians.items())]
    print(table(["question", "seconds"], rows))
    print(f"\n{read['events']:,} events: {read['seconds']:.3g} s, {read['mb']:.0f} MB")
    print(f"of their lines parsed one by one: {read['seconds'] / read['plain_seconds']:.2f}")
    print(f"tail behind them: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    figures = {
        "first_list_seconds": first,
        **{f"{name.replace(' ', '_')}_seconds": seconds for name, seconds in medians.items()},
        "read_seconds_per_million": read["seconds"] / read["events"] * 1e6,
        "read_mb_per_million": read["mb"] / read["events"] * 1e6,
        "read_over_plain_parse": read["seconds"] / read["plain_seconds"],
        "tail_p50_ms": float(p50),
        "tail_p99_ms": float(p99),
    }
    goals = {
        "list": (medians["list"], "<", 0.5),
        "whole command": (medians["command"], "<", 1.0),
        "look-ups": (max(medians[name] for name in ("by name", "last", "children")), "<", 0.5),
        "reading over plain parsing": (figures["read_over_plain_parse"], "<=", 3.0),
        "memory per million events": (figures["read_mb_per_million"], "<=", 400.0),
        "tail p99": (float(p99), "<=", 50.0),
    }
    finish("record", figures, goals, raw, options.out, options.quick)


if __name__ == "__main__":
    main()
