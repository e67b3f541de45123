"""The one training loop, on ``transformers.Trainer``."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PrinterCallback, TrainerCallback, TrainerState, set_seed

from ...record import BatchPlan
from ..context import WorkContext
from ..data.collator import PaddedBatch
from ..tasks.task import ModelSpec, Task
from .arguments import count_steps, steps_an_epoch, training_arguments
from .precision import Precision
from .progress import Progress
from .rates import OwnRate
from .trainer import Patience, Resumption, StopEvaluation, UpdateTrainer, owes_evaluation

if TYPE_CHECKING:
    import datasets


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Leaves a long evaluation when the job should stop."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._context.agree():
            raise StopEvaluation


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
    plan: BatchPlan

    def build(self, model: Any, tokenizer: Any) -> Any:
        """The Trainer. The data set of ``train_rows`` may be the packed form of the training rows."""
        recipe = self.context.recipe
        rows = self.train_rows
        arguments = training_arguments(
            recipe,
            self.context.attempt.path / "checkpoints",
            self.precision,
            self.plan,
            count_steps(recipe, len(rows), self.plan.effective),
            self.task.metric_of(self.spec),
            len(self.encoded["validation"]) > 0,
        )
        callbacks: list[Any] = [Progress(self.context, self.collator), _Watch(self.context)]
        if recipe.train.resume_from_checkpoint:
            callbacks.append(OwnRate())
        if recipe.train.early_stopping_patience and arguments.load_best_model_at_end:
            callbacks.append(Patience(recipe.train.early_stopping_patience))
        trainer = UpdateTrainer(
            self.context,
            self.plan,
            self.task.generates,
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

    def train(self, trainer: Any, checkpoint: Path | None, best: Path | None = None) -> float:
        """Train, from ``checkpoint`` if given; the mean training loss. Raises :class:`Stopped`.

        ``best`` is the best checkpoint of the attempts before, where there is one.
        """
        if checkpoint is not None:
            self._take_up(trainer, checkpoint, best)
        if self.context.is_first_on_host:
            self.plan.write(self.context.attempt)
        if self.context.rank > 0:
            # Each rank drops other weights out; the Trainer has given all the same seed.
            set_seed(self.context.recipe.seed + self.context.rank)
        # The Trainer collects garbage before it starts; what was imported is none, and there is a lot of it.
        gc.freeze()
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        self.context.check_stop()
        return float(result.training_loss)

    def _take_up(self, trainer: Any, checkpoint: Path, best: Path | None) -> None:
        state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        rows, effective = len(self.train_rows), self.plan.effective
        steps = count_steps(self.context.recipe, rows, effective)
        trainer.args.eval_on_start = owes_evaluation(trainer.args, state, steps, steps_an_epoch(rows, effective))
        trainer.add_callback(Resumption(trainer, self.context, checkpoint, best))

    def evaluate(self, trainer: Any, model: Any, split: str, prefix: str) -> dict[str, float]:
        """Scores of ``model`` on a split, by name with ``prefix`` before it. Raises :class:`Stopped`."""
        trainer.model = trainer.model_wrapped = model
        found = trainer.evaluate(self.encoded[split], metric_key_prefix=prefix)
        self.context.check_stop()
        kept = {}
        for name, value in found.items():
            if name.startswith(prefix + "_") and not name.endswith(("_runtime", "_per_second", "_preparation_time")):
                kept[name] = float(value)
        return kept
