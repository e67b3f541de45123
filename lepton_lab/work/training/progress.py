"""What happens around the steps: events, requests to save or to stop, whole checkpoints."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from ...record import drop_superseded
from ..context import WorkContext
from ..data.collator import PaddedBatch
from .checkpoints import drop_old

_OWN = ("loss", "learning_rate", "grad_norm")
# Timings of the evaluation itself are no result.
_NOT_SCORES = ("_runtime", "_per_second", "_model_preparation_time")


class Progress(TrainerCallback):  # type: ignore[misc]
    """Writes one metric event a logged step; obeys the context's requests at step boundaries."""

    def __init__(self, context: WorkContext, collator: PaddedBatch) -> None:
        self._context = context
        self._collator = collator
        self._limit = context.recipe.train.save_total_limit
        self._mark = time.perf_counter()
        self._rows = self._tokens = 0
        self._paused = 0.0
        self._pause_began = 0.0
        self._saved_step = -1

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say how long it will be."""
        self._context.events.status(stage="train", max_steps=int(state.max_steps), epochs=float(state.num_train_epochs))
        if args.eval_on_start:
            self._repeat(state)
        self._restart()

    def _repeat(self, state: Any) -> None:
        """Say the step of the checkpoint again, whose evaluation comes next: a step is one attempt's, whole."""
        for entry in state.log_history:
            if entry["step"] == state.global_step and "loss" in entry:
                values = {name: float(entry[name]) for name in _OWN if name in entry}
                self._context.events.metric(int(state.global_step), values, epoch=_epoch(state))

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Time between epochs is nobody's throughput."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Obey requests; log the last step."""
        if state.global_step >= state.max_steps:
            control.should_log = True
        if self._context.agree():
            control.should_save = True
            control.should_training_stop = True
            control.should_evaluate = False
        elif self._context.take_save_request():
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Who was asked to stop does not evaluate first, and may have saved already."""
        if self._context.agree():
            control.should_evaluate = False
            control.should_save = state.global_step != self._saved_step
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """One metric event."""
        logs = logs or {}
        if "loss" in logs:
            values = {name: float(logs[name]) for name in _OWN if name in logs}
            self._context.events.metric(int(state.global_step), {**values, **self._rates()}, epoch=_epoch(state))
            return
        scores = {
            name: float(value)
            for name, value in logs.items()
            if name.startswith("eval_") and not name.endswith(_NOT_SCORES) and isinstance(value, (int, float))
        }
        if scores:
            self._context.events.metric(int(state.global_step), scores, epoch=_epoch(state))

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluation is over: the throughput clock starts again."""
        self._restart()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The checkpoint is whole; only now may an older one go."""
        self._saved_step = state.global_step
        if self._context.rank == 0:
            drop_old(Path(args.output_dir), self._limit, state.best_model_checkpoint)
            drop_superseded(self._context.folder, self._context.attempt)
        self._context.events.log(f"checkpoint at step {state.global_step}")
        self._restart()

    def _restart(self) -> None:
        self._mark = time.perf_counter()
        self._rows, self._tokens = self._collator.rows, self._collator.tokens

    def _rates(self) -> dict[str, float]:
        rows, tokens = self._collator.rows - self._rows, self._collator.tokens - self._tokens
        seconds = max(time.perf_counter() - self._mark, 1e-6)
        self._restart()
        rates = {"memory_mb": memory_mb()}
        if rows > 0:
            # Every rank has about as much as this one.
            seconds /= self._context.rank_count
            rates |= {"samples_per_second": rows / seconds, "tokens_per_second": tokens / seconds}
        return rates


def memory_mb() -> float:
    """The most memory this process has had: of the GPU where there is one, else resident. In 2^20 bytes."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _epoch(state: Any) -> float | None:
    return None if state.epoch is None else round(float(state.epoch), 4)
