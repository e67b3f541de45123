"""Whether what a training run writes fits on the disks that it writes to. Torch free: asked at submit."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import Problem
from ..recipe import Recipe
from .models.layers import count_weights

_WEIGHT_BYTES = 4
# A checkpoint of full fine-tuning holds the weights and two moments of AdamW; that of LoRA little.
_FULL_CHECKPOINT = 3.0
_LORA_CHECKPOINT = 0.2
# Kept free beside what a run is expected to write.
_MARGIN_BYTES = 200 * 2**20


def check_space(recipe: Recipe, model: Path, home: Path) -> list[Problem]:
    """One problem for each disk that is too small: that of ``home`` (runs) and that of the output folder.

    Models are saved in fp32, so each weight takes four bytes whatever the source stores.
    """
    weights = count_weights(model) * _WEIGHT_BYTES
    per_checkpoint = weights * (_FULL_CHECKPOINT if recipe.peft.method == "none" else _LORA_CHECKPOINT)
    # A new checkpoint is whole before the oldest goes.
    copies = recipe.train.save_total_limit + 1 if recipe.train.save_strategy != "no" else 0
    wanted = [
        (home, weights + per_checkpoint * copies, "Free some with: lepton prune, or set LEPTON_HOME to a larger disk.")
    ]
    if recipe.output_dir:
        wanted.append((Path(recipe.output_dir), weights, "Set --output-dir to a folder on a larger disk."))
    disks: dict[int, list[tuple[Path, float, str]]] = {}
    for each in wanted:
        disks.setdefault(_above(each[0]).stat().st_dev, []).append(each)
    problems = []
    for parts in disks.values():
        path, do = parts[0][0], parts[0][2]
        needed = sum(size for _, size, _ in parts) + _MARGIN_BYTES
        free = shutil.disk_usage(_above(path)).free
        if free < needed:
            places = " and ".join(str(part[0]) for part in parts)
            what = f"this run needs about {needed / 2**20:,.0f} MB of disk in {places}"
            problems.append(Problem(what, f"{free / 2**20:,.0f} MB free", do))
    return problems


def _above(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())
