"""Blobs, the dock and the mirror, over a real Dask scheduler and worker whose home is another folder."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lepton_lab.dispatch.shipping.blobs import BlobStore
from lepton_lab.dispatch.shipping.carrier import INCOMING, Carrier
from lepton_lab.dispatch.shipping.dock import Dock, below
from lepton_lab.dispatch.shipping.freight import Freight, freight_of
from lepton_lab.dispatch.shipping.mirror import Mirror
from lepton_lab.dispatch.shipping.outbox import Outbox
from lepton_lab.dispatch.shipping.port import LinkDown, WorkerPort
from lepton_lab.errors import ClusterError
from lepton_lab.record import RunFolder, digest_of, mark_complete, read_json, view_of, write_json


class ShakyPort(WorkerPort):
    """A port whose answers get lost: the question arrives, the answer does not."""

    def __init__(self, *arguments: Any, seed: int = 0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.chance = random.Random(seed)
        self.share = 0.3
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def call(self, name: str, timeout: float = 10.0, /, **arguments: Any) -> Any:
        self.asked.append((name, arguments))
        found = await super().call(name, timeout, **arguments)
        if self.chance.random() < self.share:
            self.down_since = time.time()
            raise LinkDown("lost on the way")
        return found


@asynccontextmanager
async def elsewhere(home: Path, kind: type[WorkerPort] = WorkerPort) -> AsyncIterator[Any]:
    """A port to a worker whose home is ``home``."""
    from distributed import Client, Scheduler, Worker

    async with (
        Scheduler(dashboard=False, host="127.0.0.1", port=0) as scheduler,
        Worker(scheduler.address, nthreads=1, dashboard=False, host="127.0.0.1") as worker,
        Client(scheduler.address, asynchronous=True, set_as_default=False) as client,
    ):
        yield kind(SimpleNamespace(client=client), worker.address, home=str(home))


def in_loop(test: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


@pytest.fixture
def two_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Ours, which the environment names, and the worker's."""
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "ours"))
    return tmp_path / "ours", tmp_path / "theirs"


def begun_run(home: Path, run: str = "abcdefgh") -> RunFolder:
    """A run whose first attempt has begun."""
    folder = RunFolder(home / "runs" / run)
    for name in ("control", "attempts/1"):
        (folder.path / name).mkdir(parents=True)
    write_json(folder.path / "run.json", {"run": run, "kind": "train", "created": 1.0})
    return folder


def test_blob_arrives_in_parts_and_counts_when_its_digest_is_right(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    data = random.Random(1).randbytes(200_000)
    digest = hashlib.sha256(data).hexdigest()
    assert store.put(digest, len(data), 0, data[:70_000]) == 70_000
    assert not store.has(digest)
    assert BlobStore(tmp_path).arrived(digest) == 70_000
    assert store.put(digest, len(data), 10, data[10:]) == 70_000  # another sender's part
    assert store.put(digest, len(data), 70_000, data[70_000:-1] + b"x") == 0  # damaged: begins again
    assert store.arrived(digest) == 0
    assert store.put(digest, len(data), 0, data) == len(data)
    assert store.has(digest)
    store.link(digest, tmp_path / "runs/a/data.csv")
    assert (tmp_path / "runs/a/data.csv").read_bytes() == data
    assert store.evict(0) == 0  # it just came
    for name in ("../../etc/passwd", "zz" * 32, digest[:-1]):
        with pytest.raises(ValueError):
            store.path(name)


def test_oldest_blobs_go_first_and_never_from_under_a_run(tmp_path: Path) -> None:
    import os

    store = BlobStore(tmp_path)
    digests = []
    for number in range(3):
        data = bytes([number]) * 100_000
        digests.append(hashlib.sha256(data).hexdigest())
        store.put(digests[-1], len(data), 0, data)
        store.link(digests[-1], tmp_path / f"run/{number}")
        os.utime(store.path(digests[-1]), (number, number))
    assert store.evict(150_000) == 200_000
    assert [store.has(digest) for digest in digests] == [False, False, True]
    assert (tmp_path / "run/0").read_bytes() == bytes(100_000)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "a\0b"])
def test_paths_from_the_wire_stay_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError):
        below(tmp_path, name)
    with pytest.raises(ValueError):
        Dock(tmp_path)._run(f"{name}/run")


