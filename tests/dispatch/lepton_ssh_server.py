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
    feeding = asyncio.create_task(feed(process, shell))
    try:
        await asyncio.gather(copy(shell.stdout, process.stdout), copy(shell.stderr, process.stderr))
        process.exit(await shell.wait())
    finally:
        feeding.cancel()
        end(shell)


async def feed(process: Any, shell: asyncio.subprocess.Process) -> None:
    """Pass standard input on; a signal, or the end of the connection, ends the command."""
    try:
        await copy(process.stdin, shell.stdin)
    except (asyncssh.SignalReceived, asyncssh.BreakReceived, ConnectionError):
        end(shell)


async def copy(source: Any, target: Any) -> None:
    """Bytes from one stream to another. A command need not read what it is given."""
    while data := await source.read(65536):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            target.write(data)
            await target.drain()
    if isinstance(target, asyncio.StreamWriter):
        target.close()


def end(shell: asyncio.subprocess.Process) -> None:
    """The command and all that it started."""
    if shell.returncode is None:
        os.killpg(shell.pid, 9)


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
