"""Which transformers the training loop is built on. Torch free: asked at submit."""

from __future__ import annotations

import re
from importlib import metadata

from ...errors import Problem

LEAST = "5.3"
"""The oldest transformers whose Trainer has what ours overrides; also the bound of the package."""

NEWEST_TESTED = "5.23"
"""Of what was tested together. Newer ones are used as long as they have it, too."""

PARENT_METHODS = (
    "_determine_best_metric",
    "_evaluate",
    "_get_eval_sampler",
    "_get_num_items_in_batch",
    "_get_output_dir",
    "_run_epoch",
    "_save_checkpoint",
    "_save_rng_state",
    "get_batch_samples",
)
"""Methods of ``transformers.Trainer`` that ours overrides or calls. Most of them are private there."""


def check_transformers() -> list[Problem]:
    """What is wrong with the installed transformers; nothing where there is none, which others say."""
    try:
        found = metadata.version("transformers")
    except metadata.PackageNotFoundError:
        return []
    if _numbers(found) >= _numbers(LEAST):
        return []
    do = f"Run: pip install 'transformers>={LEAST}'"
    return [Problem(f"training needs transformers {LEAST} or newer", found, do)]


def check_parent(trainer: type) -> list[Problem]:
    """What is wrong with the Trainer that is to be the parent of ours."""
    missing = [name for name in PARENT_METHODS if not hasattr(trainer, name)]
    if not missing:
        return []
    what = "the Trainer of this transformers lacks methods that exact resuming is built on"
    do = f"Run: pip install 'transformers=={NEWEST_TESTED}.*'"
    return [Problem(what, f"no {', '.join(missing)} in {metadata.version('transformers')}", do)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
