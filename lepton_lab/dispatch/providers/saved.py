"""Clusters that the user gave a name: ``LEPTON_HOME/clusters.yaml``. Options only, never a secret."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ... import places
from ...errors import Problem, RequestError
from ...recipe.naming import nearest
from ...recipe.reading import read_yaml
from ...registry import provider_names

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


@dataclass(frozen=True)
class SavedCluster:
    """A provider and the options that differ from its defaults."""

    provider: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedClusters:
    """Every saved cluster by name, and which one runs go to when nothing is said."""

    clusters: Mapping[str, SavedCluster] = field(default_factory=dict)
    default: str = "local"


def clusters_file() -> Path:
    """``LEPTON_HOME/clusters.yaml``."""
    return places.lepton_home() / "clusters.yaml"


def load_clusters() -> SavedClusters:
    """What is saved; nothing when there is no file. Raises :class:`RequestError` for a file that cannot be read."""
    path = clusters_file()
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
        clusters = {
            str(name): SavedCluster(str(each["provider"]), dict(each.get("options") or {}))
            for name, each in (values.get("clusters") or {}).items()
        }
        return SavedClusters(clusters, str(values.get("default") or "local"))
    except (FileNotFoundError, NotADirectoryError):  # a home that is a file is refused elsewhere
        return SavedClusters()
    except (OSError, RequestError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RequestError(
            Problem("the saved clusters cannot be read", str(error), f"Mend or remove {path}.")
        ) from None


def save_clusters(saved: SavedClusters) -> None:
    """Write them, whole or not at all, for this user's eyes only."""
    path = clusters_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {
        "default": saved.default,
        "clusters": {
            name: {"provider": each.provider, "options": dict(each.options)} for name, each in saved.clusters.items()
        },
    }
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(values, file, sort_keys=False, allow_unicode=True)
    temporary.replace(path)


def default_name(provider: str) -> str:
    """What a cluster of this provider is called unless somebody says otherwise."""
    return "local" if provider == "local" else f"my-{provider}"


def check_name(name: str) -> None:
    """Raise :class:`RequestError` for a name that a saved cluster cannot have."""
    if name in provider_names():
        do = "Set another --name."
        raise RequestError(Problem("a cluster cannot be called like a provider", repr(name), do, where="name"))
    if not _NAME.fullmatch(name):
        do = "Set another --name, such as gpus."
        what = "a cluster's name has small letters, digits and hyphens, at most 41"
        raise RequestError(Problem(what, repr(name), do, where="name"))


def forget_cluster(name: str) -> SavedClusters:
    """Remove a saved cluster; runs go to this machine again if they went there. Raises :class:`RequestError`."""
    saved = load_clusters()
    if name not in saved.clusters:
        guess = nearest(name, saved.clusters)
        do = f"Did you mean {guess}?" if guess else "See: lepton cluster list"
        raise RequestError(Problem("there is no such saved cluster", repr(name), do, where="name"))
    left = {key: value for key, value in saved.clusters.items() if key != name}
    after = SavedClusters(left, "local" if saved.default == name else saved.default)
    save_clusters(after)
    return after
