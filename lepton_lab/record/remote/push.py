"""Copying one run of this host to the store, a round at a time. A new process may take over at any round."""

from __future__ import annotations

import json
import time
from pathlib import Path

from ..event import events_in
from ..files import digest_of, read_json, write_json
from ..folder import AttemptFolder, RunFolder
from .bucket import Bucket
from .layout import REQUESTS, key_of, manifest_key, segment_key, segment_starts

_SEGMENT_BYTES = 2**23
_BEAT_SECONDS = 5.0


class Push:
    """What is known of one run's copy. All of it can be read from the store again."""

    def __init__(self, bucket: Bucket, folder: RunFolder) -> None:
        self._bucket = bucket
        self._folder = folder
        self._is_there = False
        self._offsets: dict[Path, int] = {}
        self._sent: dict[str, bytes] = {}
        self._next_beat = 0.0

    def step(self) -> bool:
        """Copy what is new; True when the run has ended and is wholly there."""
        final = self._folder.final()  # before the events: it is written behind the last
        if not self._is_there:
            self._put(self._folder.path / "recipe.yaml")
            self._put(self._folder.path / "run.json")
            self._is_there = True
        self._exchange_requests()
        is_beat = time.monotonic() >= self._next_beat
        for attempt in self._folder.attempts():
            self._push_attempt(attempt, is_beat, final is not None)
        if is_beat:
            self._next_beat = time.monotonic() + _BEAT_SECONDS
        if final is None:
            return False
        self._bucket.create(key_of(self._folder.run, "final.json"), json.dumps(final).encode())
        return True

    def _push_attempt(self, attempt: AttemptFolder, is_beat: bool, is_over: bool) -> None:
        lease = attempt.path / "lease.json"
        if str(lease) not in self._sent and lease.is_file():
            self._bucket.create(self._key(lease), lease.read_bytes())
            self._sent[str(lease)] = b""
        names = [*(["heartbeat.json"] if is_beat else []), *(["outcome.json", "worker.log"] if is_over else [])]
        # A supervisor's last word must not be seen before what the trainer wrote ahead of it: how far to
        # copy is noted in the order of reading, and copied the other way round.
        ends = [(path, path.stat().st_size) for path in sorted(attempt.path.glob("events-*.jsonl"))]
        for path, end in reversed(ends):
            self._push_events(path, end)
        for name in names:
            if (attempt.path / name).is_file():
                self._put(attempt.path / name)

    def _push_events(self, path: Path, end: int) -> None:
        folder = self._key(path).removesuffix(".jsonl")
        if path not in self._offsets:
            starts = segment_starts(self._bucket.names(folder))
            last = self._bucket.get(segment_key(folder, starts[-1])) if starts else b""
            self._offsets[path] = (starts[-1] if starts else 0) + len(last or b"")
        while True:
            with path.open("rb") as file:
                file.seek(self._offsets[path])
                data = file.read(min(_SEGMENT_BYTES, max(0, end - self._offsets[path])))
                data += file.readline() if len(data) == _SEGMENT_BYTES else b""
            data = data[: data.rfind(b"\n") + 1]
            if not data:
                return None
            self._push_artifacts(data)
            if not self._bucket.create(segment_key(folder, self._offsets[path]), data):
                del self._offsets[path]  # an answer was lost on the way: it is there already
                return self._push_events(path, end)
            self._offsets[path] += len(data)

    def _push_artifacts(self, data: bytes) -> None:
        """Who sees that an artifact exists can fetch it."""
        for event in events_in(data):
            relative = event.body.get("path")
            if event.kind != "artifact" or not relative:
                continue
            path = self._folder.path / relative
            if not path.exists() or self._bucket.get(manifest_key(self._folder.run, relative)):
                continue
            files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
            for each in files:
                self._bucket.upload(each, self._key(each))
            digest, size = digest_of(path)
            names = [each.relative_to(path).as_posix() for each in files]  # "." for a file
            manifest = {"digest": digest, "bytes": size, "files": names}
            self._bucket.put(manifest_key(self._folder.run, relative), json.dumps(manifest).encode())

    def _exchange_requests(self) -> None:
        for word in REQUESTS:
            path = self._folder.path / "control" / f"{word}.json"
            theirs, ours = self._bucket.get(self._key(path)), read_json(path)
            other = json.loads(theirs) if theirs else None
            if other and (ours is None or other["time"] > ours["time"]):
                write_json(path, other)
            elif ours and (other is None or ours["time"] > other["time"]):
                self._bucket.put(self._key(path), json.dumps(ours).encode())

    def _put(self, path: Path) -> None:
        data = path.read_bytes()
        if self._sent.get(str(path)) != data:
            self._bucket.put(self._key(path), data)
            self._sent[str(path)] = data

    def _key(self, path: Path) -> str:
        return key_of(self._folder.run, path.relative_to(self._folder.path).as_posix())
