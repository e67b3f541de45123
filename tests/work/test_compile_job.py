"""Compilation, measuring and prediction of a small real model, in this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lepton_lab import lab, registry
from lepton_lab.errors import DataError, LeptonError, ModelError, RecipeError
from lepton_lab.record import RunFolder, view_of
from lepton_lab.work.backends.backend import read_manifest
from lepton_lab.work.context import Stopped
from lepton_lab.work.jobs import benchmark, compile
from lepton_lab.work.predictor import Predictor, load_predictor
from tests.work.answering import answers_of, centre_head, classified, finish, make_trained, start, texts, train_run


@pytest.fixture(scope="session")
def classifier(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_trained(tiny_bert, tmp_path_factory.mktemp("trained") / "text", "text-classification", ["no", "yes"])
    centre_head(folder, texts(200, seed=9))
    return folder


@pytest.fixture
def trained(classifier: Path, home: Path) -> str:
    """The id of a training run with 300 validation and 200 test rows."""
    del home
    rows = classified(classifier, 540)
    return train_run(
        classifier, {"train": rows.slice(0, 40), "validation": rows.slice(40, 300), "test": rows.slice(340, 200)}
    )


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry with eager and four backends that have a fault."""
    module = "tests.work.broken_backends"
    faulty = {name.lower(): f"{module}:{name}" for name in ("Swapped", "Crashing", "Forgetful", "Absent")}
    monkeypatch.setattr(registry, "BACKENDS", {"eager": registry.BACKENDS["eager"], **faulty})


def compiled(parent: str, **options: Any) -> tuple[RunFolder, dict[str, Any]]:
    """A compile run that succeeded, and its report."""
    context = start("compile", parent=parent, **options)
    metrics = compile.run(context)
    finish(context, metrics)
    context.events.close()
    return context.folder, view_of(context.folder).reports["compile"]


def test_openvino_is_proven_picked_and_answers(trained: str, classifier: Path) -> None:
    pytest.importorskip("openvino")
    folder, report = compiled(trained, backend="openvino", precision="fp32")
    view = view_of(folder)
    rows = {(row["backend"], row["precision"]): row for row in report["candidates"]}
    assert set(rows) == {("eager", "fp32"), ("openvino", "fp32")}
    for row in rows.values():
        assert row["status"] == "ok"
        assert row["verdict"] == "pass"
        assert row["lossless"]
        assert row["agreement"] == 1.0
        assert row["latency_interval_ms"][0] <= row["latency_ms"] <= row["latency_interval_ms"][1]
        assert 0.8 < row["metric"] < 0.9
        assert row["size_mb"] > 0
    assert rows["eager", "fp32"]["speedup"] == 1.0
    assert report["test"]["verdict"] == "pass"
    assert report["test"]["rows"] == report["test_rows"] == 200
    assert report["validation_rows"] == 300
    assert view.max_steps == view.step == 8
    assert view.metrics["test_verdict"] == "pass"
    artifact = folder.path / view.artifacts["compiled"]["path"]
    manifest = read_manifest(artifact)
    assert (manifest["backend"], manifest["precision"]) == (report["pick"]["backend"], report["pick"]["precision"])
    assert manifest["parity"]["test"]["rows"] == 200
    assert not (folder.path / "attempts/1/candidates").exists()

    inputs = texts(7, seed=3)
    predictor = load_predictor(folder, threads=1)
    found = predictor.predict(inputs)
    logits = answers_of(classifier, inputs)
    assert [each["label"] for each in found] == [["no", "yes"][place] for place in logits.argmax(-1)]
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert [each["score"] for each in found] == pytest.approx(shares.max(-1).tolist(), abs=1e-4)
    assert predictor.describe()["backend"] == manifest["backend"]
    assert predictor.predict([]) == []
    with pytest.raises(ModelError, match="list of inputs"):
        predictor.predict("one text")


