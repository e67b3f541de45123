"""Models and aliases through the one tree: listed, promoted, refused, found, kept by prune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lepton_lab
from lepton_lab.commands import Seat, complete, run_words
from lepton_lab.errors import RequestError, RunNotFound
from lepton_lab.record import RunFolder, move_alias

from .making import begin, finish, finished_run, new_run


def run(line: str) -> Any:
    return run_words(line.split(), Seat())


def compiled_run(parent: RunFolder, verdict: str) -> RunFolder:
    """A compilation that succeeded."""
    folder = new_run("compile", parent=parent.run)
    attempt = begin(folder)
    (attempt.path / "compiled").mkdir()
    trainer = attempt.writer("trainer")
    metrics = {"backend": "onnxruntime", "precision": "fp32", "test_verdict": verdict, "test_accuracy": 0.8}
    trainer.report("metrics", metrics)
    trainer.artifact("compiled", "model", "attempts/1/compiled", "sha256:0", 700)
    attempt.writer("supervisor").status(status="succeeded")
    folder.finish("succeeded", metrics=metrics)
    return folder


def test_promote_shows_the_previous_holder_and_the_list_puts_aliases_first() -> None:
    old, new, other = finished_run(), finished_run(name="second"), finished_run()
    assert run(f"promote {old.run} --alias champion")["previous"] is None
    moved = run(f"promote {new.run} --alias champion")
    assert moved["previous"] == old.run
    assert str(moved) == f"champion names run {new.run}; before, it named {old.run}."
    rows = run("models")
    assert [row["run"] for row in rows] == [new.run, other.run, old.run]
    assert (rows[0]["aliases"], rows[0]["metric"], rows[0]["value"]) == (["champion"], "test_accuracy", 0.81)
    assert "champion" in rows.text()
    assert "test_accuracy 0.81" in rows.text()
    assert [row["run"] for row in run("models --history champion")] == [old.run, new.run]
    assert run("show champion")["run"] == new.run
    assert run("show champion")["aliases"] == ["champion"]


def test_json_rows_have_the_keys_that_scripts_read() -> None:
    finished_run()
    (row,) = run("models --json")
    assert set(row) == {
        *("run", "aliases", "kind", "name", "task", "base_model", "metric", "value"),
        *("backend", "precision", "verdict", "bytes", "created", "path"),
    }
    assert Path(row["path"]).is_dir()


def test_what_a_compilation_picked_stands_with_its_training() -> None:
    parent = finished_run()
    child = compiled_run(parent, "pass")
    rows = {row["run"]: row for row in run("models")}
    assert rows[parent.run]["backend"] == rows[child.run]["backend"] == "onnxruntime"
    assert run(f"promote {child.run} --alias fast")["run"] == child.run


def test_a_compilation_that_failed_parity_is_refused_and_so_is_its_training() -> None:
    parent = finished_run()
    child = compiled_run(parent, "fail")
    for folder in (child, parent):
        with pytest.raises(RequestError, match=rf"compilation {child.run}.*got the parity verdict fail.*--backend"):
            run(f"promote {folder.run} --alias champion")
    assert not run("models --history champion")
    compiled_run(parent, "undecided")  # the newest one answers
    assert run(f"promote {parent.run} --alias champion")["run"] == parent.run


def test_a_run_without_a_model_is_refused() -> None:
    failed, living = finished_run("failed"), new_run()
    for folder, said in ((failed, "failed"), (living, "queued")):
        with pytest.raises(RequestError, match=f"only a run that succeeded can be promoted, got {folder.run}, {said}"):
            run(f"promote {folder.run} --alias champion")
    measured = new_run("benchmark", parent=failed.run)
    begin(measured)
    finish(measured)
    with pytest.raises(RequestError, match="a benchmark run"):
        run(f"promote {measured.run} --alias champion")
    gone = finished_run()
    (gone.path / "attempts/1/model/model.safetensors").unlink()
    (gone.path / "attempts/1/model").rmdir()
    with pytest.raises(RequestError, match="is gone"):
        run(f"promote {gone.run} --alias champion")


def test_an_alias_is_removed_by_name_only() -> None:
    folder = finished_run()
    run(f"promote {folder.run} --alias champion --name reviews")
    assert run("models")[0]["aliases"] == ["reviews@champion"]
    with pytest.raises(RequestError, match=r"no such alias, got 'champion'.*reviews@champion"):
        run("promote --remove-alias champion")
    with pytest.raises(RequestError, match="Leave RUN out"):
        run(f"promote {folder.run} --remove-alias reviews@champion")
    assert run("promote --remove-alias champion --name reviews")["previous"] == folder.run
    with pytest.raises(RunNotFound):
        run("show champion")


def test_without_an_alias_nothing_is_promoted() -> None:
    finished_run()
    with pytest.raises(RequestError, match="an alias is needed"):
        run("promote last")


def test_the_same_from_python() -> None:
    folder = finished_run()
    move = lepton_lab.promote(lepton_lab.attach(folder.run), alias="champion")
    assert (move.alias, move.run, move.previous) == ("champion", folder.run, None)
    assert lepton_lab.models()[0]["aliases"] == ["champion"]
    assert lepton_lab.attach("champion").id == folder.run
    lepton_lab.remove_alias("champion")
    assert lepton_lab.models()[0]["aliases"] == []


def test_tab_offers_aliases() -> None:
    folder = finished_run()
    move_alias("champion", folder.run)
    for words in (["predict"], ["show"], ["compile"], ["promote", "--alias"], ["promote", "--remove-alias"]):
        assert "champion" in [each.value for each in complete(words, "ch")], words
    assert complete(["cancel"], "ch") == []


def test_prune_keeps_what_an_alias_names_unless_forced() -> None:
    kept, gone = finished_run(), finished_run()
    move_alias("champion", kept.run)
    rows = run(f"prune {kept.run} {gone.run} --yes")
    assert not gone.path.exists()
    assert (kept.path / "attempts/1/model/model.safetensors").is_file()
    assert not (kept.path / "attempts/1/checkpoints").exists()
    assert [row["why"] for row in rows if row["what"] == "run" and not row["can_go"]] == ["champion names it"]
    run("prune --runs-older-than 0 --yes")
    assert kept.path.is_dir()
    run(f"prune {kept.run} --force --yes")
    assert not kept.path.exists()
    with pytest.raises(RunNotFound, match="there is no such run"):
        run("show champion")
