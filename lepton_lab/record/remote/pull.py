"""Bringing runs of other hosts into the local home, when somebody looks."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ... import places
from ..event import events_in
from ..files import digest_of, read_json, write_json
from ..folder import RunFolder
from .bucket import Bucket, BucketError, open_bucket
from .enlisting import enlisted, is_pulled, keep_mirror, outbox, pulled, pushed
from .layout import key_of, manifest_key, segment_key, segment_starts

_LIST_SECONDS = 1.0
_RUN_SECONDS = 0.4
_AWAY_SECONDS = 5.0
_AT_ONCE = 64
_COMPLETE = "complete"

_next_look: dict[tuple[str, str], float] = {}
_aligned: set[Path] = set()


def refresh_runs() -> None:
    """Learn of new, ended and deleted runs of other hosts. A store that is away changes nothing."""
    keep_mirror()
    if not _is_time("", _LIST_SECONDS):
        return
    try:
        bucket = open_bucket()
        there = set(bucket.names("runs"))
        _pull_headers(bucket, sorted(there - _local_runs()))
        for run in _pulled_runs():
            folder = RunFolder(places.runs_dir() / run)
            if run not in there:
                _drop(run)
            elif folder.final() is None:
                _refresh(bucket, folder)
    except BucketError:
        _wait("", _AWAY_SECONDS)


def refresh_run(folder: RunFolder) -> None:
    """Bring a run of another host up to date; one of this host is left alone.

    Raises :class:`BucketError` if the run has ended and its events cannot be had; a living one
    is then shown as it was.
    """
    if not is_pulled(folder.run) or _is_complete(folder.run) or not _is_time(folder.run, _RUN_SECONDS):
        return
    try:
        _refresh(open_bucket(), folder)
    except BucketError:
        if folder.final() is not None:
            raise
        _wait(folder.run, _AWAY_SECONDS)


def bring_artifact(folder: RunFolder, relative: str) -> Path:
    """The local path of an artifact, fetched first if it is not here. Raises :class:`BucketError`."""
    path = folder.path / relative
    if path.exists() or not is_pulled(folder.run):
        return path
    bucket = open_bucket()
    found = bucket.get(manifest_key(folder.run, relative))
    if found is None:
        raise BucketError(f"the store has no {relative} of run {folder.run}")
    manifest = json.loads(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        for name in manifest["files"]:
            target = fresh if name == "." else fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            bucket.download(key_of(folder.run, relative if name == "." else f"{relative}/{name}"), target)
        digest, _ = digest_of(fresh)
        if digest != manifest["digest"]:
            raise BucketError(f"{relative} of run {folder.run} came as {digest}, not as {manifest['digest']}")
        try:
            fresh.rename(path)
        except OSError:
            if not path.exists():  # else another process was quicker
                raise
    finally:
        if fresh.is_dir():
            shutil.rmtree(fresh, ignore_errors=True)
        else:
            fresh.unlink(missing_ok=True)
    return path


def send_request(folder: RunFolder, word: str, body: dict[str, Any]) -> None:
    """Leave a request for the host that has the run."""
    open_bucket().put(key_of(folder.run, f"control/{word}.json"), json.dumps(body).encode())


def forget_run(run: str) -> None:
    """Delete a run from the store, what makes it exist first."""
    bucket = open_bucket()
    bucket.delete(key_of(run, "run.json"))
    bucket.delete(f"runs/{run}")
    for folder in (outbox(), pushed(), pulled()):
        (folder / run).unlink(missing_ok=True)


def _pull_headers(bucket: Bucket, runs: list[str]) -> None:
    names = ("run.json", "recipe.yaml", "final.json")
    for start in range(0, len(runs), _AT_ONCE):
        some = runs[start : start + _AT_ONCE]
        found = bucket.get_all([key_of(run, name) for run in some for name in names])
        for run in some:
            files = {name: found[key_of(run, name)] for name in names if key_of(run, name) in found}
            if "run.json" in files:  # else it is just being written, or deleted
                _make_folder(run, files)


def _make_folder(run: str, files: dict[str, bytes]) -> None:
    """A run folder appears whole, and known as another host's, or not at all."""
    root = places.runs_dir()
    fresh = root / f".new-{run}-{secrets.token_hex(4)}"
    (fresh / "control").mkdir(parents=True)
    (fresh / "attempts").mkdir()
    for name, data in files.items():
        (fresh / name).write_bytes(data)
    pulled().mkdir(exist_ok=True)
    (pulled() / run).write_text("")
    try:
        fresh.rename(root / run)
    except OSError:  # another process was quicker
        shutil.rmtree(fresh, ignore_errors=True)


