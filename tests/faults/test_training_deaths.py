"""Processes of this machine that are killed in the middle of real training: the weights do not show it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import psutil
import pytest

from lepton_lab.lab import Run
from lepton_lab.record import DISTURBED
from tests.faults.training import (
    Ending,
    SmallTraining,
    assert_unharmed,
    held_still,
    held_while_it_saves,
    is_gone,
    kill,
    pid_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("home")]

Moment = Callable[[Run], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("victims", "moment", "endings"),
    [
        (("trainer",), held_still, (DISTURBED, "succeeded")),
        (("trainer",), held_while_it_saves, (DISTURBED, "succeeded")),
        (("supervisor",), held_still, (DISTURBED, "succeeded")),
        (("agent",), held_still, ("succeeded",)),
        (("trainer", "supervisor", "agent"), held_still, (DISTURBED, "succeeded")),
    ],
    ids=["trainer", "trainer that saves", "supervisor", "agent", "everything"],
)
def test_killed_process_leaves_no_trace_in_the_weights(
    training: SmallTraining, undisturbed: Ending, victims: tuple[str, ...], moment: Moment, endings: tuple[str, ...]
) -> None:
    run = training.start()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(run.wait, timeout=300)  # nobody but who waits already calls for help
        with moment(run):
            pids = [pid_of(run, name) for name in victims]
            for pid in pids:
                kill(pid)
        assert waiting.result().status == "succeeded", run.view().message
    assert all(map(is_gone, pids))
    assert_unharmed(run, undisturbed, *endings)


def test_killed_rank_is_followed_by_a_whole_gang(training: SmallTraining) -> None:
    straight = training.start(processes=2).wait(timeout=300).raise_for_status()
    run = training.start(processes=2)
    with held_still(run):
        leader = psutil.Process(pid_of(run, "trainer"))
        ranks = [each.pid for each in leader.children(recursive=True) if "--rank" in each.cmdline()]
        assert len(ranks) == 2
        kill(ranks[-1])
    assert run.wait(timeout=300).status == "succeeded", run.view().message
    assert (run.folder.attempt(1).ended() or {})["reason"] == "rank"
    assert all(map(is_gone, ranks))
    assert_unharmed(run, Ending.of(straight), DISTURBED, "succeeded")
