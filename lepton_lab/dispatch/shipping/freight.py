"""What a run needs on a host without our disk, and under which names.

Data, models and checkpoints of our disk travel with the run and are named in its recipe by where
they end up; ``hub:`` names and addresses (``s3://``, ``https://`` …) stay as they are and are
read there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...recipe import Recipe
from ...record import RunFolder, checkpoints_to_resume, run_folders, view_of
from .dock import files_in

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_TOLD = ("ended", "final", "outcome", "batch")
_CARRIED_ARTIFACTS = ("model", "splits", "compiled")


@dataclass
class Freight:
    """A folder below the other host's ``LEPTON_HOME``: each file's name, and the file or its content, in order."""

    folder: str
    files: dict[str, Path | bytes] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    sample: str = ""
    """The sample that it is: hosts that have it need nothing."""

    def add(self, name: str, path: Path) -> None:
        """Take a file or a folder along as ``name``."""
        if path.is_dir():
            for each in files_in(path):
                self.files[f"{name}/{each.relative_to(path).as_posix()}"] = each
        else:
            self.files[name] = path


def freight_of(folder: RunFolder, home: str) -> list[Freight]:
    """Everything that ``folder``'s next attempt needs in the ``home`` of another host; the run itself comes last.

    Raises :class:`~lepton_lab.errors.RequestError` for a sample that is not here either.
    """
    recipe = folder.recipe()
    samples = [_sample(word.removeprefix("sample:")) for word in sorted(_words(recipe)) if word.startswith("sample:")]
    return [*samples, *_relatives(folder), _run(folder, recipe, home)]


def _words(recipe: Recipe) -> set[str]:
    data = recipe.data
    words = (recipe.model, data.dataset, data.validation_dataset, data.test_dataset)
    return {word for word in words if word} if recipe.kind == "train" else set()


def _sample(name: str) -> Freight:
    from ... import samples

    path, folder = samples.made_folder(name)
    freight = Freight(folder, sample=name)
    for each in files_in(path):
        freight.files[each.relative_to(path).as_posix()] = each
    return freight


def _relatives(folder: RunFolder) -> Iterator[Freight]:
    """The runs above this one, and their compiled models: record, model and splits."""
    above: list[RunFolder] = []
    header = folder.header()
    while header.get("parent"):
        parent = RunFolder(folder.path.with_name(header["parent"]))
        above.append(parent)
        header = parent.header()
    if above and folder.header()["kind"] == "benchmark":
        for each in run_folders():
            about = each.header()
            if about["kind"] == "compile" and about.get("parent") == above[0].run and each.final() is not None:
                above.append(each)
    for each in above:
        freight = Freight(f"runs/{each.run}", folders=("control", "attempts"))
        artifacts = view_of(each).artifacts
        for name in _CARRIED_ARTIFACTS:
            if name in artifacts:
                freight.add(str(artifacts[name]["path"]), each.path / str(artifacts[name]["path"]))
        for attempt in each.attempts():
            for path in sorted(attempt.path.glob("events-*.jsonl")):
                freight.add(f"attempts/{attempt.number}/{path.name}", path)
        for name in ("recipe.yaml", "final.json", "run.json"):  # the header last: it makes the folder a run
            if (each.path / name).exists():
                freight.add(name, each.path / name)
        yield freight


def _run(folder: RunFolder, recipe: Recipe, home: str) -> Freight:
    freight = Freight(f"runs/{folder.run}", folders=("control", "attempts"))
    there = f"{home}/{freight.folder}/inputs"
    data: dict[str, Any] = {}
    changes: dict[str, Any] = {"output_dir": None}  # its model is put there when it has come back
    if recipe.kind == "train":
        for name in ("dataset", "validation_dataset", "test_dataset"):
            word = getattr(recipe.data, name)
            if word and word.startswith("file:"):
                path = Path(word.removeprefix("file:"))
                freight.add(f"inputs/{name}/{path.name}", path)
                data[name] = f"file:{there}/{name}/{path.name}"
        changes["data"] = recipe.data.model_copy(update=data)
        model = Path(str(recipe.model).removeprefix("file:")).expanduser()
        if not str(recipe.model).startswith(("sample:", "hub:")) and model.is_dir():
            _add_model(freight, model)
            changes["model"] = f"{there}/model"
        named = recipe.train.resume_from_checkpoint
        checkpoint = Path(named).expanduser() if named else None
        if checkpoint is not None and checkpoint.is_dir():
            freight.add(f"inputs/{checkpoint.name}", checkpoint)
            changes["train"] = recipe.train.model_copy(update={"resume_from_checkpoint": f"{there}/{checkpoint.name}"})
    for attempt in folder.attempts():  # how they ended decides on the next one
        for path in sorted(attempt.path.glob("*.json*")):
            if path.name.startswith("events-") or path.stem in _TOLD:
                freight.add(f"attempts/{attempt.number}/{path.name}", path)
    for path in checkpoints_to_resume(folder):
        freight.add(path.relative_to(folder.path).as_posix(), path)
    freight.files["recipe.yaml"] = recipe.model_copy(update=changes).to_yaml().encode()
    freight.files["run.json"] = json.dumps({**folder.header(), "is_copy": True}, ensure_ascii=False).encode()
    return freight


def _add_model(freight: Freight, model: Path) -> None:
    files = files_in(model)
    is_safe = any(path.suffix == ".safetensors" for path in files)
    for path in files:
        parts = path.relative_to(model).parts
        if not (is_safe and path.suffix in _PICKLES) and not parts[0].startswith("checkpoint-"):
            freight.files["inputs/model/" + "/".join(parts)] = path
