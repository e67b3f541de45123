"""The trials of a sweep in a terminal and in a log."""

from __future__ import annotations

import io
from typing import Any

from lepton_lab.commands.trials import standing_text, trial_text, trials_text
from lepton_lab.record import RunView
from lepton_lab.terminal import _Bar, _Console, _Lines


def row(number: int, state: str, value: float | None, **more: Any) -> dict[str, Any]:
    given = {"learning_rate": number / 1000, "lora_r": 8}
    return {"trial": number, "run": f"run{number}", "state": state, "value": value, "parameters": given, **more}


def report(*rows: dict[str, Any], best: int | None = None) -> dict[str, Any]:
    winner = next((each for each in rows if each["trial"] == best), None)
    return {"metric": "accuracy", "direction": "maximize", "total": 9, "trials": list(rows), "best": winner}


ROWS = (
    row(1, "complete", 0.81),
    row(2, "pruned", 0.5, message="pruned after evaluation 2: accuracy 0.5"),
    row(3, "failed", None, message="run run3 failed: no memory"),
    row(4, "running", 0.7),
    row(5, "queued", None),
)


def test_the_table_has_every_trial_the_best_marked_and_says_what_went_wrong() -> None:
    lines = trials_text(report(*ROWS, best=1)).splitlines()
    assert lines[0].split() == ["trial", "run", "state", "accuracy", "learning_rate", "lora_r"]
    assert lines[1].split() == ["1", "*", "run1", "complete", "0.81", "0.001", "8"]
    assert [line.split()[0] for line in lines[1:6]] == ["1", "2", "3", "4", "5"]
    assert lines[6:] == ["trial 3: run run3 failed: no memory"]


def test_a_long_search_leaves_the_best_and_the_last() -> None:
    rows = [row(number, "complete", number == 3) for number in range(1, 41)]
    lines = trials_text(report(*rows, best=3), most=4).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["3", "38", "39", "40"]
    assert lines[5] == "… and 36 earlier"


def test_a_line_for_a_trial_that_ended() -> None:
    found = report(*ROWS, best=1)
    assert trial_text(ROWS[0], found) == "trial 1: accuracy 0.81 with learning_rate 0.001, lora_r 8 · best so far"
    assert trial_text(ROWS[1], found) == "trial 2: pruned, accuracy 0.5 with learning_rate 0.002, lora_r 8"
    assert trial_text(ROWS[2], found) == "trial 3: failed, no result with learning_rate 0.003, lora_r 8"
    assert standing_text(found) == "1 running · best accuracy 0.81 (trial 1)"
    assert standing_text(report()) == ""


def view(*rows: dict[str, Any], best: int | None = None) -> RunView:
    ended = sum(each["state"] not in ("running", "queued") for each in rows)
    reports = {"sweep": report(*rows, best=best)}
    return RunView("abcd2345", kind="sweep", status="running", stage="search", step=ended, max_steps=9, reports=reports)


def test_a_log_gets_a_line_when_a_trial_ends_and_a_terminal_the_table_as_it_grows() -> None:
    output = io.StringIO()
    with _Lines(_Console(file=output, width=200)) as face:
        face.see(view(row(1, "running", None)))
        face.see(view(*ROWS[:2], row(3, "running", None), best=1))
        face.see(view(*ROWS, best=1))
    said = output.getvalue().splitlines()
    assert [line.split(":")[0].strip() for line in said if line.startswith("  trial ")] == [
        "trial 1",
        "trial 2",
        "trial 3",
    ]
    output = io.StringIO()
    with _Bar(_Console(file=output, width=200, height=30, force_terminal=True)) as face:
        face.see(view(row(1, "running", None)))
        face.see(view(*ROWS, best=1))
    drawn = output.getvalue()
    assert "1 *    run1  complete  0.81" in drawn
    assert "3/9 trials done · 1 running · best accuracy 0.81 (trial 1)" in drawn
