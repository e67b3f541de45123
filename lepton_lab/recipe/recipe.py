"""The plan of one run."""

from __future__ import annotations

from typing import Any, Literal

import yaml
from pydantic import ValidationInfo, field_validator, model_validator

from .benchmark import BenchmarkConfig
from .compile import CompileConfig
from .data import DataConfig
from .option import option
from .peft import PeftConfig
from .resources import ResourcesConfig
from .section import Section
from .sweep import SweepConfig
from .train import TrainConfig

Kind = Literal["train", "compile", "benchmark", "sweep"]

SECTIONS_BY_KIND: dict[str, tuple[str, ...]] = {
    "train": ("data", "train", "peft", "resources"),
    "compile": ("compile", "resources"),
    "benchmark": ("benchmark", "resources"),
    "sweep": ("sweep", "data", "train", "peft", "resources"),
}

TRAINING_KINDS = ("train", "sweep")
"""Kinds whose recipe says what to learn; the others build on a run that did."""


_LONGEST_NAME = 200
_NO_FOLDING = 2**31


class Recipe(Section):
    """The frozen, serialisable plan of one run; every front end makes the same one."""

    kind: Kind = "train"
    parent: str | None = option(None, "The run to compile or to measure.", advanced=True)
    task: str | None = option(None, "What to learn: a task's name, such as text-classification.")
    model: str | None = option(None, "sample:NAME, a model folder, or a name of the Hugging Face Hub.")
    name: str | None = option(None, "A name to find the run by.")
    tags: list[str] = option([], "Words to group runs by.")
    notes: str = option("", "Free text kept with the run.")
    seed: int = option(42, "Seed of splits, shuffling and initial weights.", ge=0)
    output_dir: str | None = option(
        None, "Also put the finished model into this folder.", kinds=("train", "sweep", "compile")
    )
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    peft: PeftConfig = PeftConfig()
    compile: CompileConfig = CompileConfig()
    benchmark: BenchmarkConfig = BenchmarkConfig()
    sweep: SweepConfig = SweepConfig()
    resources: ResourcesConfig = ResourcesConfig()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        name = (name or "").strip()
        if name == "last":
            raise ValueError("a run cannot be called last||That word means the newest run. Set another --name.")
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise ValueError(f"name must be one line of at most {_LONGEST_NAME} letters||Set a shorter --name.")
        return name or None

    @model_validator(mode="after")
    def _check_kind(self, info: ValidationInfo) -> Recipe:
        if (info.context or {}).get("partial"):
            return self
        if self.kind in TRAINING_KINDS and not (self.task or "").strip():
            raise ValueError("a task is needed|nothing|Set --task, for example --task text-classification.|task")
        if self.kind in TRAINING_KINDS and not (self.model or "").strip():
            raise ValueError("a model is needed|nothing|Set --model, for example --model sample:minilm.|model")
        if self.kind in TRAINING_KINDS and not (self.data.dataset or "").strip():
            raise ValueError(
                "a data set is needed|nothing|Set --dataset, for example --dataset reviews.csv.|data.dataset"
            )
        if self.kind == "sweep" and not self.sweep.search:
            raise ValueError(
                "a search is needed|nothing|Set --search, for example --search lr=1e-5..1e-3:log.|sweep.search"
            )
        if self.kind not in TRAINING_KINDS and not self.parent:
            raise ValueError("a run is needed|nothing|Name it, for example: lepton compile last.|parent")
        return self

    @property
    def hosts(self) -> int:
        """How many hosts a training of this recipe needs at once; 1 for what is none."""
        return self.resources.workers if self.kind in TRAINING_KINDS else 1

    def to_dict(self) -> dict[str, Any]:
        """The whole recipe as plain values."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """What differs from the defaults, with ``kind``, as YAML that runs as it is."""
        values = self.model_dump(mode="json", exclude_defaults=True)
        ordered = {"kind": self.kind, **{key: value for key, value in values.items() if key != "kind"}}
        return yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=_NO_FOLDING)
