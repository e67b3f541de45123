"""The live protocol: what a viewer holds is the run, whenever it came and whatever happened."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder, RunView
from lepton_lab.record.live import POINTS_KEPT, LiveFeed, LiveRun, decimate, histogram
from tests.attempts import next_attempt


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path))
    return tmp_path


def new_run() -> RunFolder:
    return RunFolder.create(build_recipe("train", {"task": "text-classification", "model": "m", "dataset": "d"}))


def card(view: RunView) -> tuple[str, str]:
    return f"<p>{view.status}</p>", view.status


class Viewer:
    """Does what the protocol asks of a viewer."""

    def __init__(self, folder: RunFolder) -> None:
        self.live = LiveRun(folder)
        self.feed = LiveFeed(self.live, card)
        self.view: dict[str, Any] = {}
        self.series: dict[str, dict[str, list[Any]]] = {}
        self.logs: list[str] = []
        self.kinds: list[str] = []
        self.sequence = -1
        self.final: dict[str, Any] | None = None

    def look(self) -> list[str]:
        self.live.read()
        kinds = []
        for message in self.feed.messages():
            json.dumps(message, allow_nan=False)
            kinds.append(message["type"])
            if message["type"] == "snapshot":
                self.view, self.series, self.logs, self.sequence = {}, {}, [], -1
            assert message["sequence"] == self.sequence + 1
            self.sequence = message["sequence"]
            self.view.update(message["view"])
            for name, points in {**message.get("series", {}), **message.get("append", {})}.items():
                mine = self.series.setdefault(name, {"steps": [], "values": []})
                mine["steps"] += points["steps"]
                mine["values"] += points["values"]
                assert len(mine["steps"]) == len(mine["values"]) <= POINTS_KEPT
                assert mine["steps"] == sorted(set(mine["steps"]))
            self.logs += [line["message"] for line in message.get("logs", [])]
            if message["type"] == "final":
                self.final = message
        self.kinds += kinds
        return kinds


def test_snapshot_then_only_what_changed() -> None:
    folder = new_run()
    viewer = Viewer(folder)
    assert viewer.look() == ["snapshot"]
    assert viewer.view["status"] == "queued"
    assert viewer.look() == []
    attempt = folder.take_lease(1)
    supervisor, trainer = attempt.writer("supervisor"), attempt.writer("trainer")
    supervisor.status(status="running")
    trainer.metric(1, {"loss": 2.0, "learning_rate": 1e-5})
    trainer.log("hello")
    assert viewer.look() == ["delta"]
    trainer.metric(2, {"loss": 1.5})
    viewer.live.read()
    (delta,) = viewer.feed.messages()
    assert delta["append"] == {"loss": {"steps": [2], "values": [1.5]}}
    assert delta["logs"] == []
    assert "reports" not in delta["view"]
    assert delta["view"]["step"] == 2
    viewer.sequence += 1
    trainer.report("preflight", {"rows": 3})
    assert viewer.look() == ["delta"]
    assert viewer.view["reports"] == {"preflight": {"rows": 3}}
    assert viewer.logs == ["hello"]


def test_final_comes_once_and_after_every_event() -> None:
    folder = new_run()
    viewer = Viewer(folder)
    viewer.look()
    writer = folder.take_lease(1).writer("trainer")
    writer.metric(1, {"loss": 1.0})
    writer.report("metrics", {"test_accuracy": 0.5})
    folder.finish("succeeded")
    assert viewer.look() == ["delta", "final"]
    assert viewer.final is not None
    assert viewer.final["html"] == "<p>succeeded</p>"
    assert viewer.final["view"]["metrics"] == {"test_accuracy": 0.5}
    assert viewer.live.is_complete
    assert viewer.look() == []
    late = Viewer(folder)
    assert late.look() == ["snapshot", "final"]
    assert late.series == viewer.series


def test_a_gap_is_mended_by_a_restart() -> None:
    folder = new_run()
    writer = folder.take_lease(1).writer("trainer")
    writer.log("one")
    viewer = Viewer(folder)
    viewer.look()
    writer.metric(1, {"loss": 1.0})
    viewer.live.read()
    viewer.feed.messages()  # lost on the way
    writer.metric(2, {"loss": 0.5})
    viewer.feed.restart()
    assert viewer.look() == ["snapshot"]
    assert viewer.series["loss"]["steps"] == [1, 2]
    assert viewer.logs == ["one"]


def test_a_resume_that_goes_back_sends_a_new_snapshot_even_if_it_caught_up() -> None:
    folder = new_run()
    first = folder.take_lease(1).writer("trainer")
    viewer = Viewer(folder)
    for step in range(1, 6):
        first.metric(step, {"loss": 1.0})
    viewer.look()
    second = next_attempt(folder).writer("trainer")
    for step in range(3, 8):
        second.metric(step, {"loss": 2.0})
    assert viewer.look() == ["snapshot"]
    assert viewer.series["loss"] == {"steps": [1, 2, 3, 4, 5, 6, 7], "values": [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]}


def test_a_flood_stays_bounded_keeps_its_peak_and_is_cheap() -> None:
    folder = new_run()
    writer = folder.take_lease(1).writer("trainer")
    viewer = Viewer(folder)
    for step in range(1, 30_001):
        writer.metric(step, {"loss": 99.0 if step == 12_345 else 1 / step})
        if step % 500 == 0:
            viewer.look()
    assert max(viewer.series["loss"]["values"]) == 99.0
    assert viewer.series["loss"]["steps"][0] == 1
    assert viewer.series["loss"]["steps"][-1] == 30_000
    assert viewer.kinds.count("snapshot") < len(viewer.kinds) / 5


def test_a_lost_run_that_comes_back_is_shown_again() -> None:
    folder = new_run()
    attempt = folder.take_lease(1)
    attempt.writer("supervisor").status(status="running")
    viewer = Viewer(folder)
    (attempt.path / "heartbeat.json").write_text('{"time": 1.0, "pid": 1}')
    assert viewer.look() == ["snapshot", "final"]
    assert viewer.view["status"] == "lost"
    assert viewer.look() == []
    attempt.beat()
    assert viewer.look() == ["snapshot"]
    assert viewer.view["status"] == "running"


def test_logs_are_bounded() -> None:
    folder = new_run()
    writer = folder.take_lease(1).writer("trainer")
    viewer = Viewer(folder)
    viewer.look()
    for number in range(700):
        writer.log(f"{number} " + "x" * 5000)
    viewer.look()
    assert len(viewer.logs) == 500
    assert viewer.logs[-1].startswith("699 ")
    assert max(map(len, viewer.logs)) == 2000


def test_a_deleted_run_raises() -> None:
    folder = new_run()
    viewer = Viewer(folder)
    viewer.look()
    shutil.rmtree(folder.path)
    with pytest.raises(FileNotFoundError):
        viewer.look()


def test_decimation_keeps_ends_and_extremes() -> None:
    steps = list(range(100_000))
    values = [0.0] * 100_000
    values[77], values[50_001] = -5.0, 7.0
    thin_steps, thin_values = decimate(steps, values, 100)
    assert len(thin_steps) <= 100
    assert (thin_steps[0], thin_steps[-1]) == (0, 99_999)
    assert {77, 50_001} <= set(thin_steps)
    assert (min(thin_values), max(thin_values)) == (-5.0, 7.0)


def test_histogram_and_percentiles() -> None:
    found = histogram([float(value) for value in range(1, 101)])
    assert sum(found["counts"]) == found["count"] == 100
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert found["p50"] == 50.5
    assert found["p95"] == pytest.approx(95.05)
    assert histogram([3.0])["counts"] == [1]
    folder = new_run()
    writer = folder.take_lease(1).writer("trainer")
    for step in range(1, 5):
        writer.metric(step, {"latency_ms.compiled.b1.l32": float(step)})
    viewer = Viewer(folder)
    viewer.look()
    assert viewer.view["latency"]["compiled.b1.l32"]["p50"] == 2.5
