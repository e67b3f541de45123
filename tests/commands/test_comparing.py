"""``compare`` and ``report``: what differs, which is best, and one file to pass on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lepton_lab
from lepton_lab.cli import main
from lepton_lab.commands import Seat, run_words
from lepton_lab.commands.completion import complete
from lepton_lab.commands.results import Compared, Facts
from lepton_lab.comparison import direction_of
from lepton_lab.errors import OutputError, RequestError
from lepton_lab.record import RunFolder

from .making import TRAIN, begin, finished_run, new_run, train_steps


def run(line: str) -> Any:
    return run_words(line.split(), Seat())


def ended(accuracy: float, seconds: float = 10.0, **options: Any) -> RunFolder:
    """A training that came to this."""
    folder = new_run(**options)
    attempt = begin(folder)
    train_steps(attempt, 1, 8)
    metrics = {"test_accuracy": accuracy, "test_loss": 1 - accuracy, "rows": 100, "seconds": seconds}
    attempt.writer("trainer").report("metrics", metrics)
    folder.finish("succeeded", metrics=metrics)
    return folder


def swept(*values: float | None) -> tuple[RunFolder, list[RunFolder]]:
    """A sweep over learning rates, with a trial for each value that it came to, or None of one that failed."""
    from lepton_lab.recipe import build_recipe

    sweep = RunFolder.create(build_recipe("sweep", {**TRAIN, "name": "hunt", "search": ["lr=1e-5..1e-2:log"]}))
    trials, rows = [], []
    for number, value in enumerate(values, 1):
        rate = 10.0 ** (-number - 1)
        recipe = build_recipe("train", {**TRAIN, "name": f"hunt trial-{number}", "lr": rate})
        folder = RunFolder.create(recipe, {"trial": number}, sweep.run)
        train_steps(begin(folder), 1, 8)
        folder.finish("succeeded" if value is not None else "failed", metrics={"test_accuracy": value or 0.0})
        trials.append(folder)
        state = "complete" if value is not None else "failed"
        row = {"trial": number, "run": folder.run, "state": state, "value": value}
        rows.append({**row, "parameters": {"learning_rate": rate}})
    report = {"metric": "accuracy", "direction": "maximize", "total": len(rows), "trials": rows, "best": rows[0]}
    begin(sweep).writer("trainer").report("sweep", report)
    sweep.finish("succeeded", metrics={"best_run": trials[0].run})
    return sweep, trials


def row_of(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["name"] == name)


def test_only_what_differs_and_the_best_is_marked() -> None:
    worse, better = ended(0.7, lr=1e-3), ended(0.9, lr=1e-4, name="mine")
    compared = run(f"compare {worse.run} mine")
    assert isinstance(compared, Compared)
    found = compared.plain()
    assert [each["run"] for each in found["runs"]] == [worse.run, better.run]
    assert [row["name"] for row in found["settings"]] == ["train.learning_rate"]
    assert found["settings"][0]["values"] == {worse.run: 1e-3, better.run: 1e-4}
    assert [row["name"] for row in found["metrics"]] == ["test_accuracy", "test_loss"]
    assert row_of(found["metrics"], "test_accuracy")["best"] == [better.run]
    assert row_of(found["metrics"], "test_loss")["better"] == "less"
    text = compared.text()
    assert "learning_rate" in text
    assert "* 0.9" in text
    assert "* 0.7" not in text
    assert "rows" not in text
    everything = run(f"compare {worse.run} mine --all")
    assert "num_train_epochs" in everything.text()
    assert row_of(everything.plain()["metrics"], "rows")["best"] == []
    assert not row_of(everything.plain()["settings"], "seed")["differs"]


def test_runs_that_are_the_same_say_so() -> None:
    first, second = ended(0.7), ended(0.7)
    text = run(f"compare {first.run} {second.run}").text()
    assert "No setting differs." in text
    assert "No number differs." in text


def test_one_that_still_runs_has_its_newest_numbers() -> None:
    done, going = ended(0.7), new_run(lr=1e-5)
    train_steps(begin(going), 1, 4)
    compared = run(f"compare {done.run} {going.run}")
    assert row_of(compared.plain()["metrics"], "eval_accuracy")["values"][going.run] == 0.8
    assert f"The newest numbers, not final ones, of: {going.run}" in compared.text()


def test_a_sweep_is_its_trials_the_best_first() -> None:
    sweep, (middle, failed, best) = swept(0.7, None, 0.9)
    found = run(f"compare {sweep.run}").plain()
    assert [each["run"] for each in found["runs"]] == [best.run, middle.run, failed.run]
    objective = found["metrics"][0]
    assert objective["name"] == "best accuracy on validation"
    assert objective["values"] == {best.run: 0.9, middle.run: 0.7, failed.run: None}
    assert objective["best"] == [best.run]
    # A trial that is named beside its sweep is there once; trials by their own names are judged alike.
    assert len(run(f"compare {best.run} {sweep.run}").plain()["runs"]) == 3
    assert run(f"compare {middle.run} {best.run}").plain()["metrics"][0]["name"] == objective["name"]


def test_many_runs_stand_below_each_other() -> None:
    sweep, trials = swept(*(0.5 + number / 100 for number in range(9)))
    lines = run(f"compare {sweep.run}").text().splitlines()
    assert lines[0] == "9 runs"
    assert lines[1].split()[:3] == ["run", "name", "status"]
    assert trials[-1].run in lines[2]
    assert "* 0.58" in lines[2]


@pytest.mark.parametrize("line", ["compare {0}", "compare {0} {0}"])
def test_one_run_cannot_be_compared(line: str) -> None:
    folder = ended(0.7)
    with pytest.raises(RequestError, match=f"needs two runs, got run {folder.run}. Name another"):
        run(line.format(folder.run))


def test_wrong_words_have_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    folder = ended(0.7)
    assert main(["compare"]) == 2
    assert main(["compare", folder.run, "nothing", "--json"]) == 2
    assert "no such run" in json.loads(capsys.readouterr().out)["error"]


def test_shell_json(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = ended(0.7, lr=1e-3), ended(0.9)
    assert main(["compare", first.run, second.run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"][0]["name"] == "train.learning_rate"


def test_completion_offers_runs_again_and_again() -> None:
    first, second = ended(0.7), ended(0.9, name="mine")
    for words in (["compare"], ["compare", first.run], ["report", first.run, "last"]):
        assert {second.run, "mine", "last"} <= {each.value for each in complete(words, "")}
    assert [each.value for each in complete(["report", "--out"], "--out")] == ["--output"]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("eval_loss", "less"),
        ("test_rmse", "less"),
        ("p50_ms", "less"),
        ("peak_memory_mb", "less"),
        ("test_f1", "more"),
        ("tokens_per_second", "more"),
        ("speedup", "more"),
        ("rows_train", None),
        ("majority", None),
        ("steps", None),
    ],
)
def test_which_numbers_are_good(metric: str, expected: str | None) -> None:
    assert direction_of(metric, ["text-classification", "a-task-of-somebody"]) == expected


def test_a_report_of_several_runs_holds_the_comparison(tmp_path: Path) -> None:
    first, second = ended(0.7, lr=1e-3), ended(0.9, name="mine")
    made = run(f"report {first.run} mine")
    assert isinstance(made, Facts)
    path = Path(made["path"])
    assert path.resolve() == tmp_path / f"lepton-report-{first.run}-{second.run}.html"
    html = path.read_text(encoding="utf-8")
    assert html.count("lepton-comparison") == 1
    assert html.count("lepton-card") == 2
    assert 'data-figure="comparison-loss"' in html
    assert made["bytes"] == path.stat().st_size
    assert "Wrote" in made.text()
    run(f"report {first.run} mine")  # a report of ours is written anew
    assert list(tmp_path.glob("*.html")) == [tmp_path / path.name]


def test_a_report_of_a_sweep_compares_its_trials() -> None:
    sweep, _ = swept(0.7, 0.8, 0.9)
    path = lepton_lab.report(sweep.run, path="hunt.html")
    html = path.read_text(encoding="utf-8")
    assert html.count("lepton-card") == 1
    assert 'data-figure="comparison-parallel"' in html


def test_a_report_replaces_no_other_file(tmp_path: Path) -> None:
    folder = finished_run()
    (tmp_path / "mine.html").write_text("<h1>mine</h1>")
    with pytest.raises(OutputError, match=r"no report of ours, got mine\.html\. Set --output to another file"):
        run(f"report {folder.run} --output mine.html")
    assert (tmp_path / "mine.html").read_text() == "<h1>mine</h1>"
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        run(f"report {folder.run} --output missing/mine.html")
    assert list(tmp_path.glob("**/.*.html*")) == []
