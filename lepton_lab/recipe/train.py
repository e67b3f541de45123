"""How to learn. Names are those of ``transformers.TrainingArguments``."""

from __future__ import annotations

from typing import Literal

from .option import option
from .section import Section


class TrainConfig(Section):
    """The training loop."""

    num_train_epochs: float = option(3.0, "Passes over the training rows.", aliases=("epochs",), gt=0)
    max_steps: int = option(-1, "Stop after this many steps; -1: go by the epochs.", ge=-1)
    per_device_train_batch_size: int | None = option(
        None,
        "Rows a step and device. Default: 32 for text, 16 for tokens, 4 for generation.",
        aliases=("batch_size",),
        ge=1,
    )
    per_device_eval_batch_size: int | None = option(
        None,
        "Rows a step in evaluation. Default: twice the training batch; as many for generation.",
        aliases=("eval_batch_size",),
        ge=1,
    )
    gradient_accumulation_steps: int = option(1, "Batches summed before each update.", ge=1)
    learning_rate: float | None = option(
        None, "Step size. Default: by task and method, with its reason in the log.", aliases=("lr",), gt=0
    )
    lr_scheduler_type: Literal["warmup_stable_decay", "linear", "cosine", "constant", "constant_with_warmup"] = option(
        "warmup_stable_decay",
        "How the learning rate changes. The default holds it and lets it fall in the last tenth of the steps: "
        "it learns as fast as a constant one and ends as calmly as a falling one.",
    )
    warmup_ratio: float = option(0.0, "Part of the steps that warm the learning rate up.", ge=0, lt=1)
    warmup_steps: int = option(0, "Steps that warm the learning rate up; wins over the ratio.", ge=0)
    weight_decay: float = option(0.0, "Weight decay of AdamW.", ge=0)
    max_grad_norm: float = option(1.0, "Gradients are clipped to this norm.", ge=0)
    optim: Literal["adamw_torch", "adamw_torch_fused", "adafactor", "sgd"] = option(
        "adamw_torch_fused",
        "Optimiser. The fused AdamW computes the same in one pass: a fifth of the time on a processor.",
        advanced=True,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto", "Number format of the arithmetic; auto takes the best that this hardware has."
    )
    gradient_checkpointing: bool = option(False, "Trade time for memory.", advanced=True)
    group_by_length: bool = option(
        True, "Batch rows of similar length: less padding, the same rows an epoch.", advanced=True
    )
    packing: bool = option(False, "Put several short rows into one sequence (text generation).")
    completion_only_loss: bool = option(True, "Learn the answers, not the questions (text generation).")
    eval_strategy: Literal["no", "steps", "epoch"] = option("epoch", "When to evaluate.")
    eval_steps: int | None = option(None, "Steps between evaluations, with --eval-strategy steps.", ge=1)
    logging_steps: int | None = option(
        None, "Steps between points of the curve. Default: about 200 points a run.", ge=1
    )
    save_strategy: Literal["no", "steps", "epoch"] = option("epoch", "When to write a checkpoint.")
    save_steps: int | None = option(None, "Steps between checkpoints, with --save-strategy steps.", ge=1)
    save_total_limit: int = option(2, "Checkpoints kept; the best one stays.", ge=1)
    early_stopping_patience: int | None = option(
        None, "Stop after this many evaluations without a better validation result.", ge=1
    )
    metric_for_best_model: str | None = option(
        None, "Validation metric that picks the best checkpoint. Default: the task's.", advanced=True
    )
    load_best_model_at_end: bool = option(True, "Keep the best checkpoint, not the last.", advanced=True)
    resume_from_checkpoint: str | None = option(None, "A checkpoint folder to start from.", advanced=True)
    report_to: list[Literal["tensorboard", "wandb", "mlflow"]] = option([], "Trackers that also get the metrics.")
    trust_remote_code: bool = option(False, "Run code that comes with the model. Only for authors you trust.")
    allow_pickle: bool = option(False, "Read pickled weights. Only from authors you trust: they can run code.")
