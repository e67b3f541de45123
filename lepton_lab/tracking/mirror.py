"""The process that mirrors runs to one target: ``python -m lepton_lab.tracking.mirror``.

It goes round the open cursors until there are none, and leaves some time after that. A target that cannot be
reached is tried again, less and less often; after ``LEPTON_MIRROR_PATIENCE_SECONDS`` (an hour) in vain it leaves.
The cursors stay, and the next run or ``lepton mlflow sync`` goes on from them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from .. import telemetry
from ..dispatch.processes import ProcessMark
from ..record import write_json
from ..redaction import redact
from .cursor import Cursor, open_runs
from .target import Target
from .transfer import Transfer

_ROUND_SECONDS = 1.0
_IDLE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 60.0
_PATIENCE_SECONDS = 3600.0
_LOG_BYTES = 1 << 20

# The client's own patience would hold up every other run.
_CLIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


def main() -> None:
    """Leave the process that started us, then mirror."""
    if os.fork():
        os._exit(0)
    for name, value in _CLIENT.items():
        os.environ.setdefault(name, value)
    telemetry.switch_off()
    target = Target.here()
    left: set[str] = set()
    # Who asks while we are leaving sees our lock and starts nobody; so look once more without it.
    while not left.issuperset(open_runs(target)):
        with target.lock() as is_ours:
            if not is_ours:
                return
            write_json(target.mark, ProcessMark.of(os.getpid()).to_dict())
            left = Mirror(target, _logger(target.log)).run()
            target.mark.unlink(missing_ok=True)


class Mirror:
    """Goes round the runs of one target."""

    def __init__(self, target: Target, say: Callable[[str], None]) -> None:
        self._target, self._say = target, say
        self._transfers: dict[str, Transfer] = {}
        self._failures = 0
        self._failing_since = 0.0
        self._told: str | None = None

    def run(self) -> set[str]:
        """Mirror until nothing is to be expected for some time, or the target was out of reach for long.

        Returns the runs that are left open.
        """
        patience = float(os.environ.get("LEPTON_MIRROR_PATIENCE_SECONDS") or _PATIENCE_SECONDS)
        busy_until = time.monotonic() + _IDLE_SECONDS
        while True:
            runs = open_runs(self._target)
            if self.round(runs):
                self._failures = 0
                if any(run not in self._transfers or not self._transfers[run].is_stuck for run in runs):
                    busy_until = time.monotonic() + _IDLE_SECONDS
                elif time.monotonic() > busy_until:
                    return set(runs)
                time.sleep(_ROUND_SECONDS)
                continue
            busy_until = time.monotonic() + _IDLE_SECONDS
            self._failing_since = time.monotonic() if not self._failures else self._failing_since
            self._failures += 1
            if time.monotonic() - self._failing_since > patience:
                self._say("gives up for now; lepton mlflow sync goes on from here")
                return set(runs)
            self._pause(min(_LONGEST_PAUSE_SECONDS, 2.0 ** (self._failures - 1)))

    def round(self, runs: list[str]) -> bool:
        """Send what is new of each run; whether the target took it."""
        self._transfers = {run: each for run, each in self._transfers.items() if run in runs}
        # A run that failed comes last, so that one the target refuses does not hold up the others.
        for run in sorted(runs, key=lambda each: self._transfers[each].failures if each in self._transfers else 0):
            try:
                transfer = self._transfers.get(run) or self._begin(run)
                transfer.advance()
            except Exception as error:  # noqa: BLE001 - whatever the client raises: it is tried again
                if run in self._transfers:
                    self._transfers[run].failures += 1
                text = redact(f"{type(error).__name__}: {error}")
                self._say(f"run {run}: {text}")
                self._tell(" ".join(text.split())[:500])
                return False
        if runs:
            self._tell("")
        return True

    def _begin(self, run: str) -> Transfer:
        cursor = Cursor.read(self._target, run)
        if cursor is None:
            raise FileNotFoundError(f"the cursor of run {run}")
        self._transfers[run] = Transfer(self._target, cursor)
        return self._transfers[run]

    def _tell(self, error: str) -> None:
        """Say how it goes; that all is well is said once."""
        if not error and self._told == "":
            return
        self._told = error
        state = {"time": time.time(), "pid": os.getpid(), "uri": self._target.shown, "error": error}
        write_json(self._target.folder / "state.json", state)

    def _pause(self, seconds: float) -> None:
        """Wait; less if somebody asks for a run meanwhile."""
        folder = self._target.folder / "open"
        before, until = folder.stat().st_mtime_ns, time.monotonic() + seconds
        while time.monotonic() < until and folder.stat().st_mtime_ns == before:
            time.sleep(0.2)


def _logger(path: Path) -> Callable[[str], None]:
    """Appends lines without secrets to a private file that does not grow for ever."""

    def say(text: str) -> None:
        if path.exists() and path.stat().st_size > _LOG_BYTES:
            path.unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {redact(text)}\n".encode())
        os.close(descriptor)

    return say


if __name__ == "__main__":
    main()
