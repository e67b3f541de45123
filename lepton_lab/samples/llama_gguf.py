"""Turns the GGUF file of a Llama model into a Hugging Face folder, once, with numpy alone.

``AutoModelForCausalLM.from_pretrained(folder, gguf_file=…)`` dequantises at every load and
the model it returns refuses ``save_pretrained``. A plain folder can be trained, saved and exported.

Weights are written as float32: a Q4_1 weight is ``scale · q + minimum`` with float16 scale
and minimum, which float32 holds and bfloat16 would round, so this model
answers exactly as the GGUF file does. It costs 540 MB of disk.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import MissingExtra, ModelError, Problem
from .gguf_tokenizer import write_tokenizer

_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def write_llama(gguf_file: Path, folder: Path) -> None:
    """Write config, weights and tokenizer of ``gguf_file`` into ``folder``.

    Raises :class:`~lepton_lab.errors.MissingExtra` without the package ``gguf`` and
    :class:`~lepton_lab.errors.ModelError` when the file holds something else than a Llama.
    """
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise MissingExtra("gguf", "samples", "Reading a GGUF model") from error
    reader = GGUFReader(str(gguf_file))
    facts = {name: field.contents() for name, field in reader.fields.items()}
    if facts.get("general.architecture") != "llama" or facts.get("tokenizer.ggml.model") != "gpt2":
        got = f"{facts.get('general.architecture')} with a {facts.get('tokenizer.ggml.model')} tokenizer"
        raise ModelError(Problem(f"{gguf_file.name} is not a Llama with a byte-level tokenizer", got))
    names = {tensor.name for tensor in reader.tensors}
    config = make_config(facts, tied="output.weight" not in names)
    _write_weights(reader, config, folder / "model.safetensors")
    write_tokenizer(facts, folder)
    generation = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write_json(folder / "generation_config.json", generation)
    _write_json(folder / "config.json", config)


def make_config(facts: dict[str, Any], tied: bool) -> dict[str, Any]:
    """The ``config.json`` of a ``LlamaForCausalLM`` from the GGUF metadata."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": int(facts["tokenizer.ggml.bos_token_id"]),
        "dtype": "float32",
        "eos_token_id": int(facts["tokenizer.ggml.eos_token_id"]),
        "head_dim": int(facts["llama.rope.dimension_count"]),
        "hidden_act": "silu",
        "hidden_size": int(facts["llama.embedding_length"]),
        "initializer_range": 0.02,
        "intermediate_size": int(facts["llama.feed_forward_length"]),
        "max_position_embeddings": int(facts["llama.context_length"]),
        "mlp_bias": False,
        "num_attention_heads": int(facts["llama.attention.head_count"]),
        "num_hidden_layers": int(facts["llama.block_count"]),
        "num_key_value_heads": int(facts["llama.attention.head_count_kv"]),
        "pad_token_id": int(facts["tokenizer.ggml.padding_token_id"]),
        # GGUF holds float32: seven digits say the same number.
        "rms_norm_eps": float(f"{facts['llama.attention.layer_norm_rms_epsilon']:.7g}"),
        "rope_parameters": {"rope_theta": float(facts["llama.rope.freq_base"]), "rope_type": "default"},
        "tie_word_embeddings": tied,
        "use_cache": True,
        "vocab_size": int(facts["llama.vocab_size"]),
    }


def _write_weights(reader: Any, config: dict[str, Any], path: Path) -> None:
    import numpy as np
    from gguf.quants import dequantize
    from safetensors.numpy import save_file

    weights = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        if ".attn_q." in tensor.name:
            values = _unpermute(values, config["num_attention_heads"])
        elif ".attn_k." in tensor.name:
            values = _unpermute(values, config["num_key_value_heads"])
        weights[hugging_face_name(tensor.name)] = np.ascontiguousarray(values, dtype=np.float32)
    save_file(weights, path, metadata={"format": "pt"})


def hugging_face_name(name: str) -> str:
    """``blk.3.attn_q.weight`` -> ``model.layers.3.self_attn.q_proj.weight``.

    Raises :class:`~lepton_lab.errors.ModelError` for a weight that a Llama does not have.
    """
    match name.split("."):
        case ["blk", layer, part, "weight"] if part in _BLOCK:
            return f"model.layers.{layer}.{_BLOCK[part]}.weight"
        case [part, "weight"] if part in _TOP:
            return f"{_TOP[part]}.weight"
    raise ModelError(Problem("the GGUF file holds a weight that a Llama does not have", name))


def _unpermute(weights: Any, heads: int) -> Any:
    """Rows of a query or key projection in the order of Hugging Face.

    Rotary embedding turns pairs of rows. llama.cpp keeps the two rows of a pair side by side,
    Hugging Face keeps all first ones before all second ones, head by head.
    """
    pairs = weights.shape[0] // heads // 2
    return weights.reshape(heads, pairs, 2, -1).swapaxes(1, 2).reshape(weights.shape)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
