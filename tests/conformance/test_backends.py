"""What every backend must keep to, run over each that is installed here. Third parties may import this module."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lepton_lab.errors import ModelError
from lepton_lab.registry import backend_names, load_backend, load_task
from lepton_lab.work.backends.backend import MANIFEST_FILE, Request, check_digests, read_manifest
from lepton_lab.work.backends.eager import load_trained
from lepton_lab.work.backends.hardware import find_hardware
from lepton_lab.work.models.loading import load_tokenizer
from lepton_lab.work.tasks.task import ModelSpec
from tests.work.answering import make_trained

SLOW = {"inductor"}
LARGEST = {"fp32": 1e-4, "bf16": 0.03, "int8": 0.3}
"""The largest difference of a logit to eager fp32, as a share of the largest logit."""


def usable() -> list[Any]:
    names = [name for name in backend_names() if not load_backend(name).missing() and not load_backend(name).obstacle()]
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in names]


def pairs() -> list[Any]:
    found = []
    for name in backend_names():
        backend = load_backend(name)
        if not backend.missing() and not backend.obstacle():
            for precision in backend.precisions(find_hardware()):
                marks = [pytest.mark.slow] if name in SLOW else []
                found.append(pytest.param(name, precision, id=f"{name}-{precision}", marks=marks))
    return found


def batch(rows: int, tokens: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A batch of which every second row is padded by a third."""
    random = np.random.default_rng(seed)
    ids = random.integers(5, 100, (rows, tokens))
    mask = np.ones_like(ids)
    if tokens > 3:
        mask[1::2, -(tokens // 3) :] = 0
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def has_input(model: Path, name: str) -> bool:
    return name != "token_type_ids" or ModelSpec.load(model).task != "text-generation"


@pytest.fixture(scope="session")
def classifier(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained(tiny_bert, tmp_path_factory.mktemp("trained") / "text", "text-classification", ["no", "yes"])


@pytest.fixture(scope="session")
def tagger(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained(tiny_bert, tmp_path_factory.mktemp("trained") / "tags", "token-classification", ["A", "B", "C"])


@pytest.fixture(scope="session")
def writer(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trained(tiny_llama, tmp_path_factory.mktemp("trained") / "writer", "text-generation")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scratch space that all precisions of a model share, as in a compile job."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture
def compile_with(tmp_path: Path, shared: Path) -> Iterator[Any]:
    def compile_with(name: str, model: Path, precision: str = "fp32") -> Path:
        folder, scratch = tmp_path / f"{name}-{precision}", shared / model.name
        folder.mkdir()
        scratch.mkdir(exist_ok=True)
        example = {each: values for each, values in batch(3, 7).items() if has_input(model, each)}
        load_backend(name).compile(Request(model, ModelSpec.load(model), precision, 1, example, scratch), folder)
        return folder

    return compile_with


def test_importing_a_backend_imports_no_runtime() -> None:
    code = (
        "import sys\nfrom lepton_lab.registry import backend_names, load_backend\n"
        "from lepton_lab.work.backends.hardware import find_hardware\nfrom lepton_lab.registry import load_task\n"
        "for name in backend_names():\n    b = load_backend(name); b.missing(); b.obstacle(); b.precisions(find_hardware())\n"
        "    b.refusal(load_task('text-generation'))\n"
        "print(sorted(set(('torch', 'onnx', 'onnxruntime', 'openvino', 'numpy', 'transformers')) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", backend_names())
def test_it_declares_itself(name: str) -> None:
    backend = load_backend(name)
    assert backend.name == name
    assert backend.title
    assert backend.licence
    assert backend.packages
    assert "pip install" in backend.install_command()
    precisions = backend.precisions(find_hardware())
    assert precisions[0] == "fp32"
    assert set(precisions) <= set(LARGEST)


@pytest.mark.parametrize(("name", "precision"), pairs())
def test_it_answers_as_eager_does_at_every_shape(
    name: str, precision: str, classifier: Path, compile_with: Any
) -> None:
    backend = load_backend(name)
    runner = backend.load(compile_with(name, classifier, precision), 1)
    tokenizer = load_tokenizer(classifier)
    reference = load_trained(classifier, tokenizer, 1)
    for shape in ((1, 3), (1, 20), (2, 9), (5, 33), (3, 48)):
        given = batch(*shape, seed=shape[0])
        wanted, found = reference(**given), runner(**given)
        assert found.shape == (shape[0], 2)
        assert found.dtype == np.float32
        assert np.abs(found - wanted).max() <= LARGEST[precision] * np.abs(wanted).max(), shape
    again = runner(**batch(2, 9, seed=2))
    np.testing.assert_array_equal(again, runner(**batch(2, 9, seed=2)))
    with pytest.raises((TypeError, KeyError)):
        runner(input_ids=np.ones((1, 4), dtype=np.int64))
    with pytest.raises(TypeError):
        runner(**batch(1, 4), pixels=np.ones((1, 4), dtype=np.int64))
    runner.close()


@pytest.mark.parametrize("name", usable())
def test_padding_and_neighbours_change_nothing(name: str, classifier: Path, compile_with: Any) -> None:
    runner = load_backend(name).load(compile_with(name, classifier), 1)
    rows = batch(4, 24)
    together = runner(**rows)
    for number in range(4):
        length = int(rows["attention_mask"][number].sum())
        alone = runner(**{key: value[number : number + 1, :length].copy() for key, value in rows.items()})
        np.testing.assert_allclose(alone[0], together[number], atol=1e-4)


@pytest.mark.parametrize("name", usable())
def test_an_answer_is_not_overwritten_by_the_next(name: str, classifier: Path, compile_with: Any) -> None:
    runner = load_backend(name).load(compile_with(name, classifier), 1)
    first = runner(**batch(2, 9, seed=1))
    kept = first.copy()
    runner(**batch(2, 9, seed=2))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("name", usable())
def test_the_second_text_of_a_pair_is_told_apart(name: str, classifier: Path, compile_with: Any) -> None:
    runner = load_backend(name).load(compile_with(name, classifier), 1)
    given = batch(1, 12)
    second = {**given, "token_type_ids": np.repeat([[0, 1]], 6, axis=1)}
    assert np.abs(runner(**given) - runner(**second)).max() > 1e-3


@pytest.mark.parametrize("name", usable())
def test_words_have_logits_of_their_own(name: str, tagger: Path, compile_with: Any) -> None:
    runner = load_backend(name).load(compile_with(name, tagger), 1)
    assert runner(**batch(2, 11)).shape == (2, 11, 3)
    assert runner(**batch(1, 5)).shape == (1, 5, 3)


@pytest.mark.parametrize("name", usable())
def test_a_task_is_taken_or_refused_with_a_reason(name: str, writer: Path, compile_with: Any) -> None:
    backend = load_backend(name)
    refusal = backend.refusal(load_task("text-generation"))
    assert not backend.refusal(load_task("text-classification"))
    if refusal:
        assert "text-generation" in refusal
        return
    runner: Any = backend.load(compile_with(name, writer), 1)
    given = {key: value for key, value in batch(2, 6).items() if key != "token_type_ids"}
    given["attention_mask"][:] = 1
    written = runner.generate(given, 5, min_new_tokens=5)
    assert [len(row) for row in written] == [5, 5]


@pytest.mark.parametrize("name", usable())
def test_a_folder_is_whole_or_refused(name: str, classifier: Path, compile_with: Any) -> None:
    folder = compile_with(name, classifier)
    manifest = read_manifest(folder)
    assert manifest["backend"] == name
    assert manifest["inputs"] == ["input_ids", "attention_mask", "token_type_ids"]
    assert {"tokenizer.json", "lepton.json", "config.json"} <= set(manifest["files"])
    newest = max(folder.iterdir(), key=lambda each: each.stat().st_mtime_ns)
    assert newest.name == MANIFEST_FILE
    assert json.loads((folder / MANIFEST_FILE).read_text())["versions"]
    check_digests(folder)

    largest = max(manifest["files"], key=lambda each: manifest["files"][each]["bytes"])
    data = bytearray((folder / largest).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / largest).write_bytes(data)
    with pytest.raises(ModelError, match="changed"):
        check_digests(folder)
    (folder / largest).write_bytes(data[:-1])
    with pytest.raises(ModelError, match="missing or cut"):
        load_backend(name).load(folder, 1)
    (folder / MANIFEST_FILE).unlink()
    with pytest.raises(ModelError, match="no compiled model"):
        load_backend(name).load(folder, 1)
