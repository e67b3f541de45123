"""A disk that fills in the middle of a real training."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.lab import Run
from lepton_lab.record import checkpoint_step, is_intact, last_complete
from tests.faults.training import SAVE_STEPS, Ending, SmallTraining, assert_no_orphans, assert_unharmed, held_still

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(fresh_lab: Any) -> Iterator[Path]:
    """A home on a disk of its own that has just the room that a run asks for."""
    disk = fresh_lab.folder / "home"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=260m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"SKIPPED: a small disk needs root: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(path: Path) -> None:
    """Write until nothing more fits, not even a byte."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def assert_ended_for_the_disk(run: Run) -> None:
    final = run.folder.final() or {}
    assert (final["status"], final["reason"]) == ("failed", "disk"), final
    (problem,) = final["problems"]
    assert problem["what"].startswith("the disk is full")
    assert "LEPTON_HOME" in problem["do"]
    assert_no_orphans(run.folder)


def test_full_disk_ends_the_run_with_what_to_do_and_a_resume_ends_it_well(
    undisturbed: Ending, small_disk: Path, training: SmallTraining
) -> None:
    run, following = training.start(), training.start()
    with held_still(run):
        fill(small_disk / "ballast")
    for each in (run, following):
        assert each.wait(timeout=120).status == "failed", each.view().message
        assert_ended_for_the_disk(each)
    saved = last_complete(run.folder)
    assert saved is not None
    assert is_intact(saved)
    assert checkpoint_step(saved) == SAVE_STEPS
    (small_disk / "ballast").unlink()
    for each in (run, following):
        assert each.resume().wait(timeout=300).status == "succeeded", each.view().message
        assert_unharmed(each, undisturbed, "failed", "succeeded")