def _refresh(bucket: Bucket, folder: RunFolder) -> None:
    with _lock(folder.run):
        if not folder.path.is_dir() or _is_complete(folder.run):
            return
        final = bucket.get(key_of(folder.run, "final.json"))  # before the events: it is written behind them
        for name in bucket.names(key_of(folder.run, "control")):
            _write(folder.path / "control" / name, bucket.get(key_of(folder.run, f"control/{name}")))
        artifacts: list[str] = []
        for number in bucket.names(key_of(folder.run, "attempts")):
            artifacts += _pull_attempt(bucket, folder, number)
        if final is None:
            return
        if folder.run in _awaited():
            for relative in artifacts:
                bring_artifact(folder, relative)
        if folder.final() is None:
            _write(folder.path / "final.json", final)
        (pulled() / folder.run).write_text(_COMPLETE)


def _pull_attempt(bucket: Bucket, folder: RunFolder, number: str) -> list[str]:
    """Bring one attempt up to date; paths of all its artifacts."""
    here = folder.path / "attempts" / number
    here.mkdir(exist_ok=True)
    key = key_of(folder.run, f"attempts/{number}")
    artifacts = []
    for name in bucket.names(key):
        if name.startswith("events-") and "." not in name:
            path = here / f"{name}.jsonl"
            _pull_events(bucket, f"{key}/{name}", path)
            artifacts += [event.body["path"] for event in events_in(path.read_bytes()) if "path" in event.body]
        elif name == "heartbeat.json" or (name in ("lease.json", "outcome.json") and not (here / name).exists()):
            _write(here / name, bucket.get(f"{key}/{name}"))
        elif name == "worker.log" and not (here / name).exists():
            bucket.download(f"{key}/{name}", here / name)
    return artifacts


def _pull_events(bucket: Bucket, folder: str, path: Path) -> None:
    """Append the segments behind the end of the local file."""
    with path.open("ab") as file:
        size = file.tell()
        if path not in _aligned:
            # A process that died here may have left a part of a segment.
            starts = segment_starts(bucket.names(folder))
            behind = [start for start in starts if start >= size]
            if starts[-1:] != [size] and len(behind) < len(starts):
                behind.insert(0, starts[len(starts) - len(behind) - 1])
            for first in range(0, len(behind), _AT_ONCE):
                some = behind[first : first + _AT_ONCE]
                found = bucket.get_all([segment_key(folder, start) for start in some])
                for start in some:
                    data = found[segment_key(folder, start)][max(0, size - start) :]
                    file.write(data)
                    size += len(data)
            file.flush()
            _aligned.add(path)
        while data := bucket.get(segment_key(folder, size)) or b"":
            file.write(data)
            file.flush()
            size += len(data)


def _awaited() -> set[str]:
    """Runs of other hosts that a run of this one builds on: it needs their artifacts at once."""
    headers = (read_json(places.runs_dir() / run / "run.json") for run in enlisted())
    return {header["parent"] for header in headers if header and header.get("parent")}


def awaited_folders() -> list[RunFolder]:
    """Those of them that are another host's and here."""
    return [RunFolder(places.runs_dir() / run) for run in sorted(_awaited()) if is_pulled(run)]


def _local_runs() -> set[str]:
    root = places.runs_dir()
    root.mkdir(parents=True, exist_ok=True)
    return {name for name in os.listdir(root) if not name.startswith(".")}


def _pulled_runs() -> list[str]:
    return sorted(os.listdir(pulled())) if pulled().is_dir() else []


def _is_complete(run: str) -> bool:
    try:
        return (pulled() / run).read_text() == _COMPLETE
    except FileNotFoundError:
        return False


def _drop(run: str) -> None:
    """A copy of a run that was deleted."""
    shutil.rmtree(places.runs_dir() / run, ignore_errors=True)
    (pulled() / run).unlink(missing_ok=True)


def _is_time(what: str, seconds: float) -> bool:
    """Whether ``what`` (a run, or all of them) may be asked for again; then the next time is after ``seconds``."""
    if time.monotonic() < _next_look.get((places.store_url(), what), 0.0):
        return False
    _wait(what, seconds)
    return True


def _wait(what: str, seconds: float) -> None:
    _next_look[places.store_url(), what] = time.monotonic() + seconds


def _write(path: Path, data: bytes | None) -> None:
    if data:
        write_json(path, json.loads(data))


@contextlib.contextmanager
def _lock(run: str) -> Iterator[None]:
    """One process at a time appends to the copy of a run."""
    descriptor = os.open(pulled() / run, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
