"""Which provider a word means: a saved cluster, an address, or a provider's own name with its options."""

from __future__ import annotations

from typing import Any

from ...errors import MissingExtra, Problem, RequestError
from ...recipe.naming import nearest
from ...registry import load_provider, provider_names
from .provider import Provider
from .saved import load_clusters
from .words import make_options

LOCAL = "local"
"""The word for a scheduler and a worker on this machine."""


def find_provider(word: str) -> tuple[Provider, Any]:
    """The provider that knows ``word``, and what the word says, after every check that needs no network.

    Raises :class:`RequestError` with all that is wrong, and :class:`MissingExtra` when its library is not installed.
    """
    provider, options = understand(word)
    missing = provider.missing()
    if missing:
        raise MissingExtra(", ".join(missing), provider.extra, f"the provider {provider.name}")
    problems = provider.check(options)
    if problems:
        raise RequestError(*problems)
    return provider, options


def understand(word: str) -> tuple[Provider, Any]:
    """:func:`find_provider` without looking at what is installed or may be connected to."""
    saved = load_clusters().clusters.get(word)
    if saved is not None:
        provider = load_provider(saved.provider)
        return provider, make_options(provider.options, saved.options)
    for name in provider_names():
        provider = load_provider(name)
        options = provider.parse(word)
        if options is not None:
            return provider, options
    raise RequestError(_unknown(word))


def _unknown(word: str) -> Problem:
    known = [*load_clusters().clusters, *provider_names()]
    guess = nearest(word.partition(":")[0], known)
    hint = f" Did you mean {guess}?" if guess else ""
    do = "Set --cluster to local, an address, a cluster of yours (lepton cluster list) or a provider" + (
        f": {', '.join(provider_names())}.{hint}"
    )
    return Problem("there is no such cluster", repr(word), do, where="resources.cluster")
