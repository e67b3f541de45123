"""Which weights to learn. Names are those of ``peft.LoraConfig``."""

from __future__ import annotations

from typing import Literal

from .option import option
from .section import Section


class PeftConfig(Section):
    """Parameter-efficient fine-tuning."""

    method: Literal["none", "lora"] = option("none", "none learns every weight; lora a small addition.", flag="peft")
    lora_r: int = option(16, "Rank of the addition.", ge=1)
    lora_alpha: int = option(32, "Scale of the addition.", ge=1)
    lora_dropout: float = option(0.0, "Dropout before the addition.", ge=0, lt=1)
    target_modules: list[str] = option([], "Layers that get the addition. Default: every linear layer of the body.")
