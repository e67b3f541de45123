"""A real kernel that a test talks to as a page does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from jupyter_client.manager import KernelManager


class Kernel:
    """A real kernel, heard on all its channels."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env={**os.environ, **environment})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.heard: list[dict[str, Any]] = []

    def run(self, code: str) -> dict[str, Any]:
        """Execute a cell and give its reply."""
        request = self.client.execute(code)
        while True:
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == request:
                return dict(reply["content"])

    def update(self, comm: str, **state: Any) -> None:
        """What the page sends when somebody fills a control in."""
        data = {"method": "update", "state": state, "buffer_paths": []}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", {"comm_id": comm, "data": data}))

    def send(self, comm: str, content: dict[str, Any]) -> None:
        """What the page's half of a widget sends."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        self.client.shell_channel.send(message)

    def until(self, test: Callable[[dict[str, Any]], bool], seconds: float = 20) -> dict[str, Any]:
        """The first message, heard already or from now on, that passes."""
        for message in self.heard:
            if test(message):
                return message
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=seconds)
            assert message["msg_type"] not in ("error", "stream"), message["content"]
            self.heard.append(message)
            if test(message):
                return dict(message)
        raise AssertionError([message["msg_type"] for message in self.heard])

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
