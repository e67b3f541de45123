"""Workers with a home of their own, started by hand with Dask's own commands, used by address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lepton_lab.dispatch import cluster_status, collect_environment, hand_over, request_cancel, stop_cluster
from lepton_lab.record import DISTURBED, RunFolder, digest_of, is_complete, last_complete, view_of

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent.parent
SAVE_STEPS = 5


class Elsewhere:
    """A scheduler and workers in processes of their own; each worker with its own home and state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._scheduler = self._start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0")
        self.address = self._until_told("scheduler", "Scheduler at:")

    def add(self, name: str) -> Path:
        """Start a worker; its home."""
        self.workers[name] = self._start(
            name, "worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny"
        )
        self._until_told(name, "Registered to:")
        return self.folder / name / "home"

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        environment = {
            **os.environ, "LEPTON_HOME": str(place / "home"), "LEPTON_STATE_DIR": str(place / "state"),
            "PYTHONPATH": f"{TESTS}{os.pathsep}{PACKAGE}", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        with (place / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--no-dashboard"],
                stdout=log, stderr=log, env=environment, cwd=place, start_new_session=True,
            )  # fmt: skip

    def _until_told(self, name: str, words: str) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for line in (self.folder / name / "log").read_text().splitlines():
                if words in line:
                    return line.split(words)[1].strip()
            time.sleep(0.05)
        raise AssertionError((self.folder / name / "log").read_text())

    def close(self) -> None:
        for process in (*self.workers.values(), self._scheduler):
            process.kill()
            process.wait()

    def left_over(self) -> list[psutil.Process]:
        """Processes that were started on the workers and are still there."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("LEPTON_HOME", "").startswith(str(self.folder)):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with (
        tempfile.TemporaryDirectory(prefix="lepton-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("LEPTON_HOME", f"{folder}/ours/home")
        patch.setenv("LEPTON_STATE_DIR", f"{folder}/ours/state")
        patch.setenv("LEPTON_SPARE", "0")
        patch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{PACKAGE}")
        there = Elsewhere(Path(folder))
        try:
            yield there
        finally:
            stop_cluster(force=True, cluster=there.address)
            there.close()
            for process in there.left_over():
                process.kill()


def start(there: Elsewhere, words: str, **options: Any) -> RunFolder:
    from lepton_lab.recipe import build_recipe

    data = there.folder / "reviews.csv"
    data.write_text("text,label\n" + "fine,good\ndull,bad\n" * 500)
    plan = {"task": "text-classification", "model": "hub:some/model", "dataset": f"file:{data}", "name": words}
    recipe = build_recipe("train", {**plan, "cluster": there.address, **options})
    folder = RunFolder.create(recipe)
    hand_over(folder, recipe, collect_environment(), [], worker_module="lepton_fake_worker")
    return folder


def steps_of(folder: RunFolder) -> list[int]:
    return [int(event.body["step"]) for event in folder.events() if event.kind == "metric"]


def test_run_goes_and_comes_back(elsewhere: Elsewhere, wait_until: Any) -> None:
    home = elsewhere.add("one")
    kept = home / "kept"
    folder = start(elsewhere, "saves artifact 40 p20")
    # What the worker's host has at the end is deleted there: keep its event files by another name.
    wait_until((home / "runs" / folder.run / "attempts/1/events-trainer.jsonl").exists, 30)
    kept.mkdir()
    there = home / "runs" / folder.run / "attempts/1"
    for name in ("events-trainer.jsonl", "events-supervisor.jsonl"):
        os.link(there / name, kept / name)
    assert (there.parent.parent / "inputs/dataset/reviews.csv").read_text() == (
        elsewhere.folder / "reviews.csv"
    ).read_text()
    assert wait_until(folder.final, 60)["status"] == "succeeded", view_of(folder)
    for name in ("events-trainer.jsonl", "events-supervisor.jsonl"):
        assert (folder.attempt(1).path / name).read_bytes() == (kept / name).read_bytes()
    view = view_of(folder)
    assert view.series["loss"].steps == list(range(1, 41))
    model = view.artifacts["model"]
    assert digest_of(folder.path / model["path"]) == (model["digest"], model["bytes"])
    wait_until(lambda: not (home / "runs" / folder.run).exists())
    assert cluster_status(elsewhere.address)["workers"][0]["shares_home"] is False


def test_requests_pass_through(elsewhere: Elsewhere, wait_until: Any) -> None:
    elsewhere.add("one")
    folder = start(elsewhere, "5000 saves")
    wait_until(lambda: steps_of(folder), 30)
    folder.ask("save")
    wait_until(lambda: any("saved at" in str(event.body.get("message")) for event in folder.events()))
    asked = time.monotonic()
    request_cancel(folder)
    assert view_of(folder).status == "cancelling"
    assert wait_until(folder.final)["status"] == "cancelled"
    assert time.monotonic() - asked < 10
    assert is_complete(last_complete(folder))


def test_killed_worker_is_followed_on_another_host_from_what_was_brought_back(
    elsewhere: Elsewhere, wait_until: Any
) -> None:
    homes = {name: elsewhere.add(name) for name in ("one", "two")}
    folder = start(elsewhere, "saves 150 p20", orphan_grace_seconds=2)
    wait_until(lambda: len(steps_of(folder)) > 20 and last_complete(folder), 40)
    first = next(name for name, home in homes.items() if (home / "runs" / folder.run).exists())
    elsewhere.workers[first].send_signal(signal.SIGKILL)
    assert wait_until(folder.final, 60)["status"] == "succeeded"
    assert folder.attempt(1).ended()["status"] == DISTURBED
    assert view_of(folder).series["loss"].steps == list(range(1, 151))
    begun = [event.body["step"] for event in folder.events() if event.kind == "metric" and event.attempt == 2]
    assert begun[0] > 15
    assert len(steps_of(folder)) - 150 <= 2 * SAVE_STEPS  # one checkpoint may have been under way
    # The first attempt went on for its grace and wrote at home: nothing of it is in the second.
    stale = homes[first] / "runs" / folder.run / "attempts/1"
    wait_until((stale / "ended.json").exists, 30)
    assert {event.attempt for event in folder.events() if event.kind == "metric" and event.body["step"] == 150} == {2}
    ours = (folder.attempt(1).path / "events-trainer.jsonl").read_bytes()
    assert (stale / "events-trainer.jsonl").read_bytes().startswith(ours)
    wait_until(lambda: not [each for each in elsewhere.left_over() if "supervisor" in " ".join(each.cmdline())])


def test_next_attempt_on_the_same_host_brings_back_what_the_first_left(elsewhere: Elsewhere, wait_until: Any) -> None:
    elsewhere.add("one")
    folder = start(elsewhere, "saves 150 p20", orphan_grace_seconds=30)
    wait_until(lambda: len(steps_of(folder)) > 20, 40)
    elsewhere.workers["one"].send_signal(signal.SIGKILL)
    elsewhere.workers["one"].wait()
    wait_until(lambda: folder.attempt(1).ended(), 30)
    elsewhere.add("one")  # the host comes back, as with a nanny
    assert wait_until(folder.final, 60)["status"] == "succeeded"
    assert steps_of(folder) == list(range(1, 151))  # the first attempt saved before it left: nothing is done twice
    assert folder.attempt(2).ended()["status"] == "succeeded"


def test_agent_that_is_killed_is_followed_by_one_that_copies_on(elsewhere: Elsewhere, wait_until: Any) -> None:
    from lepton_lab.dispatch import wake

    elsewhere.add("one")
    folder = start(elsewhere, "saves 150 p20")
    wait_until(lambda: len(steps_of(folder)) > 20, 40)
    os.kill(cluster_status(elsewhere.address)["pid"], signal.SIGKILL)
    time.sleep(0.5)
    before = len(steps_of(folder))
    wait_until(lambda: wake(folder))
    assert wait_until(folder.final, 60)["status"] == "succeeded"
    assert before < 150
    assert [attempt.number for attempt in folder.attempts()] == [1]
    assert steps_of(folder) == list(range(1, 151))


@pytest.mark.slow
def test_real_training_comes_back_to_where_the_user_wants_it(elsewhere: Elsewhere, wait_until: Any) -> None:
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    from lepton_lab.recipe import build_recipe
    from lepton_lab.recipe.defaults import resolve_defaults

    home = elsewhere.add("one")
    model, data, out = (elsewhere.folder / name for name in ("tiny", "rows.csv", "out"))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "fine", "dull", "film"]
    model.mkdir()
    (model / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(model / "vocab.txt")).save_pretrained(model)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(model)
    data.write_text("text,label\n" + "".join(f"{word} film,{word}\n" for word in ("fine", "dull") for _ in range(50)))
    plan = {
        "task": "text-classification", "model": str(model), "dataset": f"file:{data}", "output_dir": str(out),
        "epochs": 2, "batch_size": 8, "cpus": 1, "cluster": elsewhere.address,
    }  # fmt: skip
    recipe = resolve_defaults(build_recipe("train", plan))
    folder = RunFolder.create(recipe)
    hand_over(folder, recipe, collect_environment(), [])
    assert wait_until(folder.final, 200)["status"] == "succeeded", view_of(folder).message
    for name in ("model", "splits"):
        found = view_of(folder).artifacts[name]
        assert digest_of(folder.path / found["path"]) == (found["digest"], found["bytes"])
    assert digest_of(out) == digest_of(folder.attempt(1).path / "model")
    wait_until(lambda: not (home / "runs" / folder.run).exists())
