"""The small models that the work room's tests use too."""

from __future__ import annotations

from tests.work.conftest import home, tiny_bert, tiny_llama

__all__ = ["home", "tiny_bert", "tiny_llama"]
