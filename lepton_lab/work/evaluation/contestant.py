"""A contestant: one model in a process of its own, so that its memory and its threads are its own.

The process is ``python -m lepton_lab.work.evaluation.contestant``. It reads one JSON object a line on its
standard input and answers each with one on its standard output; at the end of its input it leaves.

=================================================  ==========================================================
``{"folder", "threads"}`` (first line)             ``{"load_seconds", "memory_mb", "backend", "precision"}``
``{"batch": {name: [[int]]}, "max_new_tokens"}``   ``{"warm": requests}``; the batch to answer from now on
``{"settle": count}``                              ``{"ms"}``: one timed request after ``count`` untimed ones
``{"memory": true}``                               ``{"peak_mb", "resettable"}`` since the batch was given
=================================================  ==========================================================
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ...errors import LeptonError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SELF = Path("/proc/self")


class Contestant:
    """The side of the job: starts the process and talks with it. ``name`` is how results call it."""

    def __init__(self, name: str, folder: Path, threads: int) -> None:
        self.name = name
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            bufsize=1,
        )
        self._send({"folder": str(folder), "threads": threads})

    def wait_ready(self) -> dict[str, Any]:
        """What it says once it has loaded. Raises :class:`LeptonError` when it cannot."""
        return self._receive()

    def give(self, batch: Mapping[str, NDArray[np.int64]], warmup: int, max_new_tokens: int | None) -> None:
        """The batch to answer from now on; ``warmup`` requests are answered untimed."""
        arrays = {name: values.tolist() for name, values in batch.items()}
        self._send({"batch": arrays, "warmup": warmup, "max_new_tokens": max_new_tokens})
        self._receive()

    def answer(self, settle: int) -> float:
        """Milliseconds of one request, timed in its process, after ``settle`` untimed ones."""
        self._send({"settle": settle})
        return float(self._receive()["ms"])

    def memory(self) -> dict[str, Any]:
        """``peak_mb`` of the whole process while it had this batch (``resettable``), else since it began."""
        self._send({"memory": True})
        return self._receive()

    def close(self) -> None:
        """Let the process leave, or make it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _send(self, body: Mapping[str, Any]) -> None:
        stream: IO[str] | None = self._process.stdin
        if stream is None:
            raise LeptonError(f"{self.name} has no input")
        try:
            stream.write(json.dumps(body) + "\n")
        except BrokenPipeError:
            raise LeptonError(f"the process of {self.name} died; the end of worker.log says why") from None

    def _receive(self) -> dict[str, Any]:
        stream: IO[str] | None = self._process.stdout
        line = stream.readline() if stream is not None else ""
        if not line:
            raise LeptonError(f"the process of {self.name} died; the end of worker.log says why")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise LeptonError(f"{self.name}: {found['error']}")
        return found


def main() -> None:
    """The side of the process."""
    # Whatever libraries print goes to the log; the answers have a channel of their own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**body: Any) -> None:
        answers.write(json.dumps(body) + "\n")

    try:
        _serve(say)
    except LeptonError as error:
        say(error=str(error))


def _serve(say: Any) -> None:
    import numpy as np

    from ..predictor import load_runner

    order = json.loads(sys.stdin.readline())
    started = time.perf_counter()
    # No tokenizer: what is measured is the model and its runtime.
    loaded = load_runner(Path(order["folder"]), order["threads"])
    say(
        load_seconds=time.perf_counter() - started,
        memory_mb=_peak_mb(),
        backend=loaded.backend,
        precision=loaded.precision,
    )
    batch: dict[str, Any] = {}
    max_new_tokens: int | None = None

    def request() -> None:
        if max_new_tokens is None:
            loaded.runner(**batch)
        else:
            loaded.runner.generate(batch, max_new_tokens, min_new_tokens=max_new_tokens)  # type: ignore[attr-defined]

    resettable = False
    for line in sys.stdin:
        order = json.loads(line)
        if "batch" in order:
            batch = {name: np.asarray(order["batch"][name], dtype=np.int64) for name in loaded.runner.input_names}
            max_new_tokens = order["max_new_tokens"]
            resettable = _reset_peak()
            for _ in range(order["warmup"]):
                request()
            say(warm=order["warmup"])
        elif "memory" in order:
            say(peak_mb=_peak_mb(), resettable=resettable)
        else:
            for _ in range(order["settle"]):
                request()
            began = time.perf_counter_ns()
            request()
            say(ms=(time.perf_counter_ns() - began) / 1e6)


def _reset_peak() -> bool:
    """Make the system's record of the highest resident memory begin anew (Linux: proc(5), clear_refs)."""
    try:
        (_SELF / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _peak_mb() -> float:
    """The highest resident memory, MiB."""
    try:
        for line in (_SELF / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass  # not Linux
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
