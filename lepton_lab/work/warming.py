"""What a spare does before it waits: every import that a training needs, and one tiny model through all of it."""

from __future__ import annotations

import gc
import importlib
import tempfile
from typing import Any

from .models.abilities import is_known_type

_MODULES = (
    "torch",
    "datasets",
    "peft",
    "peft.utils.transformers_weight_conversion",
    "pyarrow.parquet",
    "transformers.trainer",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.llama.modeling_llama",
    "lepton_lab.data",
    "lepton_lab.samples",
    "lepton_lab.work.jobs.train",
    "lepton_lab.work.data.chats",
    "lepton_lab.work.data.packing",
    "lepton_lab.work.tasks.text_classification",
    "lepton_lab.work.tasks.token_classification",
    "lepton_lab.work.tasks.text_generation",
    "lepton_lab.work.training.loop",
    "lepton_lab.work.training.adapters",
)

_WIDTH = 8


def warm_up() -> None:
    """Import what a training imports, then load, adapt and step a tiny model: tables are built on first use."""
    for name in _MODULES:
        importlib.import_module(name)
    is_known_type({})  # reads the tables
    _step_tiny_model()
    # Nothing of this is garbage: later collections need not look at it.
    gc.collect()
    gc.freeze()


def _step_tiny_model() -> None:
    import torch
    import transformers

    from ..recipe import PeftConfig
    from .training.adapters import add_adapter, merge_adapter

    transformers.utils.logging.disable_progress_bar()
    config = transformers.BertConfig(
        vocab_size=16,
        hidden_size=_WIDTH,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=_WIDTH,
        max_position_embeddings=16,
    )
    state = torch.get_rng_state()
    with tempfile.TemporaryDirectory() as folder:
        transformers.BertModel(config).save_pretrained(folder)
        auto = transformers.AutoModelForSequenceClassification
        model: Any = auto.from_pretrained(folder, num_labels=2, use_safetensors=True)
    model = add_adapter(model, PeftConfig(method="lora"), "AutoModelForSequenceClassification", [])
    ids = torch.ones(2, 8, dtype=torch.long)
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad])
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(input_ids=ids, attention_mask=ids, labels=torch.tensor([0, 1])).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    merge_adapter(model)
    torch.set_rng_state(state)
