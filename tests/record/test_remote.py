"""A home in an object store: two hosts, a real S3-speaking server, real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")

pytestmark = pytest.mark.slow
SECRET = "planted-secret-key-of-the-store"


def until(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain")
        time.sleep(0.1)
    return found


class Server:
    """``moto_server``, which can go away and come back with what it had: a process that is stopped."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


class Host:
    """A machine with a state folder of its own, and nothing else in common than the store."""

    def __init__(self, folder: Path, url: str, port: int) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "LEPTON_HOME": url,
            "LEPTON_STATE_DIR": str(folder),
            "LEPTON_SPARE": "0",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "planted-access-key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def run(self, code: str, *words: str) -> Any:
        """What the code prints, as JSON, in a new process."""
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, env=self.environment, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def start(self, code: str, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code, *words], env=self.environment)

    def mirrors(self) -> list[int]:
        import psutil

        state = str(self.folder)
        found = []
        for process in psutil.process_iter():
            try:
                command, about = process.cmdline(), process.environ()
            except psutil.Error:
                continue
            if "lepton_lab.record.remote.mirror" in command and about.get("LEPTON_STATE_DIR") == state:
                found.append(process.pid)
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGCONT)
        server.process.terminate()
        server.process.wait()


@pytest.fixture
def hosts(server: Server, request: pytest.FixtureRequest) -> Iterator[tuple[Host, Host]]:
    bucket = request.node.name.replace("_", "-")[:40].strip("-")
    make = "import s3fs, sys; s3fs.S3FileSystem().mkdir(sys.argv[1])"
    with tempfile.TemporaryDirectory(prefix="lepton-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        a, b = (Host(Path(folder) / name, f"s3://{bucket}/lab", server.port) for name in "ab")
        a.run(make, bucket)
        try:
            yield a, b
        finally:
            for pid in (*a.mirrors(), *b.mirrors()):
                os.kill(pid, signal.SIGKILL)


CREATE = """
import json, sys
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder
from lepton_lab.record.remote import enlist
plan = {"task": "text-classification", "model": "m", "dataset": "d", "name": sys.argv[1]}
folder = RunFolder.create(build_recipe("train", plan))
enlist(folder.run)
print(json.dumps([folder.run, str(folder.path)]))
"""
TRAIN = """
import sys, time
from pathlib import Path
from lepton_lab.record import RunFolder, digest_of
folder = RunFolder(Path(sys.argv[1])); steps = int(sys.argv[2])
attempt = folder.take_lease(1)
supervisor, trainer = attempt.writer("supervisor"), attempt.writer("trainer")
attempt.beat()
supervisor.status(status="running")
trainer.status(stage="train", max_steps=steps)
for step in range(1, steps + 1):
    trainer.metric(step, {"loss": 1 / step})
    attempt.beat()
    if folder.asked("cancel"):
        break
    time.sleep(0.02)
model = attempt.path / "model"
(model / "inner").mkdir(parents=True)
(model / "weights.bin").write_bytes(bytes(range(256)) * 100_000)
(model / "inner" / "config.json").write_text("{}")
digest, size = digest_of(model)
trainer.artifact("model", "model", "attempts/1/model", digest, size)
status = "cancelled" if folder.asked("cancel") else "succeeded"
supervisor.status(status=status)
folder.finish(status, metrics={"test_accuracy": 0.9}, attempt=1)
"""
LIST = "import json; from lepton_lab.record import list_runs; print(json.dumps(list_runs()))"
VIEW = """
import json, sys
from lepton_lab.record import find_run, view_of
view = view_of(find_run(sys.argv[1]))
series = view.series.get("loss")
print(json.dumps([view.status, list(series.steps) if series else []]))
"""
RAW = """
import json, sys
from lepton_lab.record import find_run
print(json.dumps([list(event.identity) for event in find_run(sys.argv[1]).events()]))
"""
MODEL = """
import json, sys, lepton_lab
from lepton_lab.record import digest_of
run = lepton_lab.attach(sys.argv[1])
print(json.dumps([digest_of(run.model_dir)[0], run.view().artifacts["model"]["digest"]]))
"""
CANCEL = "import sys, lepton_lab; lepton_lab.cancel(sys.argv[1])"
FOLLOW = """
import json, sys, time
from lepton_lab.record import RunTail, find_run
tail = RunTail(find_run(sys.argv[1]))
seen = []
while not tail.view.is_over:
    seen += [event.body["step"] for event in tail.read() if event.kind == "metric"]
    time.sleep(0.05)
seen += [event.body["step"] for event in tail.read() if event.kind == "metric"]
print(json.dumps([tail.view.status, seen]))
"""


def test_another_host_sees_a_run_while_it_goes_on_and_gets_its_model(hosts: tuple[Host, Host]) -> None:
    a, b = hosts
    run, path = a.run(CREATE, "shared")
    worker = a.start(TRAIN, path, "300")
    status, steps = until(lambda: (found := b.run(VIEW, until(lambda: b.run(LIST))[0]["run"]))[1] and found)
    assert status == "running"
    assert steps == list(range(1, len(steps) + 1))
    status, steps = b.run(FOLLOW, "shared")
    assert (status, len(steps), steps[-1]) == ("succeeded", 300, 300)
    assert steps == list(range(1, 301))
    worker.wait()
    assert b.run(RAW, run) == a.run(RAW, run)
    assert len(set(b.run(MODEL, run))) == 1
    assert [row["status"] for row in b.run(LIST)] == ["succeeded"]
    assert b.run(LIST) == a.run(LIST)
    for file in (*a.folder.rglob("*"), *b.folder.rglob("*")):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


def test_a_store_that_was_away_is_caught_up_with(hosts: tuple[Host, Host], server: Server) -> None:
    a, b = hosts
    run, path = a.run(CREATE, "outage")
    worker = a.start(TRAIN, path, "300")
    until(lambda: b.run(LIST))
    server.process.send_signal(signal.SIGSTOP)
    worker.wait(60)
    time.sleep(3)
    server.process.send_signal(signal.SIGCONT)
    until(lambda: b.run(LIST)[0]["status"] == "succeeded", 60)
    assert b.run(VIEW, run) == ["succeeded", list(range(1, 301))]
    assert b.run(RAW, run) == a.run(RAW, run)


def test_a_mirror_that_was_killed_is_started_again_without_gap_or_duplicate(hosts: tuple[Host, Host]) -> None:
    a, b = hosts
    run, path = a.run(CREATE, "killed")
    worker = a.start(TRAIN, path, "200")
    for _ in range(3):
        pids = until(a.mirrors)
        time.sleep(1)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not a.mirrors())
        a.run(LIST)
    worker.wait(60)
    until(lambda: b.run(LIST)[0]["status"] == "succeeded")
    assert b.run(RAW, run) == a.run(RAW, run)


