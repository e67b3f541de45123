"""What a real worker says to the network while it trains and compiles: nothing. Watched by the kernel, not by us."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lepton_lab.recipe import Recipe, build_recipe
from lepton_lab.record import RunFolder

_ADDRESS = re.compile(r'sin6?_addr=inet_(?:addr\("|pton\(AF_INET6, ")([0-9a-fA-F.:]+)')


def watched(recipe: Recipe, folder: Path) -> RunFolder:
    """One attempt under ``strace``; its calls are in ``folder``."""
    run = RunFolder.create(recipe)
    attempt = run.take_lease(1)
    order = {"run_dir": str(run.path), "attempt": 1, "threads": 1, "env": {}}
    calls = folder / f"{recipe.kind}.strace"
    watch = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto", "-o", str(calls)]
    process = subprocess.Popen(
        [*watch, sys.executable, "-m", "lepton_lab.work.worker"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "HOME": str(folder), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(order) + "\n")  # and stays open: its end is that of the supervisor
        process.stdin.flush()
        said = process.stderr.read()
    outcome = attempt.outcome() or {}
    assert outcome.get("status") == "succeeded", (outcome, said[-2000:])
    run.finish("succeeded", metrics=outcome["metrics"])
    return run


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="NO STRACE HERE: nobody watched what workers send")
def test_training_and_compiling_call_nobody(tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    words = (("great", "good"), ("dull", "bad"))
    rows = [f"the plot was {word} {number},{label}" for number in range(40) for word, label in words]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]))
    options = {"task": "text-classification", "model": str(tiny_bert), "dataset": f"file:{tmp_path / 'rows.csv'}"}
    trained = watched(build_recipe("train", {**options, "max_steps": 2, "batch_size": 4, "max_length": 16}), tmp_path)
    child = {"parent": trained.run, "task": options["task"], "model": options["model"]}
    watched(build_recipe("compile", child), tmp_path)
    for calls in tmp_path.glob("*.strace"):
        found = {address for address in _ADDRESS.findall(calls.read_text()) if not address.startswith("127.")}
        assert found <= {"::1"}, calls.name
    left = [path for path in (tmp_path / ".cache").rglob("*") if path.is_file() and "huggingface" not in path.parts]
    assert not [path for path in left if "Microsoft" in path.parts or "Intel" in path.parts], left
