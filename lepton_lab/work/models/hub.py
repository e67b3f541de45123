"""Models from the Hugging Face Hub or a mirror of it; tokens, proxies and offline mode are huggingface_hub's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ...errors import ModelError, Problem
from ...record import EventWriter
from ..tasks.task import Task
from .source import check_config, read_config

_WHERE = "model"
_ENDINGS = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".bpe")


def fetch_hub_model(name: str, task: Task, events: EventWriter, allow_pickle: bool, trust_remote_code: bool) -> Path:
    """The folder of a Hub model on this machine, downloaded if need be.

    Its licence and gating are told before the download, and its configuration is checked before its
    weights are fetched. Raises :class:`ModelError`.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        try:
            info = HfApi().model_info(name, files_metadata=True)
        except OfflineModeIsEnabled:
            return _cached_folder(name)
        except HfHubHTTPError as error:
            if error.response is not None and error.response.status_code < 500:
                raise
            return _cached_anyway(name, str(error), events)
        except _network_errors() as error:  # no network: what an earlier run fetched may still do
            return _cached_anyway(name, str(error), events)
        events.log(_describe(name, info))
        # Named by branch, not by commit: only then does the cache find it again without the Hub.
        snapshot = Path(snapshot_download(name, allow_patterns=["config.json"]))
        problems = check_config(read_config(snapshot), task, trust_remote_code)
        if problems:
            raise ModelError(*problems)
        files = _files_to_fetch(name, info, allow_pickle, trust_remote_code)
        return Path(snapshot_download(name, allow_patterns=files))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, *_network_errors()) as error:
        raise ModelError(_explain(name, error)) from None


def _describe(name: str, info: Any) -> str:
    """Licence, gating and size, for people."""
    card = info.card_data
    licence = (card.get("license") if card else None) or next(
        (tag.partition(":")[2] for tag in info.tags or [] if tag.startswith("license:")), "not stated"
    )
    gated = f"gated ({info.gated}): its owners must have let you in" if info.gated else "not gated"
    size = sum(each.size or 0 for each in info.siblings or [] if each.rfilename.endswith(".safetensors"))
    return f"model {name} from the Hub: licence {licence}, {gated}, {size / 2**20:,.0f} MB of weights"


def _files_to_fetch(name: str, info: Any, allow_pickle: bool, trust_remote_code: bool) -> list[str]:
    """The files of the repository's root that a model needs; safetensors wherever there are any."""
    names = [each.rfilename for each in info.siblings or [] if "/" not in each.rfilename]
    wanted = [each for each in names if each.endswith(_ENDINGS)]
    if trust_remote_code:
        wanted += [each for each in names if each.endswith(".py")]
    weights = [each for each in names if each.endswith(".safetensors")]
    pickles = [each for each in names if each.endswith(".bin") and each.startswith("pytorch_model")]
    if not weights and not pickles:
        raise ModelError(Problem(f"{name} has no weights that torch can read", ", ".join(names[:6]) or "no files"))
    if not weights and not allow_pickle:
        do = "Name a model with safetensors, or set --allow-pickle if you trust its authors."
        what = f"{name} has pickled weights only, which can run code when they are read"
        raise ModelError(Problem(what, ", ".join(pickles[:3]), do, _WHERE))
    return wanted + (weights or pickles)


def _cached_anyway(name: str, reason: str, events: EventWriter) -> Path:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _cached_folder(name)
    except LocalEntryNotFoundError:
        do = "Check the network, HF_ENDPOINT and the proxies, or use a folder or a sample."
        raise ModelError(Problem(f"the Hub did not answer for {name}", reason, do, _WHERE)) from None
    events.log(f"the Hub did not answer; using the copy of {name} on this machine", "warning")
    return folder


def _network_errors() -> tuple[type[Exception], ...]:
    """What a Hub that cannot be reached raises; huggingface_hub has changed its HTTP library twice."""
    names = {"httpx2": "TransportError", "httpx": "TransportError", "requests": "RequestException"}
    found = [getattr(sys.modules[module], name) for module, name in names.items() if module in sys.modules]
    return (OSError, *found)


def _cached_folder(name: str) -> Path:
    """Where an earlier run put a model. Only what a model needs was fetched, so ``snapshot_download``
    would call it incomplete; whether its weights are all there is checked with every folder."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import LocalEntryNotFoundError

    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        raise LocalEntryNotFoundError(f"{name} is not in the cache")
    return Path(config).parent


def _explain(name: str, error: Exception) -> Problem:
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        do = f"Accept its terms at https://huggingface.co/{name} and set HF_TOKEN."
        return Problem(f"{name} is gated, and you have not been let in", "no access", do, _WHERE)
    if isinstance(error, RepositoryNotFoundError):
        do = "Check its spelling; a private model needs HF_TOKEN."
        return Problem("the Hub has no such model, or hides it from you", repr(name), do, _WHERE)
    if isinstance(error, LocalEntryNotFoundError):
        do = "Unset HF_HUB_OFFLINE once, or use a folder or a sample."
        return Problem("the model is not on this machine, and the Hub is switched off", repr(name), do, _WHERE)
    return Problem(f"{name} could not be fetched from the Hub", str(error).splitlines()[0], "", _WHERE)
