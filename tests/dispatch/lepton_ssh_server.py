"""An SSH server on loopback that lets one key in and runs commands, as OpenSSH's would: asyncssh's own.

``python lepton_ssh_server.py HOST_KEY AUTHORIZED_KEYS`` prints its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import Any

import asyncssh


async def run_command(process: Any) -> None:
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=os.environ["HOME"],
        start_new_session=True,
    )
    await process.redirect(stdout=shell.stdout, stderr=shell.stderr)
    feeding = asyncio.create_task(feed(process.stdin, shell.stdin))
    try:
        process.exit(await shell.wait())
    finally:
        feeding.cancel()
        if shell.returncode is None:
            os.killpg(shell.pid, 9)


async def feed(source: Any, target: Any) -> None:
    """Copy standard input. A command that does not read it may have ended long before."""
    with contextlib.suppress(ConnectionError, asyncssh.Error):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()


async def main(host_key: str, authorized: str) -> None:
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=authorized,
        process_factory=run_command,
        encoding=None,
    )
    print(server.get_port(), flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
