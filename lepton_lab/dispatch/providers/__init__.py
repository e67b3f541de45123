"""Where workers come from: one small file a provider, named in :mod:`lepton_lab.registry`."""

from __future__ import annotations

from .finding import LOCAL, find_provider, understand
from .provider import LiveCluster, Provider, ProviderOptions

__all__ = ["LOCAL", "LiveCluster", "Provider", "ProviderOptions", "find_provider", "understand"]
