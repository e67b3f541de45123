"""Start-up stays light, and the watching half works where there is no torch at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lepton_lab

HEAVY = ("torch", "transformers", "dask", "distributed", "plotly", "pandas", "pyarrow")
SLOW = (*HEAVY, "asyncio", "cryptography", "fsspec", "IPython", "numpy", "psutil", "pydantic", "rich", "yaml")


def run(code: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "start",
    [
        "import lepton_lab",
        "import lepton_lab.cli",
        "import lepton_lab.server",
        "from IPython.core.interactiveshell import InteractiveShell as S; S.instance().run_line_magic('load_ext', 'lepton_lab')",
    ],
)
def test_start_up_loads_nothing_heavy(start: str) -> None:
    code = f"import sys\nbefore = set(sys.modules)\n{start}\n" + (
        f"print(sorted(set({HEAVY!r}) & set(sys.modules) - before))"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("words", [["runs", "--json"], ["runs"], ["--version"], ["models"]])
def test_a_look_at_the_record_does_not_wait_for_imports(words: list[str], tmp_path: Path) -> None:
    """What these need of their half second is Python, click and the index."""
    code = f"import sys\nfrom lepton_lab.cli import main\nmain({words!r})\nprint('\\n', sorted(set({SLOW!r}) & set(sys.modules)))"
    environment = {**os.environ, "LEPTON_HOME": str(tmp_path / "home"), "LEPTON_STATE_DIR": str(tmp_path / "state")}
    assert run(code, environment).splitlines()[-1].strip() == "[]"


def test_warming_up_loads_what_a_request_needs_and_no_torch() -> None:
    code = (
        "import sys, threading\n"
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "shell = S.instance()\n"
        "shell.run_cell('%load_ext lepton_lab')\n"
        "[each.join() for each in threading.enumerate() if each.name == 'lepton-warm-up']\n"
        "before = set(sys.modules)\n"
        "shell.run_cell('%lepton train --task text-classification --model sample:minilm --dataset missing.csv')\n"
        "late = {name for name in set(sys.modules) - before if name.startswith('lepton_lab')}\n"
        "print(sorted({'torch', 'dask', 'plotly'} & set(sys.modules)), 'pandas' in sys.modules, len(late))"
    )
    words = run(code).splitlines()[-1].rsplit(" ", 2)
    assert words[:2] == ["[]", "True"]
    assert int(words[2]) < 5, words


def test_public_names() -> None:
    for name in lepton_lab.__all__:
        assert getattr(lepton_lab, name) is not None
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = lepton_lab.nothing_here
