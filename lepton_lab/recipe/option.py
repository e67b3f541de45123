"""How a recipe field says what its flag, alias and help are."""

from __future__ import annotations

import reprlib
from typing import Any

from pydantic import Field


def option(
    default: Any,
    help: str,
    *,
    flag: str = "",
    aliases: tuple[str, ...] = (),
    advanced: bool = False,
    whole: bool = False,
    kinds: tuple[str, ...] = (),
    **bounds: Any,
) -> Any:
    """A pydantic field that is also a flag, a form control and a row of the reference.

    ``flag`` overrides the flag's name (default: the field's name); ``aliases`` are
    further names people type. ``advanced`` fields are folded away in forms and help.
    Of a list, each text given is split at commas unless it is ``whole``. ``kinds`` are those of
    the recipes that use the field (default: all that have its section).
    ``bounds`` are pydantic's (``ge``, ``gt``, ``le``, ``lt``).
    """
    extra: dict[str, Any] = {"flag": flag, "aliases": list(aliases), "advanced": advanced, "whole": whole}
    extra["kinds"] = list(kinds)
    return Field(default, description=help, json_schema_extra=extra, **bounds)


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80
_REPR.maxlevel = 2


def short(value: Any) -> str:
    """``value`` as an error shows it, however large it is."""
    return _REPR.repr(value)
