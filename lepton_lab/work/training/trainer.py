"""The Trainer that a run trains with: exact to continue, whatever fits into memory."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback

from ...errors import RequestError, raise_problems
from ...record import BatchPlan, mark_complete, read_json, write_json
from ..context import WorkContext
from ..data.collator import IGNORED, PaddedBatch
from ..full_disk import explain_full_disk
from ..memory import is_out_of_memory
from .checkpoints import adopt, put_in_place, written_aside
from .order import UpdateBatches, UpdateLoader
from .versions import check_parent

LOSSES_FILE = "losses.json"
"""What was learnt since the last point of the curve, and before; beside the Trainer's own files."""

# Not read by anybody, and pickled.
_NEEDLESS = ("training_args.bin",)


class StopEvaluation(Exception):
    """Raised inside an evaluation when the job should leave."""


class UpdateTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose updates do not depend on how many rows fit into memory.

    * Rows of an update come from :class:`UpdateBatches`; each batch's mean loss counts by its share of
      the rows (or learnt tokens) of the update. (The Trainer's own way depends on what each model does
      with ``num_items_in_batch``.)
    * A checkpoint is written aside and moved in place when it is whole; it holds also the running means.
    * An evaluation can be left in the middle, draws no random number of the training's, and takes
      smaller batches when memory runs out.
    """

    def __init__(self, context: WorkContext, plan: BatchPlan, generates: bool, **arguments: Any) -> None:
        raise_problems(RequestError, check_parent(Trainer))
        super().__init__(**arguments)
        self._context, self._plan, self._generates = context, plan, generates
        self._aside: Path | None = None
        self._batches: UpdateBatches | None = None
        self._initial_global_step = 0  # what a Trainer means that does not know it
        # The loss that compute_loss gives is scaled already: the Trainer must not divide it again.
        self.model_accepts_loss_kwargs = True

    @property
    def plan(self) -> BatchPlan:
        """How many rows at once."""
        return self._plan

    def get_train_dataloader(self) -> Any:
        """The batches of this device. Lengths are handed over as a list: row by row they would take seconds."""
        rows, grouped = self.train_dataset, self.args.train_sampling_strategy == "group_by_length"
        lengths = rows.data.column("length").to_pylist() if grouped else None
        self._batches = UpdateBatches(len(rows), lengths, self._plan, self.args.seed, self._context.rank)
        return UpdateLoader(rows, self._batches, self._collate, self.args.dataloader_pin_memory)

    def _collate(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """A batch and what it counts. Without a row: one without labels, which teaches nothing."""
        if not rows:
            row = self.train_dataset[0]
            rows = [{name: value for name, value in row.items() if name != "labels"}]
        batch: dict[str, Any] = self.data_collator(rows)
        return {**batch, "counts": self._count(batch)}

    def _count(self, batch: dict[str, Any]) -> int:
        """Rows, or learnt tokens, of a batch."""
        labels = batch.get("labels")
        if labels is None:
            return 0
        collator: PaddedBatch = self.data_collator
        if collator.label_kind != "tokens":
            return len(labels)
        return int((labels[:, 1:] if self._generates else labels).ne(IGNORED).sum())

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """The batches of an update on this device, and what they count on all of them."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        count = torch.tensor(sum(batch["counts"] for batch in batches), device=device)
        return batches, self.accelerator.gather(count).sum() if self._plan.ranks > 1 else count

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> None:
        """Counted above; evaluations take each batch's mean."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean loss of a batch of an evaluation; in training, its part of the update's mean."""
        if num_items_in_batch is None:
            return super().compute_loss(model, inputs, return_outputs)
        counts = inputs.pop("counts")
        if not counts:
            inputs.pop("labels", None)
            return model(**inputs).logits.float().sum() * 0.0
        # Devices' gradients are averaged, so each counts as many times as there are devices.
        return super().compute_loss(model, inputs) * (counts * self._plan.ranks / num_items_in_batch)

    def _run_epoch(self, *, epoch: int, **named: Any) -> None:
        """One epoch, unless a checkpoint was the last of a training already."""
        if self.control.should_training_stop or self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        if self._batches is not None:
            # Not every Trainer finds them when it skips those of a checkpoint.
            self._batches.set_epoch(epoch)
        super()._run_epoch(epoch=epoch, **named)

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        """Longest rows first: the least padding, and a lack of memory shows at once."""
        lengths = eval_dataset.data.column("length").to_pylist()
        return sorted(range(len(lengths)), key=lambda row: -lengths[row])

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """Scores; with smaller batches if memory asks for it. Left in the middle, they look like the worst."""
        self._enter("evaluate")
        while True:
            try:
                with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
                    found: dict[str, float] = super().evaluate(*arguments, **named)
                break
            except StopEvaluation:
                self.control.should_training_stop = True
                self.control.should_save = True
                worst = float("-inf") if self.args.greater_is_better else float("inf")
                found = {str(self.args.metric_for_best_model): worst}
                break
            except Exception as error:
                less = self._plan.shrunk()
                # In a gang the others wait for this rank: the next attempt begins smaller.
                if not is_out_of_memory(error) or less is None or self._plan.ranks > 1:
                    raise
            self._shrink_evaluation(less)
        self._enter("train")
        return found

    def _shrink_evaluation(self, less: BatchPlan) -> None:
        self._plan = less
        self._plan.write(self._context.attempt)
        self.args.per_device_eval_batch_size = less.evaluate
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        message = f"memory ran out in an evaluation: batches of {less.evaluate} there from now on"
        self._context.events.log(message, "warning")

    def _enter(self, phase: Any) -> None:
        """Leave word of what is done now: if memory runs out, this phase's batch was too large."""
        self._plan = replace(self._plan, phase=phase)
        if self._context.is_first_on_host:
            self._plan.write(self._context.attempt)

    def _evaluate(self, trial: Any, ignore_keys_for_eval: Any, skip_scheduler: bool = False) -> dict[str, float]:
        """One evaluation; the first one may be what a checkpoint owes, and then may be the best."""
        metrics: dict[str, float] = super()._evaluate(trial, ignore_keys_for_eval, skip_scheduler)
        if skip_scheduler:
            self._determine_best_metric(metrics, trial)
        return metrics

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._aside) if self._aside else str(super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """A checkpoint that is there when it is whole. Raises :class:`~lepton_lab.errors.DiskFull`."""
        losses = self._losses()
        known_best = self.state.best_model_checkpoint
        if self._context.rank == 0:
            self._write_checkpoint(model, trial, losses, known_best)
        else:
            super()._save_checkpoint(model, trial)
            self.state.best_model_checkpoint = self._best_place(known_best)
        if self._context.ranks:
            self._context.ranks.wait()  # nobody reads it before it is in its place

    def _write_checkpoint(self, model: Any, trial: Any, losses: dict[str, float], known_best: str | None) -> None:
        folder = Path(self.args.output_dir)
        with written_aside(folder) as aside, explain_full_disk(aside):
            self._aside = aside
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._aside = None
            written = aside / f"checkpoint-{self.state.global_step}"
            for name in _NEEDLESS:
                (written / name).unlink(missing_ok=True)
            self.state.best_model_checkpoint = self._best_place(known_best)
            self.state.save_to_json(str(written / "trainer_state.json"))
            write_json(written / LOSSES_FILE, losses)
            mark_complete(written, batch=self._plan.to_dict(), keep=self._context.recipe.train.save_total_limit)
            put_in_place(written, folder)

    def _best_place(self, known: str | None) -> str | None:
        """Where the best checkpoint lies, or this one will; the Trainer looked only where this one is written."""
        step = self.state.best_global_step
        place = Path(self.args.output_dir) / f"checkpoint-{step}"
        return str(place) if step and (step == self.state.global_step or place.exists()) else known

    def _load_best_model(self) -> None:
        """Only the first host has the checkpoints."""
        if self._context.rank == 0:
            super()._load_best_model()
        if self._context.ranks:
            self._context.ranks.spread(self.model.state_dict().values())

    def _save_rng_state(self, output_dir: str) -> None:
        """Rank 0 writes every rank's random state: the others may be on hosts with other disks."""
        if self._context.ranks is None:
            super()._save_rng_state(output_dir)
            return
        with tempfile.TemporaryDirectory() as own:
            super()._save_rng_state(own)
            (file,) = Path(own).iterdir()
            for rank, state in enumerate(self._context.ranks.gather(file.read_bytes())):
                (Path(output_dir) / f"rng_state_{rank}.pth").write_bytes(state)

    def _losses(self) -> dict[str, float]:
        """The sums behind the curve and the mean training loss."""
        pending = self._tr_loss if self._plan.ranks == 1 else self.accelerator.gather(self._tr_loss).mean()
        return {
            "total": self._total_loss_scalar,
            "pending": float(pending),
            "logged_step": self._globalstep_last_logged,
            "first_step": self._initial_global_step,
        }

    def go_on_with(self, losses: dict[str, float]) -> None:
        """Take up the sums of a checkpoint."""
        self._total_loss_scalar = losses["total"]
        self._tr_loss += losses["pending"]
        self._globalstep_last_logged = int(losses["logged_step"])
        self._initial_global_step = int(losses["first_step"])


class Resumption(TrainerCallback):  # type: ignore[misc]
    """Gives a Trainer back what its own resuming leaves out: running means, and the best checkpoint's place."""

    def __init__(self, trainer: UpdateTrainer, context: WorkContext, checkpoint: Path, best: Path | None) -> None:
        self._trainer, self._context, self._checkpoint, self._best = trainer, context, checkpoint, best

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The Trainer has read its state; nothing is learnt yet."""
        losses = read_json(self._checkpoint / LOSSES_FILE)
        if losses is not None:
            self._trainer.go_on_with(losses)
        if args.load_best_model_at_end and self._best is not None:
            state.best_model_checkpoint = self._take(self._best, Path(args.output_dir))
        elif args.load_best_model_at_end:
            state.best_model_checkpoint = state.best_metric = state.best_global_step = None
        if args.eval_on_start:
            self._take(self._checkpoint, Path(args.output_dir))  # what it owes may make it the best

    def _take(self, path: Path, folder: Path) -> str:
        """Every attempt has what it may have to load in its own folder."""
        if self._context.rank == 0:
            adopt(path, folder)
        if self._context.ranks:
            self._context.ranks.wait()
        return str(folder / path.name)


class Patience(TrainerCallback):  # type: ignore[misc]
    """Stops after so many evaluations without a better one; counted in the history that checkpoints hold."""

    def __init__(self, evaluations: int) -> None:
        self._evaluations = evaluations

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A checkpoint may be where the training stopped."""
        self._look(args, state, control)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One evaluation more."""
        self._look(args, state, control)

    def _look(self, args: Any, state: Any, control: Any) -> None:
        name, since = str(args.metric_for_best_model), 0
        best: float | None = None
        for entry in state.log_history:
            if name in entry:
                better = best is None or (entry[name] > best if args.greater_is_better else entry[name] < best)
                best, since = (entry[name], 0) if better else (best, since + 1)
        if since >= self._evaluations:
            control.should_training_stop = True


def owes_evaluation(args: Any, state: Any, max_steps: int, epoch_steps: int) -> bool:
    """Whether a checkpoint was written where an evaluation was due, and before it was done."""
    step, strategy = state.global_step, str(args.eval_strategy.value)
    if strategy == "no" or step == 0 or any("eval_loss" in each and each["step"] == step for each in state.log_history):
        return False
    every = int(args.eval_steps) if strategy == "steps" else epoch_steps
    return bool(step % every == 0 or step >= max_steps)
