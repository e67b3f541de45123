"""A model's tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import ModelError, Problem


def load_tokenizer(folder: Path, trust_remote_code: bool = False) -> Any:
    """The fast tokenizer of a model folder, with a padding token. Raises :class:`ModelError`.

    A tokenizer without offsets (a slow one) is refused: labels and loss masks could not be aligned.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0]
        do = "Save it beside the model: tokenizer.save_pretrained(folder)."
        raise ModelError(Problem(f"the tokenizer in {folder} cannot be loaded", first, do, "model")) from error
    if not tokenizer.is_fast:
        do = "Save a tokenizer.json beside the model."
        raise ModelError(Problem("the model has no fast tokenizer", type(tokenizer).__name__, do, "model"))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer
