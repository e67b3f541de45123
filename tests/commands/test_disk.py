"""Prune frees what can be made again or is not needed, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from lepton_lab.commands import Seat, run_words
from lepton_lab.commands.disk import disk_uses
from lepton_lab.record import RunFolder, write_json

from .making import begin, finish, finished_run, new_run


def prune(*words: str) -> dict[str, bool]:
    """What prune says: thing → whether it can go."""
    rows = run_words(["prune", *words], Seat())
    return {f"{row['what']} {row['name'].split()[0]}": row["can_go"] for row in rows}


def age(folder: RunFolder, days: float) -> None:
    final = folder.final()
    write_json(folder.path / "final.json", {**(final or {}), "ended": time.time() - days * 86_400})


def test_shows_and_deletes_nothing_without_yes(home: Path) -> None:
    folder = finished_run()
    assert prune() == {f"checkpoints {folder.run}": True, f"run {folder.run}": False}
    assert prune("--yes", "--dry-run") == prune()
    assert (folder.path / "attempts/1/checkpoints").is_dir()


def test_frees_checkpoints_of_finished_runs_and_keeps_the_model() -> None:
    done, failed, living = finished_run(), finished_run("failed"), new_run()
    (begin(living).path / "checkpoints").mkdir()
    (living.path / "attempts/1/checkpoints/state.bin").write_bytes(b"c" * 100)
    prune("--yes")
    assert not (done.path / "attempts/1/checkpoints").exists()
    assert (done.path / "attempts/1/model/model.safetensors").is_file()
    assert (failed.path / "attempts/1/checkpoints").is_dir()  # a resume needs them
    assert (living.path / "attempts/1/checkpoints").is_dir()


def test_a_checkpoint_that_two_attempts_share_is_counted_once() -> None:
    folder = new_run()
    begin(folder)
    second = begin(folder, 2)
    finish(folder, "cancelled")  # a checkpoint of 50,000 bytes in the second attempt
    first = folder.attempts()[0].path / "checkpoints"
    first.mkdir()
    os.link(second.path / "checkpoints/state.bin", first / "state.bin")
    uses = disk_uses()
    assert [each.bytes for each in uses if each.what == "checkpoints"] == [50_000]
    assert all(0 < each.bytes <= 50_000 for each in uses)
    assert sum(each.bytes for each in uses) < 60_000


def test_old_and_named_runs_go_whole_but_never_living_ones() -> None:
    old, fresh, named, living = finished_run(), finished_run(), finished_run(), new_run()
    begin(living)
    age(old, 40)
    prune("--runs-older-than", "30", named.run, living.run, "--yes")
    assert not old.path.exists()
    assert not named.path.exists()
    assert fresh.path.is_dir()
    assert living.path.is_dir()


def test_a_run_that_another_waits_for_stays() -> None:
    parent = finished_run()
    child = new_run("compile", parent=parent.run)
    prune(parent.run, "--yes")
    assert parent.path.is_dir()
    assert (parent.path / "attempts/1/checkpoints").is_dir()
    begin(child)
    child.finish("succeeded")
    prune(parent.run, "--yes")
    assert not parent.path.exists()


def test_data_frames_and_caches(home: Path) -> None:
    for name in ("used.parquet", "unused.parquet", "fresh.parquet"):
        (home / "data").mkdir(parents=True, exist_ok=True)
        (home / "data" / name).write_bytes(b"d" * 10)
        if name != "fresh.parquet":
            os.utime(home / "data" / name, (0, 0))
    (home / "cache").mkdir()
    (home / "cache" / "tokens").write_bytes(b"t")
    finished_run(dataset=f"file:{home}/data/used.parquet")
    found = prune("--yes")
    assert found["data unused.parquet"]
    assert not found["data used.parquet"]
    assert sorted(each.name for each in (home / "data").iterdir()) == ["fresh.parquet", "used.parquet"]
    assert not (home / "cache" / "tokens").exists()


def test_caches_stay_while_a_run_may_use_them(home: Path) -> None:
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "tokens").write_bytes(b"t")
    folder = new_run()
    begin(folder)
    prune("--yes")
    assert (home / "cache" / "tokens").is_file()
    folder.finish("failed")
    prune("--yes")
    assert not (home / "cache" / "tokens").exists()


def test_leftovers_of_crashed_submissions(home: Path) -> None:
    left = home / "runs" / ".new-abc"
    left.mkdir(parents=True)
    (left / "recipe.yaml").write_text("x")
    assert disk_uses() == []  # it may be being written
    os.utime(left, (0, 0))
    assert [each.what for each in disk_uses()] == ["leftover"]
