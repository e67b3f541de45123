"""Writes the byte-level BPE tokenizer of a GGUF file as ``tokenizer.json``, without transformers.

The pre-tokenizer is the one that the model was trained with and that llama.cpp calls
``smollm``: each digit alone, then the words of GPT-2. The GGUF loader of transformers leaves the digits out, which
differs where two or more spaces stand before a digit; elsewhere the ids are the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import ModelError, Problem

_CONTROL = 3  # llama.cpp: LLAMA_TOKEN_TYPE_CONTROL
_USER_DEFINED = 4  # LLAMA_TOKEN_TYPE_USER_DEFINED


def write_tokenizer(facts: dict[str, Any], folder: Path) -> None:
    """Write ``tokenizer.json``, ``tokenizer_config.json`` and ``chat_template.jinja``.

    Raises :class:`~lepton_lab.errors.ModelError` for a pre-tokenizer that we do not know.
    """
    if facts.get("tokenizer.ggml.pre") != "smollm":
        raise ModelError(Problem("the GGUF file has an unknown pre-tokenizer", str(facts.get("tokenizer.ggml.pre"))))
    tokens: list[str] = facts["tokenizer.ggml.tokens"]
    special = {
        f"{name}_token": tokens[facts[f"tokenizer.ggml.{key}_token_id"]]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
    }
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": bool(facts.get("tokenizer.ggml.add_space_prefix", False)),
        "clean_up_tokenization_spaces": False,
        "model_max_length": int(facts["llama.context_length"]),
        **special,
    }
    template = facts.get("tokenizer.chat_template")
    if template:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    text = json.dumps(_tokenizer(facts, tokens), ensure_ascii=False)
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")


def _tokenizer(facts: dict[str, Any], tokens: list[str]) -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": kind == _CONTROL,
            }
            for number, (token, kind) in enumerate(zip(tokens, facts["tokenizer.ggml.token_type"], strict=True))
            if kind in {_CONTROL, _USER_DEFINED}
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": byte_level | {"use_regex": False, "trim_offsets": False},
        "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [merge.split(" ", 1) for merge in facts["tokenizer.ggml.merges"]],
        },
    }
