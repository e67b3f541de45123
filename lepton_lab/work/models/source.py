"""Where a model comes from, and whether its files can be used. Torch free: asked at submit."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ModelError, Problem
from .abilities import can_load, is_known_type
from .layers import torn_file

if TYPE_CHECKING:
    from ..tasks.task import Task

_WHERE = "model"
_HUB_NAME = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_FOREIGN = {"tf_model.h5": "TensorFlow", "flax_model.msgpack": "Flax", "*.onnx": "ONNX", "*.gguf": "GGUF"}
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "*.bpe.model")


def local_model_dir(model: str) -> Path | None:
    """The folder of ``sample:NAME`` or a path; None for a name of the Hub.

    Raises :class:`~lepton_lab.errors.RequestError` when there is no such sample or folder.
    """
    kind, _, name = model.partition(":")
    if kind == "sample" and name:
        from ... import samples

        found: Path = samples.resolve(name)
        return found
    if kind == "hub" and name:
        return None
    path = Path(model.removeprefix("file:")).expanduser()
    if path.is_dir():
        return path.absolute()
    if path.is_file():
        raise ModelError(
            Problem("a model is a folder", f"the file {path}", "Name the folder that holds config.json.", _WHERE)
        )
    if _HUB_NAME.fullmatch(model):
        return None
    do = "Give a folder with config.json, sample:NAME, or a Hub name such as distilbert/distilbert-base-uncased."
    raise ModelError(Problem("there is no such model", repr(model), do, _WHERE))


def hub_name(model: str) -> str:
    """The repository that a model's word names on the Hub."""
    return model.removeprefix("hub:")


def check_model_source(
    model: str, task: Task | None, allow_pickle: bool = False, trust_remote_code: bool = False
) -> list[Problem]:
    """Every reason why ``model`` cannot be trained for ``task`` (None: any), as far as its files on this machine tell.

    A Hub model that is not here yet is checked by the worker once its configuration is here.
    """
    try:
        folder = local_model_dir(model)
    except ModelError as error:
        return list(error.problems)
    if folder is None:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON") and not _is_cached(model):
            do = "Unset HF_HUB_OFFLINE, or give a folder or sample:NAME."
            return [Problem("the model is not on this machine, and the Hub is switched off", repr(model), do, _WHERE)]
        return []
    return check_model_dir(folder, task, allow_pickle, trust_remote_code)


def check_model_dir(folder: Path, task: Task | None, allow_pickle: bool, trust_remote_code: bool) -> list[Problem]:
    """Every reason why the model in ``folder`` cannot be trained for ``task``."""
    problems = []
    try:
        config = read_config(folder)
    except ModelError as error:
        return list(error.problems)
    problems += check_config(config, task, trust_remote_code)
    problems += _check_weights(folder, allow_pickle)
    if not any(any(folder.glob(pattern)) for pattern in _TOKENIZERS):
        problems.append(
            Problem(
                "the model folder has no tokenizer",
                f"no tokenizer.json or vocabulary in {folder}",
                "Save the tokenizer beside the model: tokenizer.save_pretrained(folder).",
                _WHERE,
            )
        )
    return problems


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a model folder. Raises :class:`ModelError`."""
    path = folder / "config.json"
    if not path.exists():
        if (folder / "adapter_config.json").exists():
            do = "Merge it into its base model first (peft: merge_and_unload), or name the merged folder."
            raise ModelError(Problem("the folder holds only an adapter, not a model", str(folder), do, _WHERE))
        names = sorted(each.name for each in folder.iterdir())
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "") if names else "an empty folder"
        do = "Name the folder that save_pretrained wrote."
        raise ModelError(Problem(f"the model folder {folder} has no config.json", shown, do, _WHERE))
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(Problem(f"{path} cannot be read", str(error), "Save the model again.", _WHERE)) from None
    if not isinstance(config, dict):
        raise ModelError(Problem(f"{path} is not a model configuration", type(config).__name__, "", _WHERE))
    return config


def check_config(config: dict[str, Any], task: Task | None, trust_remote_code: bool) -> list[Problem]:
    """Whether the architecture is known and can do ``task``."""
    kind = config.get("model_type")
    if config.get("auto_map") and is_known_type(config) is False and not trust_remote_code:
        do = "If you trust its authors, set --trust-remote-code."
        return [
            Problem("the model brings code of its own, which is not run unasked", f"model_type {kind!r}", do, _WHERE)
        ]
    return task.check_model(config) if task is not None else []


def count_positions(config: dict[str, Any]) -> int:
    """Most tokens that a model with this configuration has positions for; 0 where it sets no limit."""
    positions = config.get("max_position_embeddings") or config.get("n_positions") or 0
    # RoBERTa's positions begin behind its padding token.
    offset = 2 if config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "longformer") else 0
    return max(0, int(positions) - offset)


def check_length(wanted: int | None, config: dict[str, Any]) -> list[Problem]:
    """One problem if more tokens a row are wanted than the model has positions for."""
    limit = count_positions(config)
    if not wanted or not limit or wanted <= limit:
        return []
    do = f"Set --max-length to at most {limit}."
    return [Problem(f"the model takes at most {limit} tokens", str(wanted), do, "data.max_length")]


def check_ability(config: dict[str, Any], task: Task) -> list[Problem]:
    """One problem if the architecture has no class for ``task``; it says what the model can do."""
    if can_load(config, task.auto_class) is not False:
        return []
    from ... import registry

    able = [
        name
        for name in registry.task_names()
        if name != task.name and can_load(config, registry.load_task(name).auto_class)
    ]
    kind = config.get("model_type") or "none in config.json"
    if able:
        do = f"It can do {' and '.join(able)}: set --task, or name another model."
    else:
        do = "Name a model made for text, for example sample:minilm or sample:smollm2."
    return [Problem(f"this model cannot do {task.name}", f"a model of type {kind}", do, _WHERE)]


def _check_weights(folder: Path, allow_pickle: bool) -> list[Problem]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
        missing = sorted(name for name in shards if not (folder / name).is_file())
        if missing:
            what = f"{len(missing)} of {len(shards)} parts of the model's weights are missing"
            return [Problem(what, ", ".join(missing[:3]), "Fetch or copy them again.", _WHERE)]
    files = sorted(folder.glob("*.safetensors"))
    torn = {path.name: why for path in files if (why := torn_file(path))}
    if torn:
        got = "; ".join(f"{name}: {why}" for name, why in list(torn.items())[:3])
        do = "Fetch or copy it again (git lfs pull, where Git brought it)."
        return [Problem(f"the model's weights in {folder} are not whole", got, do, _WHERE)]
    if files:
        return []
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        if allow_pickle:
            return []
        do = "Convert them to safetensors, or set --allow-pickle if you trust their authors."
        what = "the model has pickled weights only, which can run code when they are read"
        return [Problem(what, ", ".join(pickles[:3]), do, _WHERE)]
    foreign = [word for pattern, word in _FOREIGN.items() if any(folder.glob(pattern))]
    got = f"{' and '.join(foreign)} weights only" if foreign else "none"
    return [
        Problem(f"the model folder {folder} has no safetensors weights", got, "Save it with save_pretrained.", _WHERE)
    ]


def _is_cached(model: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(hub_name(model), "config.json"), str)
