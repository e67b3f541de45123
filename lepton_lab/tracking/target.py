"""Where runs are mirrored to: ``MLFLOW_TRACKING_URI``, or a database of our own."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import places
from ..dispatch.processes import ProcessMark
from ..record import read_json
from ..redaction import redact

EXPERIMENT = "lepton-lab"

_DATABASES = ("sqlite", "mysql", "postgresql", "mssql", "oracle")


@dataclass(frozen=True)
class Target:
    """One tracking server (or database), as this process reaches it. Its repr shows no password."""

    uri: str

    def __repr__(self) -> str:
        return f"Target({self.shown!r})"

    @classmethod
    def here(cls) -> Target:
        """The one that the environment names; a SQLite file under ``LEPTON_HOME`` where it names none."""
        given = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
        return cls(given or f"sqlite:///{places.tracking_dir() / 'mlflow.db'}")

    @property
    def shown(self) -> str:
        """The address without a password."""
        return redact(self.uri)

    @property
    def key(self) -> str:
        """What tells this target from others: a new password makes no new target."""
        address = re.sub(r"(?<=://)[^/@]*@", "", self.uri)
        return hashlib.sha256(address.encode()).hexdigest()[:12]

    @property
    def folder(self) -> Path:
        """Where the cursors of runs that are mirrored there are kept."""
        return places.tracking_dir() / self.key

    @property
    def log(self) -> Path:
        """What the mirroring process says."""
        return places.state_dir() / f"mirror-{self.key}.log"

    @property
    def mark(self) -> Path:
        """Which process of this host mirrors to it, as a :class:`ProcessMark`."""
        return places.state_dir() / f"mirror-{self.key}.json"

    def process(self) -> ProcessMark | None:
        """The process of this host that mirrors to it, or that died without leaving; None if there is none."""
        found = read_json(self.mark)
        return ProcessMark.from_dict(found) if found else None

    def artifact_location(self) -> str | None:
        """Where artifacts go; None where the server decides. A bare database would put them where we stand."""
        if re.split(r"[+:]", self.uri, maxsplit=1)[0] in _DATABASES:
            return str(places.tracking_dir() / "artifacts")
        return None

    def state(self) -> dict[str, Any]:
        """What the mirroring process said last: ``time``, and ``error`` where it could not go on."""
        return read_json(self.folder / "state.json") or {}

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Whether nobody else mirrors to this target; held while the block runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)
