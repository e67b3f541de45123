"""One tree: what words mean, what help says, what a wrong word gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lepton_lab.commands import Seat, cli, run_words
from lepton_lab.commands.results import EventFeed, Facts, Rows, Started, Text
from lepton_lab.errors import RecipeError, RequestError, RunNotFound
from lepton_lab.recipe import flags

from .making import begin, finish, finished_run, new_run, train_steps


def run(line: str, seat: Seat | None = None) -> object:
    return run_words(line.split(), seat or Seat())


def problems(line: str) -> str:
    with pytest.raises(RequestError) as caught:
        run(line)
    return str(caught.value)


def test_every_recipe_field_is_an_option_of_its_command() -> None:
    for kind in ("train", "compile", "benchmark"):
        text = str(run(f"{kind} --help-all"))
        for flag in flags(kind):
            for name in flag.names:
                assert f"--{name}" in text, name


def test_names_that_scripts_rely_on() -> None:
    text = str(run("train --help-all"))
    for name in (
        *(
            "--max-steps",
            "--logging-steps",
            "--eval-strategy",
            "--epochs",
            "--batch-size",
            "--lr",
            "--peft",
            "--lora-r",
        ),
        *("--task", "--model", "--dataset", "--output-dir", "--text-column", "--label-column", "--name", "--seed"),
        *("--wait / --no-wait", "--json", "--show-recipe", "--set", "--file", "--on-interrupt", "--cluster"),
    ):
        assert name in text, name


def test_help_begins_with_examples_and_folds_rare_options() -> None:
    short, whole = str(run("train --help")), str(run("train --help-all"))
    assert short.index("Examples:") < short.index("--task") < short.index("Training:")
    assert "--group-by-length" not in short
    assert "--group-by-length" in whole
    assert "train --help-all" in short
    assert "[≥ 1" in short  # bounds
    assert "none|lora" in short  # choices


def test_every_command_has_help_and_is_in_a_chapter() -> None:
    listed = [name for names in cli.chapters.values() for name in names]
    assert sorted(listed) == sorted(cli.commands)
    for name in cli.commands:
        assert f"lepton {name}" in str(run(f"{name} --help"))


def test_the_tour_names_the_program_of_the_seat() -> None:
    assert "%lepton train" in str(run("", Seat(program="%lepton")))
    assert "%lepton train --task" in str(run("train --help", Seat(program="%lepton")))


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("trian", "Did you mean train?"),
        ("benchmrk last", "Did you mean benchmark?"),
        ("train --epocs 3", "Did you mean --epochs?"),
        ("train --learnin_rate 3", "Did you mean --learning-rate?"),
        ("train --weight 3", "Did you mean --weight-decay?"),
        ("cluster statsu", "Did you mean status?"),
        ("train --peft loar", "Did you mean lora?"),
        ("attach last --on-interrupt detatch", "Did you mean detach?"),
        ("train --set train.learnin_rate=3", "Did you mean train.learning_rate?"),
    ],
)
def test_misspelt_names_get_the_nearest(line: str, hint: str) -> None:
    assert hint in problems(line)


def test_all_problems_at_once() -> None:
    text = problems("train --lr -3 --epochs many --peft loar")
    for part in (
        "learning_rate must be > 0",
        "num_train_epochs",
        "Did you mean lora",
        "--task",
        "--model",
        "--dataset",
    ):
        assert part in text
    with pytest.raises(RecipeError):
        run("train --lr nan --task t --model m --dataset d")


def test_underscores_are_dashes() -> None:
    assert "--per-device-train-batch-size" in problems("train --per_device_train_batch_size 0")


def test_runs_newest_first_and_show(home: Path) -> None:
    old, new = finished_run(), finished_run(name="second")
    rows = run("runs")
    assert isinstance(rows, Rows)
    assert [row["run"] for row in rows] == [new.run, old.run]
    assert "test_accuracy 0.81" in rows.text()
    assert "second" in rows._repr_html_()
    shown = run("show second")
    assert isinstance(shown, Facts)
    assert shown["run"] == new.run
    assert shown["recipe"]["train"]["num_train_epochs"] == 3.0
    assert shown["artifacts"][0]["path"].endswith("attempts/1/model")
    assert shown["attempts"][0]["attempt"] == 1
    assert shown["metrics"]["test_accuracy"] == 0.81


def test_run_by_prefix_name_and_last() -> None:
    folder = finished_run(name="mine")
    for word in (folder.run, folder.run[:4], "mine", "last"):
        assert run(f"show {word}")["run"] == folder.run  # type: ignore[index]
    with pytest.raises(RunNotFound, match="no such run"):
        run("show nothing")


def test_a_name_that_looks_like_html_stays_text() -> None:
    finished_run(name="<b>bold</b>")
    assert "<b>" not in run("runs")._repr_html_()  # type: ignore[attr-defined]


def test_events_each_step_once_and_raw() -> None:
    folder = new_run()
    train_steps(begin(folder), 1, 6)
    train_steps(begin(folder, 2), 5, 8)
    finish(folder)
    folded = run(f"events {folder.run} --json")
    assert isinstance(folded, EventFeed)
    steps = [event["step"] for event in folded if event["kind"] == "metric"]
    assert steps == list(range(1, 9))
    raw = [event["step"] for event in run(f"events {folder.run} --raw") if event["kind"] == "metric"]  # type: ignore[attr-defined]
    assert len(raw) > len(steps)
    first = next(iter(run(f"events {folder.run} --json")))  # type: ignore[call-overload]
    assert {"run", "attempt", "sequence", "time", "kind"} <= set(first)


def test_followed_events_are_each_step_once_too() -> None:
    folder = new_run()
    train_steps(begin(folder), 1, 8)
    finish(folder)
    steps = [event for event in run(f"events {folder.run} --follow") if event["kind"] == "metric"]  # type: ignore[attr-defined]
    assert [event["step"] for event in steps] == list(range(1, 9))
    assert steps[3]["values"] == {"loss": 0.25, "eval_loss": 0.5, "eval_accuracy": 0.8}


def test_attach_gives_the_run() -> None:
    folder = finished_run()
    started = run("attach last --no-wait")
    assert isinstance(started, Started)
    assert (started.run.id, started.wait, started.is_new) == (folder.run, False, False)


def test_predict_without_a_text_and_with_a_bad_file(tmp_path: Path) -> None:
    finished_run()
    assert "at least one text" in problems("predict last")
    assert "no such file" in problems("predict last --file nowhere.txt")
    (tmp_path / "two.csv").write_text("title,body\na,b\n")
    assert "--column to one of: title, body" in problems("predict last --file two.csv")
    (tmp_path / "bad.json").write_text("{")
    assert "not JSON" in problems("predict last --file bad.json")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", 'text,place\n"two\nlines",1\n,2\nlast,3\n', ["two\nlines", "", "last"]),
        ("a.jsonl", '{"text": "a"}\n{"text": null}\n{"text": "c"}\n', ["a", "", "c"]),
        ("a.txt", "one\u2028line\r\n\nnext\n", ["one\u2028line", "next"]),
    ],
)
def test_every_row_of_a_file_is_asked(
    name: str, content: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_run()
    (tmp_path / name).write_bytes(content.encode())
    asked: list[Any] = []
    monkeypatch.setattr("lepton_lab.lab.predict", lambda found, inputs: asked.extend(inputs) or [{} for _ in inputs])
    run(f"predict last --file {name}" + (" --column text" if name.endswith("jsonl") else ""))
    assert asked == expected


def test_recipe_file_and_cell_body(tmp_path: Path) -> None:
    assert "no such recipe file" in problems("train -f nowhere.yaml")
    (tmp_path / "recipe.yaml").write_text("kind: compile\nparent: last\n")
    assert "takes a train recipe" in problems("train -f recipe.yaml")
    with pytest.raises(RequestError, match="one place"):
        run("train -f recipe.yaml", Seat(cell_body="lr: 1"))
    with pytest.raises(RequestError, match="not YAML"):
        run("train", Seat(cell_body="a: [1"))


def test_completion_scripts_call_the_command() -> None:
    for shell in ("bash", "zsh", "fish"):
        script = run(f"completion {shell}")
        assert isinstance(script, Text)
        assert f"_LEPTON_COMPLETE={shell} " in script
    assert "Did you mean zsh?" in problems("completion zhs")


def test_a_question_that_nobody_can_answer_is_refused(home: Path) -> None:
    finished_run()
    assert "Add --yes" in problems("uninstall")
    assert home.exists()
