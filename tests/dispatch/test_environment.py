from __future__ import annotations

import pytest

from lepton_lab.dispatch.environment import (
    allotted_threads,
    base_environment,
    collect_environment,
    import_environment,
    spare_key,
    worker_environment,
)
from lepton_lab.telemetry import NO_TELEMETRY

SHELL = {
    "PATH": "/bin",
    "HOME": "/home/ada",
    "HF_TOKEN": "secret",
    "HF_HOME": "/big/hf",
    "https_proxy": "http://user:word@proxy",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "MY_DATABASE_PASSWORD": "secret",
    "JPY_PARENT_PID": "7",
    "DASK_CONFIG": "/etc/mine",
    "LEPTON_SPARE": "0",
}


def test_what_travels_and_what_stays() -> None:
    assert collect_environment(SHELL) == {
        "HF_TOKEN": "secret",
        "HF_HOME": "/big/hf",
        "https_proxy": "http://user:word@proxy",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    assert base_environment(SHELL) == {"PATH": "/bin", "HOME": "/home/ada", "LEPTON_SPARE": "0", **NO_TELEMETRY}
    assert import_environment(SHELL) == {"HF_HOME": "/big/hf", "https_proxy": "http://user:word@proxy"}


def test_worker_gets_its_threads_and_no_telemetry() -> None:
    found = worker_environment({"OMP_NUM_THREADS": "64", "HF_TOKEN": "x"}, 3)
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"], found["HF_TOKEN"]) == ("3", "3", "x")
    assert found["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_threads_as_asked_else_as_set_else_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert allotted_threads(2, {"OMP_NUM_THREADS": "4"}, 1) == 2
    assert allotted_threads(99, {}, 1) == 8
    assert allotted_threads(None, {"OMP_NUM_THREADS": "4"}, 1) == 4
    assert allotted_threads(None, {}, 1) == 8
    assert allotted_threads(None, {}, 4) == 2


def test_spare_key_follows_what_is_read_at_import_only() -> None:
    key = spare_key(SHELL, "module")
    assert spare_key({**SHELL, "HF_TOKEN": "other"}, "module") == key
    assert spare_key({**SHELL, "HF_HOME": "/other"}, "module") != key
    assert spare_key(SHELL, "other") != key
