"""A gang the whole way: supervised, a rank killed, gone on with, and nothing left over."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.dispatch import collect_environment, hand_over
from lepton_lab.recipe import build_recipe
from lepton_lab.recipe.defaults import resolve_defaults
from lepton_lab.record import RunFolder, view_of
from tests.work.conftest import tiny_bert  # noqa: F401 - a fixture


def ranks_of(run: RunFolder) -> list[int]:
    """Living processes that were started as ranks of this run."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            is_rank = each.name.isdigit() and b"--rank" in (each / "cmdline").read_bytes()
            if is_rank and run.run.encode() in (each / "environ").read_bytes():
                found.append(int(each.name))
        except OSError:
            continue  # it ended, or is not ours
    return sorted(found)


@pytest.mark.slow
def test_a_rank_is_killed_and_the_run_succeeds(spare_lab: Any, wait_until: Any, tiny_bert: Path) -> None:  # noqa: F811
    rows = [f"the {word} film {number},{word}" for number in range(40) for word in ("great", "dull")]
    reviews = spare_lab.folder / "reviews.csv"
    reviews.write_text("\n".join(["text,label", *rows]))
    recipe = resolve_defaults(
        build_recipe(
            "train",
            {
                "task": "text-classification", "model": str(tiny_bert), "dataset": str(reviews), "batch_size": 4,
                "processes": 2, "max_steps": 300, "logging_steps": 1, "save_strategy": "steps", "save_steps": 20,
                "eval_strategy": "no", "precision": "fp32",
            },
        )
    )  # fmt: skip
    run = RunFolder.create(recipe)
    hand_over(run, recipe, collect_environment(), [])
    wait_until(lambda: (view_of(run).step or 0) >= 30, 200)
    ranks = ranks_of(run)
    assert len(ranks) == 2
    os.kill(ranks[-1], signal.SIGKILL)
    assert wait_until(run.final, 300)["status"] == "succeeded", view_of(run).message
    ended = run.attempt(1).ended() or {}
    assert (ended["status"], ended["reason"]) == ("disturbed", "rank")
    view = view_of(run)
    assert view.attempt == 2
    assert view.series["loss"].steps == list(range(1, 301))
    assert ranks_of(run) == []
