"""Which checkpoint a training goes on from. Torch free."""

from __future__ import annotations

from pathlib import Path

from ... import places
from ...errors import ModelError, Problem
from ...record import checkpoint_step, complete_checkpoints, is_intact
from ..context import WorkContext

_WHERE = "train.resume_from_checkpoint"
_PICKLED = (".pt", ".pth", ".bin", ".pkl", ".pickle")


def find_checkpoint(context: WorkContext) -> Path | None:
    """The newest whole checkpoint of this run, else the one that the recipe names, else None.

    Raises :class:`ModelError` for a named one that cannot or must not be read.
    """
    found = _own(context) or _named(context)
    if found is not None:
        context.events.log(f"going on from {found.name} of {found.parent.parent.name}")
    return found


def _own(context: WorkContext) -> Path | None:
    """The newest that every rank has: hosts without a shared disk may not have the same."""
    found = _intact(context, complete_checkpoints(context.folder))
    while context.ranks:
        step = checkpoint_step(found) if found else -1
        newest, oldest = context.ranks.most(step, -step)
        if newest == -oldest:
            break
        found = _intact(
            context, [path for path in complete_checkpoints(context.folder) if checkpoint_step(path) <= -oldest]
        )
    return found


def _intact(context: WorkContext, paths: list[Path]) -> Path | None:
    for path in paths:
        if is_intact(path):
            return path
        context.events.log(f"{path.name} is not as it was written; an older one is used", "warning")
    return None


def _named(context: WorkContext) -> Path | None:
    train = context.recipe.train
    if not train.resume_from_checkpoint:
        return None
    found = Path(train.resume_from_checkpoint).expanduser().absolute()
    if not (found / "trainer_state.json").is_file():
        do = "Name a folder checkpoint-N that a training wrote."
        raise ModelError(Problem("there is no such checkpoint", str(found), do, _WHERE))
    if (found / "complete.json").exists() and not is_intact(found):
        raise ModelError(Problem("the checkpoint is not as it was written", str(found), "Name an older one.", _WHERE))
    pickled = sorted(each.name for each in found.rglob("*") if each.suffix in _PICKLED)
    if pickled and not _is_ours(found) and not train.allow_pickle:
        do = f"Set --allow-pickle if you trust who wrote it, or start anew from its weights: --model {found}."
        got = f"{', '.join(pickled[:3])} in {found}"
        raise ModelError(Problem("a checkpoint from elsewhere that holds pickled files is not read", got, do, _WHERE))
    return found


def _is_ours(path: Path) -> bool:
    """Whether a run of this home wrote it, and it is still as it was written."""
    return path.resolve().is_relative_to(places.runs_dir().resolve()) and is_intact(path)
