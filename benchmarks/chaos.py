"""What is lost when everything that can die does: one training, killed at seeded random points, round after round.

Each round kills with -9 the trainer, its supervisor, the agent (Dask's scheduler and worker) or all three, or
tells the supervisor to leave. Then whoever looks wakes the agent, as every front end does. At the end the record
must show every step once, and no process may be left.
"""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from measure import arguments, finish, own_lab, say, table

VICTIMS = ("trainer", "supervisor", "agent", "everything", "leave")
SAVE_STEPS = 5
PATIENCE_SECONDS = 300.0


def main() -> None:
    options = arguments(__doc__ or "", seed=20)
    rounds = 3 if options.quick else 20
    with own_lab("movie-sentiment", "minilm") as folder:
        figures, rows = torment(Path(folder), rounds, options.seed)
    print(table(["round", "victim", "at step", "back after s"], rows))
    goals = {name: (float(figures[name]), "==", 0.0) for name in GOALS}
    finish("chaos", figures, goals, {"rounds": rows, "seed": options.seed}, options.out, options.quick)


GOALS = ("lost_steps", "duplicate_steps", "orphans", "wrong_states", "steps_beyond_a_save")


def torment(folder: Path, rounds: int, seed: int) -> tuple[dict[str, float], list[list[Any]]]:
    """One run of ``rounds`` rounds; (figures, a row a round)."""
    import lepton_lab

    chance = random.Random(seed)
    steps = 12 * rounds + 20
    run = lepton_lab.train(
        task="text-classification", model="sample:minilm", dataset="sample:movie-sentiment",
        max_steps=steps, batch_size=4, max_length=32, logging_steps=1, save_strategy="steps", save_steps=SAVE_STEPS,
        eval_strategy="no", cpus=1, max_attempts=2 * rounds,
    )  # fmt: skip
    rows: list[list[Any]] = []
    wrong = 0
    for number in range(1, rounds + 1):
        victim = chance.choice(VICTIMS)
        goal = done(run) + chance.randint(1, 10)
        until(lambda goal=goal: done(run) >= goal or run.view().is_over, run)  # type: ignore[misc]
        time.sleep(chance.random() * 0.3)
        before, attempt = done(run), len(run.folder.attempts())
        killed = time.monotonic()
        if not kill(run, victim):
            say(f"round {number}: {victim} was not there")
        until(partial(is_back, run, victim, before, attempt), run)
        wrong += run.status not in ("queued", "running", "succeeded")
        rows.append([number, victim, before, round(time.monotonic() - killed, 1)])
        say(f"round {number} of {rounds}: {victim} at step {before}")
    until(lambda: run.folder.final() is not None, run)
    view = run.view()
    wrong += view.status != "succeeded"
    shown = [
        int(event.body["step"]) for event in run.events() if event.kind == "metric" and "loss" in event.body["values"]
    ]
    series = view.series["loss"].steps
    again = computed_again(run)
    figures = {
        "rounds": float(rounds),
        "lost_steps": float(len(set(range(1, steps + 1)) - set(series)) + len(set(range(1, steps + 1)) - set(shown))),
        "duplicate_steps": float(len(shown) - len(set(shown)) + len(series) - len(set(series))),
        "wrong_states": float(wrong),
        "steps_beyond_a_save": float(sum(max(0, count - SAVE_STEPS) for count in again)),
        "computed_again": float(sum(again)),
        "attempts": float(len(again)),
        "back_after_s": float(sorted(row[3] for row in rows)[len(rows) // 2]),
    }
    from lepton_lab.dispatch import stop_cluster

    stop_cluster(force=True)
    figures["orphans"] = float(len(left_over(folder)))
    return figures, rows


def until(condition: Any, run: Any) -> None:
    """Wait as a viewer does, who wakes the agent if it has gone."""
    from lepton_lab.dispatch import wake

    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{run} did not go on within {PATIENCE_SECONDS:g} s: {run.view().message}")
        wake(run.folder)
        time.sleep(0.05)


def done(run: Any) -> int:
    """The last step that the view shows."""
    series = run.view().series.get("loss")
    return series.steps[-1] if series and series.steps else 0


def is_back(run: Any, victim: str, before: int, attempt: int) -> bool:
    """Whether the run is over, or came further than ``before``: in its next attempt, if the death ends one."""
    is_next = victim == "agent" or len(run.folder.attempts()) > attempt
    return run.folder.final() is not None or (is_next and steps_of(run, len(run.folder.attempts()))[-1:] > [before])


def steps_of(run: Any, attempt: int) -> list[int]:
    """The steps that one attempt made."""
    events = run.events(raw=True)
    return [
        int(event.body["step"])
        for event in events
        if event.attempt == attempt and event.kind == "metric" and "loss" in event.body["values"]
    ]


def computed_again(run: Any) -> list[int]:
    """For each attempt the number of steps that one before it had made."""
    known: set[int] = set()
    again = []
    for attempt in run.folder.attempts():
        steps = steps_of(run, attempt.number)
        again.append(len(known.intersection(steps)) + len(steps) - len(set(steps)))
        known.update(steps)
    return again


def kill(run: Any, victim: str) -> bool:
    """Whether there was one to kill."""
    from lepton_lab.dispatch import cluster_status
    from lepton_lab.record import read_json

    mark = read_json(run.folder.attempts()[-1].path / "supervisor.json") or {}
    pids = {
        "trainer": (mark.get("worker") or {}).get("pid"),
        "supervisor": mark.get("pid"),
        "agent": cluster_status().get("pid"),
    }
    wanted = list(pids) if victim == "everything" else ["supervisor"] if victim == "leave" else [victim]
    there = [pids[name] for name in wanted if pids[name]]
    for pid in there:
        try:
            os.kill(int(pid), signal.SIGTERM if victim == "leave" else signal.SIGKILL)
        except ProcessLookupError:
            return False
    return bool(there)


def left_over(folder: Path) -> list[int]:
    """Processes of this lab that still live, half a minute after everything was stopped at the latest."""
    deadline = time.monotonic() + 30
    while (found := _ours(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _ours(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("LEPTON_STATE_DIR", "").startswith(str(folder))
            if is_ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


if __name__ == "__main__":
    main()
