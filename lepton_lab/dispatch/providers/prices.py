"""What a paid cluster costs: machines × price × time, from a table that the user can edit, and who pays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import places
from ...errors import Problem, RequestError
from ...recipe.reading import read_yaml
from .provider import Provider

_SHIPPED = Path(__file__).with_name("prices.yaml")


@dataclass(frozen=True)
class Price:
    """What a cluster costs an hour. ``unknown`` are machine types that the table does not have."""

    per_hour: float
    unknown: tuple[str, ...]
    currency: str
    as_of: str
    table: Path

    is_most: bool = False
    """Whether it is what the machines cost on demand, and they were asked for where they cost less."""

    def text(self, spent: float = 0.0) -> str:
        """For people; ``spent`` is what it has cost so far."""
        source = f"prices of {self.as_of} in {self.table}: edit me"
        if not self.per_hour:
            return f"unknown: no price for {', '.join(self.unknown)} ({source})"
        amount = f"{'at most' if self.is_most else 'about'} {self.per_hour:.2f} {self.currency} an hour"
        if spent:
            amount += f", {spent:.2f} {self.currency} so far"
        plus = f", without {', '.join(self.unknown)}" if self.unknown else ""
        return f"{amount}{plus} ({source})"


def price_of(provider: Provider, options: Any) -> Price | None:
    """The price of a cluster; None where nobody is charged by the hour.

    Raises :class:`RequestError` for a table that cannot be read.
    """
    if not provider.is_paid:
        return None
    path, values = _table()
    known = values.get(provider.name) or {}
    total, unknown = 0.0, []
    for machine, count in provider.machines(options).items():
        try:
            total += float(known[machine]) * count
        except (KeyError, TypeError):
            unknown.append(machine)
        except ValueError:
            do = f"Write a number, as in {machine}: 1.5."
            raise RequestError(
                Problem(f"{path}: the price of {machine} is no number", repr(known[machine]), do)
            ) from None
    is_most = bool(getattr(options, "spot", False))
    return Price(total, tuple(unknown), str(values.get("currency", "")), str(values.get("as_of", "")), path, is_most)


def spent_on(provider: Provider, options: Any, worker_hours: Iterable[tuple[int, float]]) -> float:
    """What a cluster has cost that had so many workers for so many hours, by :func:`price_of`."""
    total = 0.0
    for workers, hours in worker_hours:
        price = price_of(provider, options.model_copy(update={"workers": workers}))
        total += price.per_hour * hours if price is not None else 0.0
    return total


def payer(provider: Provider, environ: Mapping[str, str] | None = None) -> str:
    """Who pays for a cluster of this provider, as far as the environment tells; empty where nobody does."""
    if provider.paid_by:
        return provider.paid_by
    if not provider.is_paid:
        return ""
    environ = os.environ if environ is None else environ
    user = environ.get("JUPYTERHUB_USER")
    if user:
        return (
            f"the account whose credentials this hub's server has; on a shared hub that may be the hub's and not "
            f"{user}'s. Ask before you start"
        )
    return "the account whose credentials this machine has"


def _table() -> tuple[Path, dict[str, Any]]:
    own = places.lepton_home() / "prices.yaml"
    path = own if own.is_file() else _SHIPPED
    return path, read_yaml(path.read_text(encoding="utf-8"))
