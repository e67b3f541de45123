"""What a task is: the one protocol that training, compilation, measuring and prediction share.

Importing this module, or that of any task, imports neither torch nor transformers; methods do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data.need import Needs
from ...errors import ModelError, Problem
from ...record.files import write_json

if TYPE_CHECKING:
    import datasets
    import numpy as np
    import pyarrow as pa

    from ...recipe import Recipe
    from ..data.collator import PaddedBatch

SPEC_FILE = "lepton.json"

LESS_IS_BETTER = frozenset({"loss", "rmse", "mae", "perplexity"})
"""Metrics that get smaller as a model gets better; any other gets larger."""

Features = dict[str, Any]
"""One encoded row: ``input_ids`` and ``attention_mask`` (lists of int), maybe ``token_type_ids`` and ``labels``."""


@dataclass
class ModelSpec:
    """What must be known to use a trained model as it was trained. Lies as ``lepton.json`` in its folder.

    ``labels`` are the class names in the order of the logits; ``max_length`` is in tokens; ``mapping``
    says which column of the user's data each canonical one came from; ``options`` holds what a task
    adds (``completion_only_loss``, ``packing``).
    """

    task: str
    problem_type: str | None = None
    labels: list[str] | None = None
    max_length: int = 512
    mapping: dict[str, str] = field(default_factory=dict)
    base_model: str = ""
    run: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write ``lepton.json`` into a model folder."""
        write_json(folder / SPEC_FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> ModelSpec:
        """Read ``lepton.json`` of a model folder. Raises :class:`ModelError` when it is not one of ours."""
        path = folder / SPEC_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(**values)
        except FileNotFoundError:
            raise ModelError(
                Problem("the folder holds no model that lepton trained", str(folder), "Name a run or its model folder.")
            ) from None
        except (ValueError, TypeError) as error:
            raise ModelError(Problem(f"{path} cannot be read", str(error), "Train the model again.")) from None


class Task:
    """A problem type: which columns it needs, how rows become tensors, how answers are scored and read.

    Rows are scored as lists, one entry a row, so that rows of any length fit: ``logits`` holds a row's
    array (``[labels]`` for a text, ``[tokens, labels]`` for words), ``labels`` its answer in the form
    of :meth:`encode`. Metrics are shares (0 to 1), not per cent.
    """

    name: str = ""
    title: str = ""
    needs: Needs = ()
    auto_class: str = ""
    main_metric: str = ""
    greater_is_better: bool = True
    default_batch_size: int = 32
    generates: bool = False
    # Part of the key of cached encodings: raise it when `encode` gives something else.
    encoding_version: int = 1

    def metric_of(self, spec: ModelSpec) -> tuple[str, bool]:
        """(main metric, greater is better) for this model; may depend on its ``problem_type``."""
        return self.main_metric, self.greater_is_better

    def metric_names(self, problem_type: str | None = None) -> tuple[str, ...]:
        """What :meth:`metrics` gives that a best checkpoint can be picked by, or nothing where that is not known.

        None stands for every problem type. Torch free: asked at submit.
        """
        return ()

    def check_model(self, config: Mapping[str, Any]) -> list[Problem]:
        """Whether a model with this ``config.json`` can do the task; empty if so. Torch free."""
        raise NotImplementedError

    def encode(self, table: pa.Table, tokenizer: Any, spec: ModelSpec) -> datasets.Dataset:
        """Canonical rows as ``input_ids``, ``attention_mask``, ``labels`` and ``length`` (tokens)."""
        raise NotImplementedError

    def collator(self, tokenizer: Any, spec: ModelSpec) -> PaddedBatch:
        """What makes a padded batch of tensors of encoded rows, with or without ``labels``."""
        raise NotImplementedError

    def model_kwargs(self, spec: ModelSpec) -> dict[str, Any]:
        """Arguments of ``from_pretrained``: ``num_labels``, ``id2label``, ``problem_type`` …"""
        return {}

    def options(self, recipe: Recipe, tokenizer: Any) -> dict[str, Any]:
        """What of the recipe a trained model must remember (``ModelSpec.options``)."""
        return {}

    def prepare_model(self, model: Any, tokenizer: Any, spec: ModelSpec) -> None:
        """Last changes to a loaded model before it learns; may refuse it with a ModelError."""

    def train_rows(self, rows: datasets.Dataset, model: Any, collator: Any, spec: ModelSpec) -> Any:
        """The rows that training draws from: those encoded, or several packed into one."""
        return rows

    def reduce(self, logits: Any, labels: Any) -> Any:
        """What evaluation keeps of a batch's logits (tensors); the kept form suits :meth:`metrics` too."""
        return logits

    def metrics(self, logits: Sequence[Any], labels: Sequence[Any], spec: ModelSpec) -> dict[str, float]:
        """Scores of these rows by name, the main metric among them."""
        raise NotImplementedError

    def row_scores(
        self, logits: Sequence[Any], labels: Sequence[Any], spec: ModelSpec
    ) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """One number a row whose mean is the main metric; None where the metric has no such rows."""
        return None

    def baseline(self, table: pa.Table, spec: ModelSpec) -> dict[str, float]:
        """What guessing without a look at the text would score on these rows (``majority`` …)."""
        return {}

    def encode_inputs(self, inputs: Sequence[Any], tokenizer: Any, spec: ModelSpec) -> tuple[list[Features], list[Any]]:
        """(encoded rows without labels, what :meth:`decode` needs of each), exactly as in training.

        An input is a text, a pair of texts, a list of words or a dict with canonical column names.
        Raises :class:`~lepton_lab.errors.DataError` for anything else.
        """
        raise NotImplementedError

    def decode(self, logits: Sequence[Any], rows: Sequence[Any], spec: ModelSpec) -> list[dict[str, Any]]:
        """The answers for people, one a row."""
        raise NotImplementedError

    def example(self, row: Features, tokenizer: Any, spec: ModelSpec) -> dict[str, Any]:
        """One encoded row made readable again, for the preflight: the text the model sees, and what it learns."""
        raise NotImplementedError
