"""The wheel in an empty environment, without checkout or make, does the four cells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CELLS = """
import json
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
def cell(code):
    result = shell.run_cell(code)
    result.raise_error()
    return result.result
cell("%load_ext lepton_lab")
cell("from lepton_lab import samples; reviews = samples.load('movie-sentiment').splits['train'].to_pandas().head(200)")
cell("%lepton train --task text-classification --model sample:minilm --dataset reviews --peft lora --max-steps 4")
cell("%lepton compile last --backend auto")
cell("%lepton benchmark last")
answer = cell("%lepton predict last 'The film never recovers from its first ten minutes.'")
import lepton_lab
print("RESULT " + json.dumps({"file": lepton_lab.__file__, "label": answer[0]["label"]}))
"""


@pytest.mark.slow
def test_the_wheel_alone_does_the_four_cells(tmp_path: Path) -> None:
    home = Path("/tmp") / f"lepton-wheel-{os.getpid()}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LEPTON_", "PYTHON"))},
        "LEPTON_HOME": str(home / "h"),
        "LEPTON_STATE_DIR": str(home / "s"),
    }
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=600,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    torch = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    # The build that is installed here: a CPU one on a machine without a GPU.
    subprocess.run([*install, torch], check=True, capture_output=True, timeout=900)
    subprocess.run([*install, f"{wheel}[samples]", "ipython"], check=True, capture_output=True, timeout=1200)
    lepton = str(tmp_path / "venv" / "bin" / "lepton")
    run = {"check": True, "capture_output": True, "text": True, "cwd": tmp_path, "env": environment}
    try:
        subprocess.run([lepton, "samples", "install", "movie-sentiment"], timeout=120, **run)  # type: ignore[call-overload]
        done = subprocess.run([python, "-c", CELLS], timeout=900, **run)  # type: ignore[call-overload]
    finally:
        subprocess.run([lepton, "uninstall", "--yes", "--runs"], timeout=120, cwd=tmp_path, env=environment)
    result = json.loads(done.stdout.split("RESULT ")[-1].splitlines()[0])
    assert str(tmp_path) in result["file"]
    assert result["label"] in ("negative", "positive")
    assert not (home / "s").exists() or not any((home / "s").rglob("*.pem"))
