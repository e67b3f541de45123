"""Certificates: private, whole, shared by the clusters of a host, renewed before they end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from pathlib import Path

import pytest

from lepton_lab.dispatch.renewal import HostCertificates, Renewal
from lepton_lab.dispatch.security import (
    ensure_certificates,
    remaining_life,
    security,
    tls_files,
    write_certificates,
)
from lepton_lab.errors import RequestError

SECONDS_A_DAY = 86_400


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))


def bytes_of(files: dict[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files.items()}


def test_files_are_private_and_kept_while_they_are_good() -> None:
    files = ensure_certificates()
    before = bytes_of(files)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files.values())
    assert files["key"].parent.stat().st_mode & 0o777 == 0o700
    assert 0.99 < remaining_life(files) <= 1
    assert bytes_of(ensure_certificates()) == before


def test_they_are_renewed_before_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_CERTIFICATE_DAYS", str(3 / SECONDS_A_DAY))
    files = ensure_certificates()
    before = bytes_of(files)
    assert bytes_of(ensure_certificates()) == before
    time.sleep(2.2)
    assert 0 < remaining_life(files) < 1 / 3  # not yet over
    monkeypatch.delenv("LEPTON_CERTIFICATE_DAYS")
    ensure_certificates()
    assert remaining_life(files) > 0.99
    assert all(before[name] != now for name, now in bytes_of(files).items())
    # Who still shows the old one is understood as long as that is good, and no longer.
    assert files["authority"].read_bytes().count(b"BEGIN CERTIFICATE") == 2
    time.sleep(1.0)
    write_certificates()
    assert before["authority"] not in files["authority"].read_bytes()


@pytest.mark.parametrize("word", ["soon", "0", "-1", "1000", "nan"])
def test_a_lifetime_that_is_none_is_refused(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_CERTIFICATE_DAYS", word)
    with pytest.raises(RequestError, match="LEPTON_CERTIFICATE_DAYS must be"):
        ensure_certificates()


def test_the_strictest_check_accepts_them() -> None:
    """Python 3.13's default, which older Dask does not turn off."""
    files = ensure_certificates()
    strict = []
    for purpose in (ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH):
        context = ssl.create_default_context(purpose, cafile=str(files["authority"]))
        context.load_cert_chain(files["certificate"], files["key"])
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.verify_mode = ssl.CERT_REQUIRED
        strict.append(context)
    client_side, server_side = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = strict[0].wrap_bio(client_side, server_side, server_hostname="localhost")
    server = strict[1].wrap_bio(server_side, client_side, server_side=True)
    for _ in range(4):
        for each in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                each.do_handshake()
    assert client.getpeercert()
    assert server.getpeercert()


def test_a_cluster_outlives_the_certificates_that_it_started_with(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client, Scheduler, Worker

    seconds = 6.0
    monkeypatch.setenv("LEPTON_CERTIFICATE_DAYS", str(seconds / SECONDS_A_DAY))

    async def go() -> None:
        ensure_certificates()
        options = {"protocol": "tls", "host": "127.0.0.1", "port": 0, "security": security()}
        quiet = {"dashboard_address": "127.0.0.1:0"}
        joins = {"security": security(), "asynchronous": True, "set_as_default": False}
        renewal = Renewal()
        async with (
            Scheduler(**options, **quiet) as scheduler,
            Worker(scheduler.address, **options, **quiet) as worker,
            Client(scheduler.address, **joins) as client,
        ):
            first = client.submit(time.sleep, 2 * seconds, pure=False)
            ends = time.monotonic() + seconds + 2.0
            while time.monotonic() < ends:
                await renewal.look(HostCertificates(), client)
                await asyncio.sleep(0.1)
            # Each of these makes a connection: to the scheduler, from it to the worker, and back.
            assert await client.run(os.getpid) == {worker.address: os.getpid()}
            async with Client(scheduler.address, **{**joins, "security": security()}) as newcomer:
                assert await newcomer.submit(sum, [1, 2]) == 3
            assert first.status == "pending"  # nobody disturbed it
            await first.cancel()

    asyncio.run(go())


@pytest.mark.parametrize("name", ["authority", "certificate", "key"])
def test_a_broken_file_is_replaced_with_all_the_others(name: str) -> None:
    files = ensure_certificates()
    before = bytes_of(files)
    files[name].write_bytes(b"")
    ensure_certificates()
    assert remaining_life(files) > 0.99
    assert all(before[each] != now for each, now in bytes_of(files).items())


def test_only_who_has_the_files_connects() -> None:
    from distributed import Client, Scheduler

    async def go() -> None:
        ensure_certificates()
        options = {"protocol": "tls", "host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
        async with Scheduler(security=security(), **options) as scheduler:
            async with Client(
                scheduler.address, security=security(), asynchronous=True, set_as_default=False
            ) as client:
                assert client.status == "running"
            others = write_certificates(tls_files()["key"].parent.parent)
            assert others["key"] != tls_files()["key"]
            from distributed.security import Security

            stranger = Security(
                require_encryption=True,
                tls_ca_file=str(others["authority"]),
                tls_client_cert=str(others["certificate"]),
                tls_client_key=str(others["key"]),
            )
            with pytest.raises(OSError, match=r"certificate|Timed out"):
                await Client(scheduler.address, security=stranger, asynchronous=True, timeout=2, set_as_default=False)

    asyncio.run(go())
