"""The one training loop, on ``transformers.Trainer``."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler

from ..context import Stopped, WorkContext
from ..data.collator import PaddedBatch
from ..tasks.task import ModelSpec, Task
from .arguments import count_steps, training_arguments
from .precision import Precision
from .progress import Progress

if TYPE_CHECKING:
    import datasets


class _StopEvaluation(Exception):
    """Raised inside an evaluation when the job should leave."""


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Leaves a long evaluation when the job should stop."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._context.should_stop():
            raise _StopEvaluation


class _Trainer(Trainer):  # type: ignore[misc]
    """A Trainer whose evaluation can be left in the middle, so that a cancelled run saves at once."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Rows of similar length together. The lengths are handed over as a list: the Trainer would
        read them from the data set one by one, which takes a second for 4,000 rows."""
        rows = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(batch, lengths=rows.data.column("length").to_pylist())

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        """Longest rows first: the least padding, and a lack of memory shows at once."""
        lengths = eval_dataset.data.column("length").to_pylist()
        return sorted(range(len(lengths)), key=lambda row: -lengths[row])

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        try:
            found: dict[str, float] = super().evaluate(*args, **kwargs)
            return found
        except _StopEvaluation:
            self.control.should_training_stop = True
            self.control.should_save = True
            # The unfinished evaluation must not look like the best one.
            worst = float("-inf") if self.args.greater_is_better else float("inf")
            return {str(self.args.metric_for_best_model): worst}


@dataclass
class Loop:
    """One training: what it learns from, and the Trainer that does it."""

    context: WorkContext
    task: Task
    spec: ModelSpec
    precision: Precision
    encoded: dict[str, datasets.Dataset]
    collator: PaddedBatch
    train_rows: Any

    def build(self, model: Any, tokenizer: Any) -> Any:
        """The Trainer. The data set of ``train_rows`` may be the packed form of the training rows."""
        recipe = self.context.recipe
        rows = self.train_rows
        arguments = training_arguments(
            recipe,
            self.context.attempt.path / "checkpoints",
            self.precision,
            count_steps(recipe, len(rows)),
            self.task.metric_of(self.spec),
            len(self.encoded["validation"]) > 0,
        )
        callbacks: list[Any] = [Progress(self.context, self.collator), _Watch(self.context)]
        if recipe.train.early_stopping_patience and arguments.load_best_model_at_end:
            callbacks.append(EarlyStoppingCallback(recipe.train.early_stopping_patience))
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=rows,
            eval_dataset=self.encoded["validation"],
            data_collator=self.collator,
            processing_class=tokenizer,
            compute_metrics=self._score,
            preprocess_logits_for_metrics=self._reduce,
            callbacks=callbacks,
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _reduce(self, logits: Any, labels: Any) -> Any:
        # Some models answer with more than logits; the logits come first.
        return self.task.reduce(logits[0] if isinstance(logits, tuple) else logits, labels)

    def _score(self, found: Any) -> dict[str, float]:
        return self.task.metrics(list(found.predictions), list(found.label_ids), self.spec)

    def train(self, trainer: Any, checkpoint: Path | None) -> float:
        """Train, from ``checkpoint`` if given; the mean training loss. Raises :class:`Stopped`."""
        # The Trainer collects garbage before it starts; what was imported is none, and there is a lot of it.
        gc.freeze()
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        self.context.check_stop()
        return float(result.training_loss)

    def evaluate(self, trainer: Any, model: Any, split: str, prefix: str) -> dict[str, float]:
        """Scores of ``model`` on a split, by name with ``prefix`` before it. Raises :class:`Stopped`."""
        trainer.model = trainer.model_wrapped = model
        found = trainer.evaluate(self.encoded[split], metric_key_prefix=prefix)
        if self.context.should_stop():
            raise Stopped(self.context.stop_reason)
        kept = {}
        for name, value in found.items():
            if name.startswith(prefix + "_") and not name.endswith(("_runtime", "_per_second", "_preparation_time")):
                kept[name] = float(value)
        return kept
