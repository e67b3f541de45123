"""The base of every part of a recipe."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from ..redaction import find_secret

# Seeds, sizes and counts have 32 bits in the libraries below.
_MOST = 2**32
_MAY_BE_EMPTY = ("name", "notes", "task", "model", "dataset")


def _texts(value: Any) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


class Section(BaseModel):
    """A frozen part of a recipe; an unknown field is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )

    @field_validator("*")
    @classmethod
    def _check_sense(cls, value: Any, info: ValidationInfo) -> Any:
        """Neither absurdly large numbers, nor empty words, nor secrets, of any field."""
        name = str(info.field_name)
        secret = next((kind for kind in map(find_secret, _texts(value)) if kind), "")
        if secret:
            do = "Put it into the environment, or where the provider's own tools keep it."
            raise ValueError(f"{name} is written to disk and must hold no secret|{secret}|{do}")
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, (int, float)) and abs(each) >= _MOST:
                raise ValueError(f"{name} must be less than {_MOST:,}")
            if isinstance(each, str) and not each.strip() and name not in _MAY_BE_EMPTY:
                raise ValueError(f"{name} must not be empty||Give it a value, or leave it out.")
        return value
