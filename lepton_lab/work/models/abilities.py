"""Which kinds of models can do what, as the installed transformers has it; read, not imported."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

_TABLES = {
    "AutoModelForSequenceClassification": "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    "AutoModelForTokenClassification": "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
    "AutoModelForCausalLM": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "AutoModelForMaskedLM": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "AutoModel": "MODEL_MAPPING_NAMES",
}


def can_load(config: Mapping[str, Any], auto_class: str) -> bool | None:
    """Whether a model with this ``config.json`` fits an Auto class. None if transformers is not installed."""
    known = _known_types()
    if not known:
        return None
    kind = str(config.get("model_type", ""))
    if kind not in known.get(auto_class, frozenset()):
        return auto_class in config.get("auto_map", {})
    if auto_class != "AutoModelForCausalLM":
        return True
    # Encoders have a causal class too, but what they learnt looks both ways.
    is_encoder = kind in known["AutoModelForMaskedLM"] and not config.get("is_decoder")
    names = " ".join(config.get("architectures") or [])
    return not is_encoder or "CausalLM" in names or "ForConditionalGeneration" in names


def is_known_type(config: Mapping[str, Any]) -> bool | None:
    """Whether transformers itself has the code of this model. None if transformers is not installed."""
    known = _known_types()
    return any(str(config.get("model_type", "")) in types for types in known.values()) if known else None


@lru_cache(maxsize=1)
def _known_types() -> dict[str, frozenset[str]]:
    """Model types by Auto class. Reading the tables takes 20 ms; importing them takes seconds."""
    found = importlib.util.find_spec("transformers")
    if found is None or not found.submodule_search_locations:
        return {}
    path = Path(next(iter(found.submodule_search_locations))) / "models" / "auto" / "modeling_auto.py"
    try:
        module = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return {}
    wanted = {table: name for name, table in _TABLES.items()}
    known: dict[str, frozenset[str]] = {}
    for node in module.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id in wanted and isinstance(node, ast.Assign):
            known[wanted[target.id]] = frozenset(
                str(pair.elts[0].value)
                for pair in ast.walk(node.value)
                if isinstance(pair, ast.Tuple) and isinstance(pair.elts[0], ast.Constant)
            )
    return known if len(known) == len(_TABLES) else {}
