"""Where workers come from: one file a provider."""

from __future__ import annotations

from ...errors import MissingExtra, Problem, RequestError
from ...registry import load_provider, provider_names
from .provider import LiveCluster, Provider, ProviderOptions

LOCAL = "local"
"""The word for a scheduler and a worker on this machine."""

__all__ = ["LOCAL", "LiveCluster", "Provider", "ProviderOptions", "find_provider"]


def find_provider(word: str) -> tuple[Provider, ProviderOptions]:
    """The provider that knows ``word``, and what the word says.

    Raises :class:`RequestError` when none does, and :class:`MissingExtra` when its library is not installed.
    """
    for name in provider_names():
        provider = load_provider(name)
        options = provider.parse(word)
        if options is None:
            continue
        missing = provider.missing()
        if missing:
            raise MissingExtra(missing[0], provider.extra, f"a cluster of {provider.name}")
        return provider, options
    others = [name for name in provider_names() if name != LOCAL]
    do = f"Set --cluster {LOCAL}" + (f", or what one of these reads: {', '.join(others)}." if others else ".")
    raise RequestError(Problem("there is no such cluster", repr(word), do, where="resources.cluster"))