def test_faulty_backends_are_shown_and_never_picked(trained: str, broken: None) -> None:
    folder, report = compiled(trained)
    rows = {
        row["backend"]: row for row in report["candidates"] if (row["backend"], row["precision"]) != ("eager", "bf16")
    }
    assert rows["swapped"]["verdict"] == "fail"
    assert rows["swapped"]["speedup"] > 1.5  # it is the fastest, and does not win by that
    assert rows["forgetful"]["verdict"] == "fail"
    assert rows["forgetful"]["agreement"] < 0.95
    assert rows["crashing"]["status"] == "failed"
    assert rows["crashing"]["reason"] == "RuntimeError: no kernel for operator aten::nothing"
    assert rows["absent"]["status"] == "missing"
    assert "pip install 'lepton-lab[absent]'" in rows["absent"]["reason"]
    assert report["pick"]["backend"] == "eager"
    assert report["test"]["verdict"] == "pass"
    view = view_of(folder)
    assert view.step == view.max_steps
    assert any("crashing" in line["message"] and line["level"] == "warning" for line in view.logs)


def test_few_rows_keep_the_lossless_one(classifier: Path, home: Path) -> None:
    rows = classified(classifier, 60)
    parent = train_run(classifier, {"train": rows.slice(0, 10), "validation": rows.slice(10, 50)})
    _, report = compiled(parent, backend="eager")
    found = {row["precision"]: row for row in report["candidates"]}
    if "bf16" in found:
        assert found["bf16"]["verdict"] != "pass"
    assert report["pick"]["precision"] == "fp32"
    assert report["test"] is None
    assert "no test rows" in " ".join(report["warnings"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "absent"}, "a_package_that_nobody_has"),
        ({"backend": "swapped", "precision": "int8"}, "here it has fp32"),
        ({"precision": "fp16"}, "here it has fp32"),
    ],
)
def test_what_cannot_be_had_is_refused(trained: str, broken: None, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        compile.run(start("compile", parent=trained, **options))


def test_the_only_backend_asked_for_must_work(trained: str, broken: None) -> None:
    with pytest.raises(LeptonError, match="no kernel for operator"):
        compile.run(start("compile", parent=trained, backend="crashing"))


def test_no_validation_rows_no_choice(classifier: Path, home: Path) -> None:
    rows = classified(classifier, 10)
    with pytest.raises(DataError, match="no validation rows"):
        compile.run(start("compile", parent=train_run(classifier, {"train": rows})))


def test_a_stop_is_heard(trained: str) -> None:
    context = start("compile", parent=trained, backend="eager")
    context.request_stop()
    with pytest.raises(Stopped):
        compile.run(context)
    context = start("benchmark", parent=trained)
    context.request_stop()
    with pytest.raises(Stopped):
        benchmark.run(context)


def test_words_are_compiled_and_their_entities_found(tiny_bert: Path, tmp_path: Path, home: Path) -> None:
    pytest.importorskip("openvino")
    model = make_trained(tiny_bert, tmp_path / "tagger", "token-classification", ["O", "Street", "Type"])
    before = Predictor.from_dir(model, threads=1)
    words = [text.split() for text in texts(60)]
    tags = [answer["tags"] for answer in before.predict(words)]
    rows = pa.table({"tokens": words, "tags": [[tag or "O" for tag in row] for row in tags]})
    parent = train_run(model, {"train": rows.slice(0, 4), "validation": rows.slice(4, 30), "test": rows.slice(34)})
    folder, report = compiled(parent, backend="openvino", precision="fp32", latency_batch_size=2)
    assert [row["verdict"] for row in report["candidates"]] == ["pass", "pass"]
    assert report["measured"]["batch_size"] == 2
    after = load_predictor(folder, threads=1).predict(words[:5])
    assert [each["tags"] for each in after] == tags[:5]
    assert all(entity["text"] for each in after for entity in each["entities"])


def test_a_chat_model_keeps_to_eager_and_writes(tiny_llama: Path, tmp_path: Path, home: Path) -> None:
    model = make_trained(tiny_llama, tmp_path / "writer", "text-generation")
    rows = pa.table(
        {"prompt": [f"What is {n} plus 1" for n in range(24)], "completion": [f"answer {n + 1}" for n in range(24)]}
    )
    parent = train_run(model, {"train": rows.slice(0, 4), "validation": rows.slice(4, 12), "test": rows.slice(16)})
    folder, report = compiled(parent)
    rows_by = {(row["backend"], row["precision"]): row for row in report["candidates"]}
    assert rows_by["eager", "fp32"]["verdict"] == "pass"
    for name in ("openvino", "onnxruntime", "inductor"):
        found = next(row for row in report["candidates"] if row["backend"] == name)
        assert found["status"] in ("unsupported", "missing", "unavailable")
    assert report["main_metric"] == "loss"
    predictor = load_predictor(folder, threads=1)
    alone = [predictor.predict([text], max_new_tokens=6)[0]["text"] for text in ("What is 3", "the film was great and")]
    together = predictor.predict(["What is 3", "the film was great and"], max_new_tokens=6)
    assert [each["text"] for each in together] == alone

    context = start("benchmark", parent=parent, batch_sizes=[1], lengths=[8], repeats=5, max_new_tokens=3)
    metrics = benchmark.run(context)
    assert metrics["tokens_per_second"] > 0


def test_benchmark_measures_the_pick_beside_the_trained_model(trained: str) -> None:
    pytest.importorskip("openvino")
    compiled(trained, backend="openvino", precision="fp32")
    context = start("benchmark", parent=trained, batch_sizes=[2, 1], lengths=[8, 4000], repeats=6, warmup=1)
    metrics = benchmark.run(context)
    finish(context, metrics)
    view = view_of(context.folder)
    report = view.reports["benchmark"]
    shapes = [(row["contestant"], row["batch_size"], row["length"]) for row in report["results"]]
    assert shapes == [("compiled", 1, 8), ("eager", 1, 8), ("compiled", 2, 8), ("eager", 2, 8)]
    for row in report["results"]:
        assert row["requests"] == 6
        assert row["p50_low_ms"] <= row["p50_ms"] <= row["p50_high_ms"]
        assert row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["peak_memory_mb"] > 20
        assert row["rows_per_second"] == pytest.approx(row["batch_size"] / row["mean_ms"] * 1000)
    assert "length 4000 is left out" in " ".join(report["warnings"])
    assert set(report["histograms"]) == {"compiled.b1.l8", "eager.b1.l8", "compiled.b2.l8", "eager.b2.l8"}
    assert view.step == view.max_steps == 24
    assert len(view.series["latency_ms.compiled.b1.l8"].values) == 6
    assert metrics["speedup.b1.l8"] == report["ratios"][0]["ratio"]
    assert report["contestants"]["compiled"]["backend"] in ("openvino", "eager")
    # Asked through the benchmark, the model that it measured answers.
    assert lab.load(context.folder.run).folder == lab.load(trained).folder
    assert lab.load(trained).folder.name == "compiled"


def test_benchmark_refuses_shapes_that_no_model_takes(trained: str) -> None:
    with pytest.raises(RecipeError, match="no such shape"):
        benchmark.run(start("benchmark", parent=trained, lengths=[4000]))


def test_prediction_through_openvino_imports_no_torch(trained: str) -> None:
    pytest.importorskip("openvino")
    folder, report = compiled(trained, backend="openvino", precision="fp32")
    if report["pick"]["backend"] != "openvino":
        pytest.skip("eager was faster on this tiny model")
    path = folder.path / view_of(folder).artifacts["compiled"]["path"]
    code = (
        "import sys\nfrom lepton_lab.work.predictor import Predictor\n"
        f"print(Predictor.from_dir({str(path)!r}).predict(['the film was great'])[0]['label'])\n"
        "print(sorted({'torch', 'openvino_telemetry'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in ("no", "yes")
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        Predictor.from_dir(tmp_path)
    context = start("compile", parent="nothing1")
    finish(context, {})
    with pytest.raises((ModelError, FileNotFoundError)):
        load_predictor(context.folder)


@pytest.mark.slow
def test_auto_tries_all_that_is_installed(trained: str) -> None:
    _, report = compiled(trained)
    assert {row["backend"] for row in report["candidates"]} >= {"eager", "inductor", "onnxruntime", "openvino"}
    failed = [row for row in report["candidates"] if row["status"] == "failed"]
    assert not failed
