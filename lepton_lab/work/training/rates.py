"""The learning rate of a run that goes on from another run's checkpoint: its own, not the one in the checkpoint."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback


class OwnRate(TrainerCallback):  # type: ignore[misc]
    """Puts the recipe's learning rate in the place of the one that came with the optimizer's state.

    The schedule goes on where it was: only its height changes.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The state has been loaded now."""
        optimizer, schedule = kwargs["optimizer"], kwargs["lr_scheduler"]
        if all(base == args.learning_rate for base in schedule.base_lrs):
            return
        for group, base in zip(optimizer.param_groups, schedule.base_lrs, strict=True):
            part = float(group["lr"]) / base if base else 1.0
            group["initial_lr"], group["lr"] = args.learning_rate, part * args.learning_rate
        schedule.base_lrs = [args.learning_rate] * len(schedule.base_lrs)
        schedule._last_lr = [group["lr"] for group in optimizer.param_groups]  # what the curve tells of the next step
