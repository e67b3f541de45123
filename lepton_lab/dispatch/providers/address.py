"""A scheduler that runs already, by its address; so do workers that somebody started by hand."""

from __future__ import annotations

from typing import Any

from ...errors import Problem
from ...recipe.option import option
from .connection import ConnectionOptions, FoundCluster, check_address, security_for
from .provider import LiveCluster, Provider
from .words import make_options

_SCHEMES = ("tcp://", "tls://")


class AddressOptions(ConnectionOptions):
    """Where the scheduler listens."""

    address: str = option("tcp://127.0.0.1:8786", "Where the scheduler listens: tls://HOST:PORT or tcp://HOST:PORT.")


class Address(Provider):
    """A running scheduler."""

    name = "address"
    summary = "a scheduler that runs already, by its tls:// or tcp:// address"
    options = AddressOptions
    main_option = "address"
    is_found = True
    example = "tls://scheduler.example.org:8786 --ca-file ca.pem --cert-file me.pem --key-file me.key"

    def parse(self, word: str) -> AddressOptions | None:
        """Options for an address as it is."""
        if not word.startswith(_SCHEMES):
            found: AddressOptions | None = super().parse(word)
            return found
        return make_options(AddressOptions, {"address": word})

    def check(self, options: AddressOptions) -> list[Problem]:
        """Its form, its files, and whether it is encrypted."""
        return check_address(options.address, options)

    async def open(self, options: AddressOptions) -> LiveCluster:
        """Nothing is started."""
        return FoundCluster(options.address, security_for(options.address, options))

    def render(self, options: AddressOptions) -> str:
        """What to type where the scheduler and the workers are to run."""
        return by_hand(options.address, options)


def by_hand(address: str, options: ConnectionOptions) -> str:
    """The commands that start such a scheduler and its workers."""
    scheme, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    files = ""
    if scheme == "tls":
        own: dict[str, Any] = {"ca": options.ca_file, "cert": options.cert_file, "key": options.key_file}
        given = {name: value or f"{name}.pem" for name, value in own.items()}
        files = f" --tls-ca-file {given['ca']} --tls-cert {given['cert']} --tls-key {given['key']}"
    scheduler = f"dask scheduler --protocol {scheme} --host {host} --port {port} --no-dashboard{files}"
    worker = f"dask worker {address} --no-dashboard{files}"
    return f"# nothing is started; the scheduler and the workers were started with, for example:\n{scheduler}\n{worker}"
