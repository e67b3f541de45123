"""Dependencies call nobody home from a process of ours, whatever the submitter's environment says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psutil
import pytest

from lepton_lab.record import view_of
from lepton_lab.telemetry import NO_TELEMETRY


def silence_of(process: psutil.Process) -> dict[str, str]:
    environment = process.environ()
    return {name: environment.get(name, "") for name in NO_TELEMETRY}


def test_every_process_that_a_run_brings_about_is_silent(
    spare_lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NO_TELEMETRY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")  # travels with the run, and is overruled
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    run = spare_lab.start("environment 400")
    assert wait_until(lambda: view_of(run).reports.get("telemetry")) == NO_TELEMETRY
    state = os.environ["LEPTON_STATE_DIR"]
    ours: dict[str, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("LEPTON_STATE_DIR") == state:
                ours[next(word for word in process.cmdline() if word.startswith("lepton_"))] = process
        except (psutil.Error, StopIteration):
            continue
    assert set(ours) == {"lepton_lab.dispatch.agent", "lepton_lab.dispatch.supervisor", "lepton_fake_worker"}
    for name, process in ours.items():
        assert silence_of(process) == NO_TELEMETRY, name


_ASK = """
import os
from lepton_lab import telemetry
if {off}:
    telemetry.switch_off()
from datasets import config
from huggingface_hub import constants
from mlflow.telemetry.utils import is_telemetry_disabled
print(constants.HF_HUB_DISABLE_TELEMETRY, not config.HF_UPDATE_DOWNLOAD_COUNTS, is_telemetry_disabled())
"""


@pytest.mark.slow
@pytest.mark.parametrize("off", [False, True])
def test_the_libraries_understand_it(off: bool) -> None:
    """Whoever renames a variable breaks this, and not the silence."""
    environment = {name: value for name, value in os.environ.items() if name not in NO_TELEMETRY}
    for name in ("CI", "PYTEST_CURRENT_TEST", "HF_HUB_OFFLINE"):  # MLflow is silent under these, too
        environment.pop(name, None)
    code = _ASK.format(off=off)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.stdout.split() == [str(off)] * 3, done.stdout + done.stderr
