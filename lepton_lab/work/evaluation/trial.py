"""A trial: one trained model, its rows, and the folders and runners of its candidates."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError, Problem
from ...recipe.compile import CompileConfig
from ..backends.backend import Request, Runner
from ..backends.eager import load_trained
from ..backends.padding import Padding, input_names
from ..models.loading import load_tokenizer
from ..tasks.task import Features, ModelSpec, Task
from .candidates import Candidate
from .parity import ParityGate
from .scoring import Scored, encode_rows, score_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCORE_BATCH = 32
_SCORE_BATCH_GENERATION = 4
_TIMED_TOKENS = 16
# A runner holds the weights, often once more in the runtime's own layout, and room to calculate.
_MEMORY_FACTOR = 4


@dataclass
class Trial:
    """What candidates are tried on. Rows are encoded once; the reference's scores are kept."""

    model_dir: Path
    spec: ModelSpec
    task: Task
    splits: Path
    scratch: Path
    recipe: CompileConfig
    seed: int
    threads: int
    _rows: dict[str, list[Features]] = field(default_factory=dict, repr=False)
    _reference: dict[str, Scored] = field(default_factory=dict, repr=False)
    _open: dict[str, Runner] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.tokenizer = load_tokenizer(self.model_dir)
        self.names = self._input_names()
        self.padding = Padding.of(self.tokenizer, self.task, self.names)
        if not self.rows("validation"):
            raise DataError(Problem("there are no validation rows to choose with", "0 rows", "Train with some."))

    @property
    def score_batch_size(self) -> int:
        """Rows of a batch in which candidates are scored, unless their answers depend on it."""
        return _SCORE_BATCH_GENERATION if self.task.generates else _SCORE_BATCH

    def batch_size(self, candidate: Candidate) -> int:
        """Rows of a batch in which ``candidate`` is scored."""
        if candidate.backend.depends_on_batch(candidate.precision):
            return self.recipe.latency_batch_size
        return self.score_batch_size

    def rows(self, split: str) -> list[Features]:
        """The encoded rows of ``validation`` or ``test``; empty where there are none."""
        if split not in self._rows:
            import pyarrow.parquet as pq

            path = self.splits / f"{split}.parquet"
            most = self.recipe.max_validation_rows if split == "validation" else self.recipe.max_test_rows
            table = pq.read_table(path) if path.exists() else None
            self._rows[split] = (
                encode_rows(table, self.task, self.tokenizer, self.spec, most, self.seed)
                if table is not None and table.num_rows
                else []
            )
        return self._rows[split]

    def count(self, split: str) -> int:
        """How many rows of ``split`` are used."""
        return len(self.rows(split))

    def folder(self, candidate: Candidate) -> Path:
        """Where the candidate is compiled to."""
        return self.scratch / candidate.key

    def build(self, candidate: Candidate) -> None:
        """Compile a candidate. Raises what its compiler raises."""
        folder = self.folder(candidate)
        folder.mkdir()
        started = time.perf_counter()
        shared = self.scratch / "shared"
        shared.mkdir(exist_ok=True)
        request = Request(self.model_dir, self.spec, candidate.precision, self.threads, self._example(), shared)
        manifest = candidate.backend.compile(request, folder)
        candidate.compile_seconds = round(time.perf_counter() - started, 3)
        candidate.size_bytes = sum(entry["bytes"] for entry in manifest["files"].values())

    def load(self, candidate: Candidate) -> Runner:
        """A runner of a compiled candidate; the one that is open already, if there is one."""
        if candidate.key not in self._open:
            started = time.perf_counter()
            self._open[candidate.key] = candidate.backend.load(self.folder(candidate), self.threads)
            candidate.load_seconds = round(time.perf_counter() - started, 3)
        return self._open[candidate.key]

    def close(self, candidate: Candidate) -> None:
        """Free the candidate's runner, if it is open."""
        runner = self._open.pop(candidate.key, None)
        if runner is not None:
            runner.close()

    def is_open(self, candidate: Candidate) -> bool:
        """Whether the candidate is in memory."""
        return candidate.key in self._open

    def score(self, candidate: Candidate, split: str, on_batch: Callable[[int], None] | None = None) -> Scored:
        """The candidate's scores on a split. Its runner stays open while memory allows: loading can be slow."""
        try:
            return self._score(self.load(candidate), split, self.batch_size(candidate), on_batch)
        finally:
            if self.most_in_memory([candidate]) < 2:
                self.close(candidate)

    def score_reference(self, split: str, on_batch: Callable[[int], None] | None = None) -> Scored:
        """The trained model's scores on a split: loaded from its own folder, in fp32, through no compilation."""
        if split not in self._reference:
            runner = load_trained(self.model_dir, self.tokenizer, self.threads)
            try:
                self._reference[split] = self._score(runner, split, self.score_batch_size, on_batch)
            finally:
                runner.close()
        return self._reference[split]

    def judge_on_test(
        self, candidate: Candidate, gate: ParityGate, on_batch: Callable[[int], None] | None = None
    ) -> dict[str, Any] | None:
        """The verdict on rows that chose nothing; None where there are none."""
        if not self.rows("test"):
            return None
        reference = self.score_reference("test", on_batch)
        scored = reference if candidate.is_reference else self.score(candidate, "test", on_batch)
        return gate.judge(reference, scored, self.task, self.spec, candidate.precision).to_dict()

    def latency_batch(self) -> dict[str, NDArray[np.int64]]:
        """A request as it is timed: ``latency_batch_size`` rows of the median validation length, no padding."""
        rows = self.rows("validation")
        lengths = sorted(len(row["input_ids"]) for row in rows)
        median = lengths[len(lengths) // 2]
        near = sorted(rows, key=lambda row: (len(row["input_ids"]) < median, len(row["input_ids"])))
        wanted = [near[number % len(near)] for number in range(self.recipe.latency_batch_size)]
        return self.padding.batch([_cut(row, median) for row in wanted])

    def answer(self, runner: Runner, batch: dict[str, NDArray[np.int64]]) -> object:
        """One request: the logits, or some new tokens of a task that generates."""
        if self.task.generates:
            options = {"min_new_tokens": _TIMED_TOKENS, "pad_token_id": self.tokenizer.pad_token_id}
            return runner.generate(batch, _TIMED_TOKENS, **options)  # type: ignore[attr-defined]
        return runner(**batch)

    def most_in_memory(self, candidates: list[Candidate]) -> int:
        """How many more of the largest of these fit into memory, at least one."""
        import psutil

        largest = max([each.size_bytes for each in candidates] or [1])
        return max(1, int(psutil.virtual_memory().available / (_MEMORY_FACTOR * max(largest, 1))))

    def _score(self, runner: Runner, split: str, batch_size: int, on_batch: Callable[[int], None] | None) -> Scored:
        return score_rows(runner, self.rows(split), self.task, self.spec, self.padding, batch_size, on_batch)

    def _input_names(self) -> tuple[str, ...]:
        import inspect

        import transformers

        config = transformers.AutoConfig.from_pretrained(self.model_dir)
        auto_class = getattr(transformers, self.task.auto_class)
        model_class = auto_class._model_mapping[type(config)]
        model_class = model_class[0] if isinstance(model_class, tuple) else model_class
        return input_names(self.tokenizer, list(inspect.signature(model_class.forward).parameters))

    def _example(self) -> dict[str, NDArray[np.int64]]:
        """Two rows of different lengths, so that no compiler takes a size for a constant."""
        rows = sorted(self.rows("validation"), key=lambda row: len(row["input_ids"]))
        return self.padding.batch([rows[len(rows) // 2], rows[-1], rows[0]])


def _cut(row: Features, length: int) -> Features:
    """A row's inputs cut to ``length`` tokens."""
    return {name: values[:length] if isinstance(values, list) else values for name, values in row.items()}