def test_a_request_to_stop_reaches_the_host_that_has_the_run(hosts: tuple[Host, Host]) -> None:
    a, b = hosts
    run, path = a.run(CREATE, "stopped")
    worker = a.start(TRAIN, path, "5000")
    until(lambda: b.run(LIST))
    b.run(CANCEL, run)
    assert b.run(VIEW, run)[0] in ("cancelling", "cancelled")
    worker.wait(60)
    until(lambda: b.run(VIEW, run)[0] == "cancelled")


HAND_OVER = """
import json
from lepton_lab.dispatch import collect_environment
from lepton_lab.dispatch.handing import hand_over
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder
plan = {"task": "text-classification", "model": "m", "dataset": "d", "name": "200 by the cluster"}
folder = RunFolder.create(build_recipe("train", plan))
hand_over(folder, folder.recipe(), collect_environment(), [], worker_module="lepton_fake_worker")
"""


def test_a_run_of_the_local_cluster_is_seen_elsewhere_though_nobody_enlisted_it(hosts: tuple[Host, Host]) -> None:
    a, b = hosts
    worker = str(Path(__file__).parent.parent / "dispatch")
    a.environment["PYTHONPATH"] = os.pathsep.join([worker, os.environ.get("PYTHONPATH", "")])
    try:
        a.run(HAND_OVER)
        a.run(LIST)
        assert until(lambda: b.run(LIST))[0]["name"] == "200 by the cluster"
        assert b.run(FOLLOW, "200 by the cluster") == ["succeeded", list(range(1, 201))]
        assert b.run(LIST)[0]["metrics"] == {"test_accuracy": 0.9}
    finally:
        a.run("from lepton_lab.dispatch import stop_cluster; stop_cluster(force=True)")


CREATE_TWICE = """
import json
from lepton_lab.record.remote import open_bucket
bucket = open_bucket()
print(json.dumps([bucket.create("one", b"1"), bucket.create("one", b"2"), bucket.get("one").decode()]))
"""


def test_an_object_is_created_once(hosts: tuple[Host, Host]) -> None:
    assert hosts[0].run(CREATE_TWICE) == [True, False, "1"]


def test_a_url_with_credentials_is_refused(hosts: tuple[Host, Host]) -> None:
    a, _ = hosts
    a.environment["LEPTON_HOME"] = "s3://key:planted@bucket/lab"
    done = subprocess.run(
        [sys.executable, "-m", "lepton_lab", "runs"], capture_output=True, text=True, env=a.environment
    )
    assert done.returncode == 2
    assert "LEPTON_HOME must hold no credentials" in done.stderr
    assert "planted" not in done.stderr
