"""Reads data sets of the Hugging Face Hub, through ``datasets``.

``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HUB_OFFLINE`` and the cache work as everywhere. A data set that
would need code of its authors is refused.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from ..errors import MissingExtra, Problem
from ..recipe import DataConfig
from .notes import Notes, name_values
from .raw import Raw
from .split_names import map_splits
from .tabling import clean_header, plain_table

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")
# These are readers of ``datasets``, not data sets.
_BUILDERS = ("arrow", "audiofolder", "csv", "imagefolder", "json", "pandas", "parquet", "sql", "text", "webdataset")


def check_hub_name(word: str) -> Problem | None:
    """What is wrong with ``hub:NAME`` as it is written, without asking the hub."""
    name = word.removeprefix("hub:")
    if not _NAME.fullmatch(name) or name in _BUILDERS:
        do = "Write hub:OWNER/NAME, as in hub:stanfordnlp/imdb; @REVISION may follow."
        return Problem("that is not the name of a hub data set", repr(name), do, "data.dataset")
    return None


def read_hub(word: str, data: DataConfig, notes: Notes, where: str) -> Raw | None:
    """The splits of ``hub:NAME`` or ``hub:NAME@REVISION``. None after an error."""
    wrong = check_hub_name(word)
    if wrong:
        notes.problems.append(wrong)
        return None
    name, _, revision = word.removeprefix("hub:").partition("@")
    if Path(name).exists():
        # ``datasets`` would read the folder instead.
        notes.error(f"{name} is also a folder here", "", f"Write file:{name}, or go to another folder.", where)
        return None
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "all", "reading hub: data sets") from None
    try:
        loaded = datasets.load_dataset(name, data.hub_config, revision=revision or None)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        notes.problems.append(_explain(name, data, error, where))
        return None
    parts = loaded if isinstance(loaded, dict) else {"train": loaded}
    chosen = map_splits(parts, notes, where)
    tables = {split: clean_header(table_of(parts[key]), notes, where, name) for split, key in chosen.items()}
    first = next(iter(parts.values()))
    digest = getattr(first, "_fingerprint", None)
    return Raw(tables, "hub", True, {"digest": digest, "licence": _licence(name, first), "revision": revision or None})


def table_of(dataset: Any) -> pa.Table:
    """A ``datasets.Dataset`` as a table, class numbers as names."""
    table = dataset.with_format("arrow")[:]
    metadata = dataset.features.arrow_schema.metadata if dataset.features else None
    return plain_table(table.replace_schema_metadata(metadata))


def _explain(name: str, data: DataConfig, error: Exception, where: str) -> Problem:
    text = " ".join(str(error).split())
    offline = any(os.environ.get(key, "0").upper() in ("1", "TRUE", "YES", "ON") for key in ("HF_HUB_OFFLINE",))
    kind = type(error).__name__
    if "Config name is missing" in text or "BuilderConfig" in text:
        known = re.findall(r"'([^']+)'", text.partition("[")[2].partition("]")[0])
        got = name_values(known) if known else text[:200]
        return Problem(f"the data set {name} has several configurations", got, "Set --hub-config.", "data.hub_config")
    if "scripts are no longer supported" in text or "trust_remote_code" in text:
        do = "Look for a copy in Parquet (often the branch refs/convert/parquet), or save it as Parquet yourself."
        return Problem(f"the data set {name} needs code of its authors, which is never run", "", do, where)
    if "gated" in text.casefold():
        do = f"Accept its terms at https://huggingface.co/datasets/{name} and set HF_TOKEN."
        return Problem(f"the data set {name} is gated", "no access", do, where)
    if kind == "DatasetNotFoundError":
        do = "Check the name; for a private one set HF_TOKEN."
        return Problem(f"the hub has no data set {name}, or you may not see it", "", do, where)
    if offline or "Offline" in kind or "offline" in text:
        do = "Download it while online, or unset HF_HUB_OFFLINE."
        return Problem(f"the data set {name} is not in the cache, and the hub is offline here", "", do, where)
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    return Problem(
        f"the data set {name} cannot be loaded", f"{kind}: {text[:200]}",
        f"Check the name, the connection to {endpoint}, and HF_TOKEN.", where,
    )  # fmt: skip


def _licence(name: str, dataset: Any) -> str | None:
    """What the data set's card says, from the copy that loading left in the cache."""
    stated = getattr(getattr(dataset, "info", None), "license", None)
    if stated:
        return str(stated)
    from huggingface_hub import try_to_load_from_cache

    card = try_to_load_from_cache(name, "README.md", repo_type="dataset")
    if not isinstance(card, str):
        return None
    parts = Path(card).read_text(encoding="utf-8", errors="replace").split("---", 2)
    try:
        front = yaml.safe_load(parts[1]) if len(parts) == 3 else None
    except yaml.YAMLError:
        return None
    licence = front.get("license") if isinstance(front, dict) else None
    return ", ".join(map(str, licence)) if isinstance(licence, list) else (str(licence) if licence else None)
