"""Making a cluster the one that runs go to, after every check that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...errors import ClusterError, MissingExtra, Problem, RequestError
from ...registry import load_provider
from .finding import LOCAL, understand
from .prices import payer, price_of
from .provider import Provider
from .saved import SavedCluster, check_name, default_name, load_clusters, save_clusters
from .words import make_options, plain_options


def use_provider(provider_name: str, values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Save a provider with these options as ``name`` and send runs there; what to tell the user.

    Raises :class:`RequestError` with all that is wrong: options, missing packages, files, TLS, a secret.
    """
    provider = load_provider(provider_name)
    options = make_options(provider.options, values)
    missing = provider.missing()
    if missing:
        raise MissingExtra(", ".join(missing), provider.extra, f"the provider {provider.name}")
    problems = provider.check(options)
    if problems:
        raise RequestError(*problems)
    saved = load_clusters()
    if provider_name == LOCAL and not plain_options(options):
        save_clusters(replace(saved, default=LOCAL))
        return _told(LOCAL, provider, options)
    check_name(name)
    cluster = SavedCluster(provider_name, plain_options(options))
    if saved.clusters.get(name, cluster) != cluster:
        _let_go(name)
    save_clusters(replace(saved, clusters={**saved.clusters, name: cluster}, default=name))
    return _told(name, provider, options)


def use_word(word: str) -> dict[str, Any]:
    """Send runs to a saved cluster, or to what a provider's word says. Raises :class:`RequestError`."""
    saved = load_clusters()
    if word not in saved.clusters:
        provider, options = understand(word)
        return use_provider(provider.name, plain_options(options), default_name(provider.name))
    provider, options = understand(word)
    save_clusters(replace(saved, default=word))
    return _told(word, provider, options)


def _let_go(name: str) -> None:
    """A name gets another meaning: its old cluster must not go on taking runs."""
    from ..cluster import stop_cluster

    try:
        stop_cluster(cluster=name)
    except ClusterError as error:
        do = "Wait, stop it, or set another --name."
        raise RequestError(Problem(f"the cluster {name} runs with other options", str(error), do, "name")) from None


def _told(name: str, provider: Provider, options: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"cluster": name, "provider": provider.name}
    price, pays = price_of(provider, options), payer(provider)
    if price is not None:
        told["price"] = price.text()
    if pays:
        told["paid_by"] = pays
        told["stops"] = f"by itself after {options.idle_minutes:g} minutes without a run"
    told["next"] = f"lepton train …  (goes there; or say --cluster {name}). Look first: lepton cluster render {name}"
    return told
