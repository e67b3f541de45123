"""LoRA around a model, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import ModelError, Problem
from ...recipe import PeftConfig

_TYPES = {
    "AutoModelForSequenceClassification": "SEQ_CLS",
    "AutoModelForTokenClassification": "TOKEN_CLS",
    "AutoModelForCausalLM": "CAUSAL_LM",
}
_HEADS = ("classifier", "score", "pre_classifier", "out_proj")


def add_adapter(model: Any, config: PeftConfig, auto_class: str, fresh: Sequence[str]) -> Any:
    """``model`` inside a LoRA adapter, as ``peft`` makes it.

    ``fresh`` names weights that no checkpoint had (a new head): they are learnt whole, beside the
    adapter. Raises :class:`ModelError` when no layer is called as ``target_modules`` says.
    """
    from peft import LoraConfig, get_peft_model

    heads = _head_modules(model, fresh)
    wanted = [] if config.target_modules == ["all-linear"] else config.target_modules
    lora = LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=wanted or "all-linear",
        modules_to_save=heads or None,
        task_type=_TYPES.get(auto_class),
        exclude_modules=rf"(.*\.)?({'|'.join(heads)})(\..*)?" if heads and not wanted else None,
    )
    try:
        return get_peft_model(model, lora)
    except ValueError as error:
        known = sorted({name.rpartition(".")[2] for name, part in model.named_modules() if _is_linear(part)})
        raise ModelError(
            Problem(
                "LoRA found no layer to add to",
                str(error).splitlines()[0],
                f"Set --target-modules to some of: {', '.join(known)}.",
                "peft.target_modules",
            )
        ) from None


def _head_modules(model: Any, fresh: Sequence[str]) -> list[str]:
    """Last names of the modules to learn whole: what is new, and the head of a classification."""
    named = dict(model.named_modules())
    found = {name.rpartition(".")[0] for name in fresh}
    if not hasattr(model, "lm_head"):
        found |= {name for name in _HEADS if name in named}
    # A new part inside a new part is covered by it.
    tops = [name for name in found if name and not any(name.startswith(other + ".") for other in found)]
    return sorted(tops)


def _is_linear(module: Any) -> bool:
    import torch

    return isinstance(module, torch.nn.Linear)


def merge_adapter(model: Any) -> Any:
    """The plain model with the adapter added to its weights, in fp32 so that nothing is rounded away."""
    return model.float().merge_and_unload(safe_merge=True)
