"""Start-up stays light, and the watching half works where there is no torch at all."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lepton_lab

HEAVY = ("torch", "transformers", "dask", "distributed", "plotly", "pandas", "pyarrow")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
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


def test_public_names() -> None:
    for name in lepton_lab.__all__:
        assert getattr(lepton_lab, name) is not None
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = lepton_lab.nothing_here
