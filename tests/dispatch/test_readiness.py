"""What is found on workers before a job leaves."""

from __future__ import annotations

import copy
import socket
from pathlib import Path
from typing import Any

import pytest

from lepton_lab.dispatch.readiness import Question, check_workers, report, way_out
from lepton_lab.recipe import build_recipe

PLAN = {"task": "text-classification", "model": "sample:minilm", "dataset": "sample:movie-sentiment"}
HERE: dict[str, Any] = {
    "host": "here",
    "python": "3.11.9",
    "versions": {"torch": "2.13.0+cpu", "transformers": "5.23.1", "peft": "0.21.0", "lepton-lab": "0.2.0"},
    "cuda": "",
    "devices": ["cpu"],
    "cores": 8,
    "missing": {},
    "unreadable": [],
    "unreached": [],
    "shares_home": True,
    "site": "there 1",
}


def problems(changes: dict[str, Any], options: dict[str, Any] | None = None, workers: int = 1) -> list[str]:
    there = {**copy.deepcopy(HERE), "host": "there", **changes}
    question = Question(extras={"the backend onnxruntime": "onnx"})
    recipe = build_recipe("train", {**PLAN, **(options or {})})
    reports = {f"tls://there:{number}": there for number in range(workers)}
    return [str(each) for each in check_workers(recipe, reports, HERE, question)]


def test_a_worker_like_this_machine_is_fine() -> None:
    assert problems({}) == []
    assert problems({"python": "3.11.2", "versions": {**HERE["versions"], "torch": "2.13.9+cu128"}}) == []


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"python": "3.12.1"}, {}, ("Python differs", "3.12.1", "Start the workers with Python 3.11")),
        ({"versions": {**HERE["versions"], "torch": "2.9.1"}}, {}, ("torch differs", "2.9.1", "torch==2.13.*")),
        ({"versions": {**HERE["versions"], "transformers": "4.57.0"}}, {}, ("transformers differs", "4.57.0")),
        ({"versions": {"torch": "2.13.0", "transformers": "5.23.0"}}, {}, ("Lepton Lab is needed", "pip install")),
        (
            {"missing": {"the backend onnxruntime": ["onnxruntime"]}},
            {},
            ("onnxruntime", "pip install 'lepton-lab[onnx]'"),
        ),
        ({"unreadable": ["/data/rows.csv"]}, {}, ("cannot be read", "/data/rows.csv")),
        ({"unreached": ["huggingface.co:443"]}, {}, ("Hub cannot be reached", "huggingface.co:443")),
        ({}, {"gpu": True}, ("needs a GPU", "none on any of 1 workers")),
        ({"devices": ["0"]}, {"gpu": True}, ("torch cannot use the GPU", "without CUDA")),
        ({}, {"machines": 3}, ("needs 3 machines", "1 (there)", "Start dask workers on 2 more")),
        ({"devices": ["0"], "cuda": "12.8"}, {"processes": 2}, ("needs a GPU of its own", "Set --processes to 1")),
        ({"cores": 4}, {"cpus": 6}, ("asks for 6 cores", "Set --cpus to 4")),
    ],
)
def test_each_obstacle_is_said_with_its_remedy(
    changes: dict[str, Any], options: dict[str, Any], words: tuple[str, ...]
) -> None:
    [problem] = problems(changes, options)
    for word in words:
        assert word in problem


def test_cuda_must_be_one_where_a_gpu_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HERE, "cuda", "12.8")
    assert problems({"devices": ["0"], "cuda": "12.4"}, {"gpu": True}) == []
    [problem] = problems({"devices": ["0"], "cuda": "13.0"}, {"gpu": True})
    assert "CUDA of torch differs" in problem


def test_all_obstacles_at_once_and_each_once() -> None:
    found = problems({"python": "3.12.1", "unreadable": ["/a", "/b"]}, workers=5)
    assert len(found) == 3
    assert all("all 5 workers" in each for each in found)


def test_data_that_is_sent_along_need_not_be_there() -> None:
    assert problems({"unreadable": ["/data/rows.csv"], "shares_home": False}) == []


def test_a_worker_looks_for_itself(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_port, path = server.getsockname()[1], tmp_path / "rows.csv"
        path.touch()
        question = Question(
            packages={"the work": ["torch", "no_such_package"]},
            paths=(str(path), str(tmp_path / "none")),
            hosts=(f"127.0.0.1:{open_port}", "127.0.0.1:1"),
        )
        said = report(question.to_dict())
    assert said["missing"] == {"the work": ["no_such_package"]}
    assert said["unreadable"] == [str(tmp_path / "none")]
    assert said["unreached"] == ["127.0.0.1:1"]
    assert said["versions"]["torch"].startswith("2.")
    assert said["devices"]


def test_the_way_out_is_the_proxys_where_there_is_one() -> None:
    assert way_out("https://huggingface.co", {}) == "huggingface.co:443"
    assert way_out("http://mirror:8080/x", {}) == "mirror:8080"
    assert way_out("https://huggingface.co", {"HTTPS_PROXY": "http://me:pass@proxy:3128"}) == "proxy:3128"
