"""What a spare does while it waits: every import that a training needs."""

from __future__ import annotations

import importlib

_MODULES = (
    "torch",
    "datasets",
    "peft",
    "pyarrow.parquet",
    "transformers.trainer",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.llama.modeling_llama",
    "lepton_lab.data",
    "lepton_lab.samples",
    "lepton_lab.work.jobs.train",
    "lepton_lab.work.training.loop",
    "lepton_lab.work.training.adapters",
)


def warm_up() -> None:
    """Import what a training imports."""
    for name in _MODULES:
        importlib.import_module(name)
