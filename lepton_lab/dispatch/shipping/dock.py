"""The worker's side: what a submitter elsewhere may ask of a host that shares no disk with it.

``serve`` gives a Dask worker one more handler, so that every question is a plain message
(names, numbers, bytes: nothing pickled) which the scheduler passes on. All paths are
below this host's ``LEPTON_HOME``. Standard library only, but for Dask's own worker.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ... import places
from ...record import AttemptFolder, RunFolder, read_json, write_json
from ..processes import ProcessMark
from .blobs import BlobStore, hex_digest

HANDLER = "lepton_dock"

EVENT_BYTES = 1 << 20
"""At most so much of event files and logs comes in one answer."""

SMALL_FILES = ("ended", "outcome", "supervisor", "batch")
"""JSON files of an attempt that are copied whole."""

_FIRST_LOOK_SECONDS = 0.02
_LAST_LOOK_SECONDS = 0.25
_GROWTH = 1.3
_STREAMS = ("events-*.jsonl", "worker.log")  # what only ever grows


async def serve(dask_worker: Any, home: str | None = None) -> dict[str, Any]:
    """Open the dock of this worker (again); what :meth:`Dock.about` says. Dask fills in ``dask_worker``."""
    dock = Dock(Path(home) if home else places.lepton_home())
    dask_worker.handlers[HANDLER] = dock.answer
    return await dock.about()


class Dock:
    """Answers for one ``LEPTON_HOME``."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._blobs = BlobStore(home)
        self._digests: dict[tuple[str, int, int], str] = {}

    async def answer(self, call: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """``answer`` of what ``call`` names (None for a file or run that is not there any more), or its ``error``."""
        calls = {
            "about": self.about,
            "missing": self.missing,
            "put": self.put,
            "place": self.place,
            "has_sample": self.has_sample,
            "observe": self.observe,
            "manifest": self.manifest,
            "read": self.read,
            "ask": self.ask,
            "end_before": self.end_before,
            "forget": self.forget,
        }
        try:
            return {"answer": await calls[call](**arguments)}  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001  it is told to who asked, in words
            return {"error": f"{type(error).__name__}: {error}"}

    async def about(self, token: str = "") -> dict[str, Any]:
        """This host; ``shares`` says whether the file ``token`` (a path of the submitter's home) is here too."""
        return {
            "home": str(self._home),
            "host": platform.node(),
            "python": sys.executable,
            "shares": bool(token) and await asyncio.to_thread(os.path.exists, token),
        }

    # Things that arrive

    async def missing(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Of these blobs, those that are not here whole, with the bytes of them that are."""

        def look() -> dict[str, int]:
            return {digest: self._blobs.arrived(digest) for digest in sizes if not self._blobs.has(digest)}

        return await asyncio.to_thread(look)

    async def put(self, digest: str, size: int, offset: int, data: bytes) -> int:
        """See :meth:`BlobStore.put`."""
        return await asyncio.to_thread(self._blobs.put, digest, size, offset, bytes(data))

    async def place(self, folder: str, files: Mapping[str, str], folders: Iterable[str] = ()) -> dict[str, Any]:
        """Make ``folder`` (below the home) hold ``files`` (name → digest), in the order given, and empty ``folders``.

        A name that exists is left as it is: an earlier attempt brought it. The digests that are
        not here are answered as ``missing``; then nothing was done.
        """

        def make() -> dict[str, Any]:
            missing = [digest for digest in set(files.values()) if not self._blobs.has(digest)]
            if missing:
                return {"missing": missing}
            above = self._inside(folder)
            above.mkdir(parents=True, exist_ok=True)
            for name in folders:
                below(above, name).mkdir(parents=True, exist_ok=True)
            for name, digest in files.items():
                target = below(above, name)
                if not target.exists():
                    self._blobs.link(digest, target)
            self._blobs.evict()
            return {"missing": []}

        return await asyncio.to_thread(make)

    async def has_sample(self, name: str) -> bool:
        """Whether the sample is on this host, so that it need not travel."""
        from ... import samples

        return await asyncio.to_thread(samples.is_installed, name)

    # An attempt that runs

    async def observe(
        self,
        run: str,
        attempt: int,
        host: int,
        offsets: Mapping[str, int],
        known: Mapping[str, Any],
        patience: float,
        most: int = EVENT_BYTES,
    ) -> dict[str, Any] | None:
        """What is new of an attempt: an answer as soon as there is anything, else after ``patience`` seconds.

        ``streams`` has the bytes of each growing file from its offset on (up to ``most`` in all;
        ``more`` says that some are left), ``state`` the small files (None: not there) and the names of
        whole checkpoints, ``beat_age`` the seconds since the last heartbeat by this host's clock,
        ``alive`` whether the supervisor is.
        """
        folder = self._run(run).attempt(attempt, host)
        deadline = time.monotonic() + patience
        pause = _FIRST_LOOK_SECONDS
        while True:
            found = await asyncio.to_thread(self._look, folder, offsets, most)
            if found is None or found["streams"] or found["state"] != known or time.monotonic() >= deadline:
                return found
            await asyncio.sleep(pause)
            pause = min(pause * _GROWTH, _LAST_LOOK_SECONDS)

    def _look(self, attempt: AttemptFolder, offsets: Mapping[str, int], most: int) -> dict[str, Any] | None:
        if not attempt.path.is_dir():
            return None
        state = {
            **{name: read_json(attempt.path / f"{name}.json") for name in SMALL_FILES},
            "checkpoints": _complete_checkpoints(attempt.path / "checkpoints"),
        }
        room, more, streams = most, False, {}
        for pattern in _STREAMS:
            for path in sorted(attempt.path.glob(pattern)):
                offset = int(offsets.get(path.name, 0))
                left = path.stat().st_size - offset
                if left <= 0:
                    continue
                taken = min(left, room)
                more = more or taken < left
                if taken:
                    with path.open("rb") as file:
                        file.seek(offset)
                        streams[path.name] = file.read(taken)
                    room -= taken
        beat = attempt.heartbeat_time()
        supervisor = state["supervisor"]
        return {
            "state": state,
            "streams": streams,
            "more": more,
            "beat_age": None if beat is None else max(0.0, time.time() - beat),
            "alive": bool(supervisor) and ProcessMark.from_dict(supervisor).is_alive(),
        }

    async def manifest(self, run: str, path: str) -> list[tuple[str, int, str]] | None:
        """(name, bytes, SHA-256) of every file in a folder of the run, or of one file, whose name is then empty."""

        def look() -> list[tuple[str, int, str]] | None:
            above = below(self._run(run).path, path)
            try:
                files = [above] if above.is_file() else files_in(above)
                return [
                    ("" if each == above else each.relative_to(above).as_posix(), *self._digest(each)) for each in files
                ]
            except FileNotFoundError:
                return None

        return await asyncio.to_thread(look)

    async def read(self, run: str, path: str, offset: int, size: int) -> bytes | None:
        """At most ``size`` bytes of a file of the run."""

        def look() -> bytes | None:
            try:
                with below(self._run(run).path, path).open("rb") as file:
                    file.seek(offset)
                    return file.read(size)
            except FileNotFoundError:
                return None

        return await asyncio.to_thread(look)

    async def ask(self, run: str, word: str, body: Mapping[str, Any]) -> bool:
        """Leave a request (``cancel``, ``save``) in the run's copy; whether there is one."""
        path = below(self._run(run).path, f"control/{word}.json")
        if not path.parent.is_dir():
            return False
        await asyncio.to_thread(write_json, path, dict(body))
        return True

    async def end_before(self, run: str, attempt: int, grace_seconds: float) -> list[int]:
        """Let earlier attempts on this host save and leave; the numbers of those that were here.

        They were given up when their worker was; two trainers must not share one host's device.
        """

        def end() -> list[int]:
            folder = self._run(run)
            if not (folder.path / "attempts").is_dir():
                return []
            earlier = [each for each in folder.attempts() if each.number < attempt]
            parts = [each for number in range(1, attempt) for each in folder.parts_elsewhere(number)]
            for each in (*earlier, *parts):
                supervisor = read_json(each.path / "supervisor.json")
                if supervisor:
                    ProcessMark.from_dict(supervisor).end(grace_seconds)
                    if supervisor.get("worker"):
                        ProcessMark.from_dict(supervisor["worker"]).end(grace_seconds)
            return [each.number for each in earlier if (each.path / "lease.json").exists()]

        return await asyncio.to_thread(end)

    async def forget(self, run: str) -> bool:
        """Delete the copy of a run; its large files stay as blobs, so that a child need not bring them again."""

        def delete() -> bool:
            folder = self._run(run).path
            if not folder.is_dir():
                return False
            for path in files_in(folder):
                known = self._digests.get(_fingerprint(path))
                if known:
                    self._blobs.keep(known, path)
            gone = folder.with_name(f".old-{folder.name}")
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
            self._blobs.evict()
            return True

        return await asyncio.to_thread(delete)

    def _run(self, run: str) -> RunFolder:
        if not run.isalnum():
            raise ValueError(f"not the id of a run: {run[:80]!r}")
        return RunFolder(self._home / "runs" / run)

    def _inside(self, folder: str) -> Path:
        return below(self._home, folder)

    def _digest(self, path: Path) -> tuple[int, str]:
        fingerprint = _fingerprint(path)
        if fingerprint not in self._digests:
            self._digests[fingerprint] = hex_digest(path)
        return fingerprint[1], self._digests[fingerprint]


def below(above: Path, name: str) -> Path:
    """``above/name``. Raises :class:`ValueError` when ``name`` leads elsewhere: it came over the wire."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
        raise ValueError(f"not a path inside a folder: {name[:200]!r}")
    return above / path


def files_in(folder: Path) -> list[Path]:
    """The plain files of a folder by name; drafts, which begin with a dot, and links are no part of it.

    Raises :class:`FileNotFoundError` when there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    return sorted(
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
        and not path.is_symlink()
    )


def _complete_checkpoints(folder: Path) -> list[str]:
    """Names of checkpoints that are whole, in no order."""
    return sorted(path.parent.name for path in folder.glob("checkpoint-*/complete.json"))


def _fingerprint(path: Path) -> tuple[str, int, int]:
    about = path.stat()
    return str(path), about.st_size, about.st_mtime_ns
