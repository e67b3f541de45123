"""Certificates: private, whole, shared by the clusters of a host, renewed before they end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from lepton_lab.dispatch.security import (
    ensure_certificates,
    remaining_life,
    security,
    tls_files,
    write_certificates,
)


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


def test_they_are_renewed_before_they_end() -> None:
    three_seconds = 3 / 86_400
    files = write_certificates(valid_days=three_seconds)
    before = bytes_of(files)
    assert bytes_of(ensure_certificates()) == before
    time.sleep(2.2)
    assert 0 < remaining_life(files) < 1 / 3  # not yet over
    ensure_certificates()
    assert remaining_life(files) > 0.99
    assert all(before[name] != now for name, now in bytes_of(files).items())


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
