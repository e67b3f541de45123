"""A trained or compiled model, ready to answer, with the preprocessing of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, Problem
from ..record import RunFolder, view_of
from ..registry import load_backend, load_task
from .backends.backend import is_compiled, read_manifest
from .backends.hardware import usable_cores
from .backends.padding import Padding, batches_by_length
from .tasks.task import ModelSpec

if TYPE_CHECKING:
    from .backends.backend import Runner
    from .tasks.task import Features, Task

_BATCH_SIZE = 32
_NEW_TOKENS = 128


@dataclass(frozen=True)
class Loaded:
    """A runner and what it came from. ``batch_size`` is the most rows that it should be given at once."""

    runner: Runner
    backend: str
    precision: str
    threads: int
    batch_size: int = _BATCH_SIZE


def load_runner(folder: Path, threads: int | None = None) -> Loaded:
    """What answers for a trained or compiled folder. Only a runtime that needs torch imports it.

    Raises :class:`ModelError`, or :class:`~lepton_lab.errors.MissingExtra` without its runtime.
    """
    cores = usable_cores()
    if not is_compiled(folder):
        from .backends.eager import load_trained

        threads = threads or cores
        return Loaded(load_trained(folder, load_tokenizer(folder), threads), "eager", "fp32", threads)
    manifest = read_manifest(folder)
    threads = threads or min(int(manifest["threads"]), cores)
    runner = load_backend(manifest["backend"]).load(folder, threads)
    return Loaded(
        runner, manifest["backend"], manifest["precision"], threads, manifest.get("batch_size") or _BATCH_SIZE
    )


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder: the class that its configuration names, which needs no torch.

    ``AutoTokenizer`` would choose the same class, but imports torch; it is asked only about unknown names.
    """
    import json

    import transformers

    from .models import fast_tokenizer

    path = folder / "tokenizer_config.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found = getattr(transformers, str(known.get("tokenizer_class", "")), None)
    if found is None or known.get("auto_map") or not (folder / "tokenizer.json").exists():
        return fast_tokenizer.load_tokenizer(folder)
    tokenizer = found.from_pretrained(folder)
    if not tokenizer.is_fast:
        return fast_tokenizer.load_tokenizer(folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


class Predictor:
    """Answers inputs. ``backend`` and ``precision`` say through what; ``spec`` is what the model learnt."""

    def __init__(self, folder: Path, loaded: Loaded, tokenizer: Any, spec: ModelSpec) -> None:
        self.folder = folder
        self.runner = loaded.runner
        self.backend = loaded.backend
        self.precision = loaded.precision
        self.threads = loaded.threads
        self.batch_size = loaded.batch_size
        self.tokenizer = tokenizer
        self.spec = spec
        self.task: Task = load_task(spec.task)
        self._padding = Padding.of(tokenizer, self.task, self.runner.input_names)

    def __repr__(self) -> str:
        return f"Predictor({self.spec.task!r}, {self.backend} {self.precision}, run {self.spec.run or '?'})"

    @classmethod
    def from_dir(cls, path: Path | str, threads: int | None = None) -> Predictor:
        """The model of a trained or compiled folder, with ``threads`` threads (default: as compiled, or every core).

        Raises :class:`ModelError`, or :class:`~lepton_lab.errors.MissingExtra` without its runtime.
        """
        folder = Path(path)
        spec = ModelSpec.load(folder)
        return cls(folder, load_runner(folder, threads), load_tokenizer(folder), spec)

    def describe(self) -> dict[str, Any]:
        """What answers: task, labels, backend, precision, threads, folder, run, base model."""
        return {
            "task": self.spec.task,
            "labels": self.spec.labels,
            "backend": self.backend,
            "precision": self.precision,
            "threads": self.threads,
            "folder": str(self.folder),
            "run": self.spec.run,
            "base_model": self.spec.base_model,
            "max_length": self.spec.max_length,
        }

    def predict(self, inputs: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
        """One answer an input, in order.

        Text classification gives ``label`` and ``score``, token classification ``entities``, generation
        ``text``. ``options`` are those of generation: ``max_new_tokens`` (default 128), ``do_sample``,
        ``temperature`` … Raises :class:`~lepton_lab.errors.DataError` for an input that the task cannot read.
        """
        if isinstance(inputs, (str, bytes)):
            do = "Put it into a list: predict([text])."
            raise ModelError(Problem("predict takes a list of inputs", type(inputs).__name__, do))
        if not inputs:
            return []
        features, rows = self.task.encode_inputs(inputs, self.tokenizer, self.spec)
        if self.task.generates:
            answers: list[Any] = self._generate(features, options)
        elif options:
            do = "Leave them out."
            raise ModelError(Problem(f"{self.spec.task} takes no options", ", ".join(options), do))
        else:
            answers = self._logits(features)
        return self.task.decode(answers, rows, self.spec)

    def _logits(self, features: Sequence[Features]) -> list[Any]:
        from .evaluation.scoring import answer_batch

        answers: list[Any] = [None] * len(features)
        for numbers in batches_by_length([len(row["input_ids"]) for row in features], self.batch_size):
            batch = [features[number] for number in numbers]
            for number, logits in zip(numbers, answer_batch(self.runner, batch, self._padding), strict=True):
                answers[number] = logits
        return answers

    def _generate(self, features: Sequence[Features], options: dict[str, Any]) -> list[str]:
        most = int(options.pop("max_new_tokens", _NEW_TOKENS))
        generate = getattr(self.runner, "generate", None)
        if generate is None:
            do = "Compile it with --backend eager."
            raise ModelError(Problem(f"the backend {self.backend} cannot generate text", "", do))
        texts = [""] * len(features)
        for numbers in batches_by_length([len(row["input_ids"]) for row in features], min(8, self.batch_size)):
            # What is written goes on at the right, so the padding goes to the left.
            batch = self._padding.batch([features[number] for number in numbers], side="left")
            written = generate(batch, most, pad_token_id=self.tokenizer.pad_token_id, **options)
            for number, tokens in zip(numbers, written, strict=True):
                texts[number] = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        return texts

    def close(self) -> None:
        """Free the model's memory."""
        self.runner.close()


def load_predictor(folder: RunFolder, threads: int | None = None) -> Predictor:
    """The model that a run left: compiled if it compiled one, else trained. Raises :class:`ModelError`."""
    while True:
        view = view_of(folder)
        found = view.artifacts.get("compiled") or view.artifacts.get("model")
        if found:
            return Predictor.from_dir(folder.path / found["path"], threads)
        if view.kind == "train" or not view.parent:
            do = "Name a run that succeeded; see: lepton runs"
            raise ModelError(Problem(f"run {folder.run} left no model", f"status {view.status}", do))
        folder = RunFolder(folder.path.with_name(view.parent))