def test_freight_goes_once_and_survives_lost_answers(two_homes: tuple[Path, Path], tmp_path: Path) -> None:
    big = tmp_path / "reviews.csv"
    big.write_bytes(random.Random(2).randbytes(3_000_000))
    empty = tmp_path / "empty"
    empty.touch()

    async def test() -> None:
        async with elsewhere(two_homes[1], ShakyPort) as port:
            freight = Freight(
                "runs/abcdefgh", {"inputs/reviews.csv": big, "empty": empty, "run.json": b"{}"}, ("control",)
            )
            outbox = Outbox(port)
            await outbox.send([freight])
            there = two_homes[1] / "runs/abcdefgh"
            assert (there / "inputs/reviews.csv").read_bytes() == big.read_bytes()
            assert (there / "run.json").read_text() == "{}"
            assert (there / "control").is_dir()
            assert (there / "empty").read_bytes() == b""
            before = outbox.sent_bytes
            await outbox.send([Freight("runs/bbbbbbbb", {"again.csv": big})])
            assert outbox.sent_bytes == before
            with pytest.raises(ClusterError, match="not a path inside"):
                await outbox.send([Freight("runs/../../x", {"a": b"1"})])

    in_loop(test)


def test_events_are_copied_byte_by_byte_whatever_gets_lost(two_homes: tuple[Path, Path]) -> None:
    ours, theirs = (begun_run(home) for home in two_homes)
    text = "".join(f'{{"step": {step}, "text": "émile"}}\n' for step in range(3000)).encode()
    there = theirs.attempt(1).path / "events-trainer.jsonl"

    async def grow() -> None:
        chance = random.Random(3)
        offset = 0
        with there.open("ab") as file:
            while offset < len(text):
                part = text[offset : offset + chance.randrange(1, 5000)]  # torn anywhere
                file.write(part)
                file.flush()
                offset += len(part)
                await asyncio.sleep(0.005)
        (theirs.attempt(1).path / "worker.log").write_text("said")
        theirs.attempt(1).beat()
        write_json(theirs.attempt(1).path / "ended.json", {"status": "succeeded", "time": 1.0})

    async def test() -> None:
        async with elsewhere(two_homes[1], ShakyPort) as port:
            growing = asyncio.create_task(grow())
            for _ in range(3):  # an agent that is killed, and the next one
                following = asyncio.create_task(Mirror(ours, ours.attempt(1), port).follow())
                await asyncio.sleep(0.3)
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
            await growing
            mirror = Mirror(ours, ours.attempt(1), port)
            await mirror.follow()
            assert mirror.state["ended"]["status"] == "succeeded"

    in_loop(test)
    assert (ours.attempt(1).path / "events-trainer.jsonl").read_bytes() == text
    assert (ours.attempt(1).path / "worker.log").read_text() == "said"
    assert time.time() - (ours.attempt(1).heartbeat_time() or 0) < 30


def test_events_are_seen_soon(two_homes: tuple[Path, Path]) -> None:
    ours, theirs = (begun_run(home) for home in two_homes)
    events = theirs.attempt(1).writer("trainer")
    delays: list[float] = []

    async def look() -> None:
        path, offset = ours.attempt(1).path / "events-trainer.jsonl", 0
        while True:
            if path.exists():
                with path.open("rb") as file:
                    file.seek(offset)
                    lines = file.read().splitlines(keepends=True)
                for line in lines:
                    if line.endswith(b"\n"):
                        import json

                        delays.append(time.time() - json.loads(line)["time"])
                        offset += len(line)
            await asyncio.sleep(0.01)

    async def test() -> None:
        async with elsewhere(two_homes[1]) as port:
            tasks = [asyncio.create_task(each) for each in (Mirror(ours, ours.attempt(1), port).follow(), look())]
            for _ in range(100):
                for _ in range(20):
                    events.metric(1, {"loss": 0.1})
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    in_loop(test)
    assert len(delays) == 2000
    assert sorted(delays)[1900] < 0.4


def test_checkpoints_and_artifacts_come_whole_and_go_on_where_they_stopped(two_homes: tuple[Path, Path]) -> None:
    ours, theirs = (begun_run(home) for home in two_homes)
    attempt = theirs.attempt(1)
    data = random.Random(4).randbytes(2_000_000)
    for step in (10, 20):
        (attempt.path / f"checkpoints/checkpoint-{step}").mkdir(parents=True)
        (attempt.path / f"checkpoints/checkpoint-{step}/weights").write_bytes(data)
        mark_complete(attempt.path / f"checkpoints/checkpoint-{step}")
    (attempt.path / "checkpoints/checkpoint-30").mkdir()  # not whole
    (attempt.path / "model/deep").mkdir(parents=True)
    (attempt.path / "model/deep/weights").write_bytes(data[:1000])
    events = attempt.writer("trainer")
    digest, size = digest_of(attempt.path / "model")
    events.artifact("model", "model", "attempts/1/model", digest, size)

    async def test() -> None:
        async with elsewhere(two_homes[1], ShakyPort) as port:
            port.share = 0.0
            path = "attempts/1/checkpoints/checkpoint-20"
            fetching = asyncio.create_task(Carrier(port, ours, ours.attempt(1)).fetch(path))
            while port.pace.size < 2_000_000:
                port.pace.size = 100_000
                if sum(name == "read" for name, _ in port.asked) > 5:
                    break
                await asyncio.sleep(0)
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
            assert not (ours.path / path).exists()
            arrived = sum(
                each.stat().st_size for each in (ours.attempt(1).path / INCOMING).rglob("*") if each.is_file()
            )
            assert 0 < arrived < 2_000_000
            port.asked.clear()
            port.share = 0.3
            following = asyncio.create_task(Mirror(ours, ours.attempt(1), port).follow())
            while not (ours.attempt(1).path / "model").exists() or not (ours.path / path).exists():
                await asyncio.sleep(0.05)
            reads = [body for name, body in port.asked if name == "read" and body["path"] == f"{path}/weights"]
            assert min(body["offset"] for body in reads) >= arrived - 100_000
            (attempt.path / "checkpoints/checkpoint-10/complete.json").unlink()  # the training lets it go
            write_json(attempt.path / "ended.json", {"status": "cancelled", "time": 1.0})
            await following

    in_loop(test)
    assert digest_of(ours.attempt(1).path / "model") == (digest, size)
    assert view_of(ours).artifacts["model"]["digest"] == digest
    assert [path.name for path in (ours.attempt(1).path / "checkpoints").iterdir()] == ["checkpoint-20"]
    assert not (ours.attempt(1).path / INCOMING).exists()


def test_requests_arrive_and_a_silent_link_is_told(two_homes: tuple[Path, Path]) -> None:
    ours, theirs = (begun_run(home) for home in two_homes)
    theirs.attempt(1).writer("supervisor").status(status="running")
    theirs.attempt(1).beat()

    async def test() -> None:
        async with elsewhere(two_homes[1], ShakyPort) as port:
            port.share = 0.0
            following = asyncio.create_task(Mirror(ours, ours.attempt(1), port).follow())
            while ours.attempt(1).heartbeat_time() is None:
                await asyncio.sleep(0.02)
            ours.ask("save")
            ours.ask("cancel")
            asked = time.monotonic()
            while not (theirs.asked("cancel") and theirs.asked("save")):
                await asyncio.sleep(0.02)
            assert time.monotonic() - asked < 1.0
            assert theirs.asked("save") == ours.asked("save")
            (ours.path / "control/cancel.json").unlink()
            port.share = 1.0
            while "link_down_since" not in read_json(ours.attempt(1).path / "heartbeat.json"):
                await asyncio.sleep(0.05)
            view = view_of(ours)
            assert view.status == "running"
            assert "no connection" in view.message
            port.share = 0.0
            while "no connection" in view_of(ours).message:
                await asyncio.sleep(0.05)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    in_loop(test)


def test_recipe_names_what_travelled_by_where_it_is_there(two_homes: tuple[Path, Path], tmp_path: Path) -> None:
    from lepton_lab.recipe import build_recipe

    reviews = tmp_path / "reviews.csv"
    reviews.write_text("text,label\na,b\n")
    model = tmp_path / "mine"
    model.mkdir()
    for name in ("config.json", "model.safetensors", "pytorch_model.bin"):
        (model / name).write_text("{}")
    plan = {"task": "text-classification", "model": str(model), "dataset": f"file:{reviews}", "output_dir": "/out"}
    folder = RunFolder.create(build_recipe("train", {**plan, "test_dataset": "hub:a/b"}))
    freight = freight_of(folder, "/there")[-1]
    recipe = RunFolder(tmp_path).path / "recipe.yaml"
    recipe.write_bytes(bytes(freight.files["recipe.yaml"]))  # type: ignore[arg-type]
    found = RunFolder(tmp_path).recipe()
    there = f"/there/runs/{folder.run}/inputs"
    assert found.data.dataset == f"file:{there}/dataset/reviews.csv"
    assert found.data.test_dataset == "hub:a/b"
    assert found.model == f"{there}/model"
    assert found.output_dir is None
    assert sorted(freight.files) == [
        "inputs/dataset/reviews.csv", "inputs/model/config.json", "inputs/model/model.safetensors", "recipe.yaml", "run.json",
    ]  # fmt: skip
