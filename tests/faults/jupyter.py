"""A real Jupyter server with our extension, as a process that can be killed, and the notebooks open in it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.blocking import BlockingKernelClient
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.dispatch.conftest import until

TOKEN = "a-token-for-tests"


class JupyterServer:
    """It can be started again, on the same port and in the same folder."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._place = f"127.0.0.1:{free.getsockname()[1]}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers."""
        own = {f"JUPYTER_{name}_DIR": str(self._folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
                    *("--ip=127.0.0.1", f"--port={self._place.split(':')[1]}", "--ServerApp.port_retries=0"),
                    *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={self._folder}"),
                    "--ServerApp.jpserver_extensions={'lepton_lab': True}",
                ],
                stdout=log, stderr=log, cwd=self._folder,
                env={**os.environ, **own, "IPYTHONDIR": str(self._folder / "ipython")},
            )  # fmt: skip
        until(self._answers, 60)

    def _answers(self) -> bool:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            self.ask("GET", "api/status")
            return True
        return False

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A REST request; parsed JSON."""
        request = urllib.request.Request(
            f"http://{self._place}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def open_notebook(self) -> Notebook:
        """A new one, with a kernel that knows our magics."""
        kernel = {"kernel": {"name": "python3"}, "name": "", "type": "notebook"}
        found = self.ask("POST", "api/sessions", {"path": f"{os.urandom(4).hex()}.ipynb", **kernel})
        notebook = Notebook(self, found["kernel"]["id"], self._folder / "runtime")
        notebook.run("%load_ext lepton_lab")
        return notebook

    async def open_page(self, run: str) -> Page:
        """A browser's page that watches a run."""
        request = HTTPRequest(f"ws://{self._place}/lepton/api/live", headers={"Authorization": f"token {TOKEN}"})
        socket = await websocket_connect(request)
        await socket.write_message(json.dumps({"type": "watch", "run": run}))
        return Page(socket)

    def kill(self) -> None:
        """With -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """With the kernels that it started."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


class Page:
    """What a page holds that draws a run."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self.steps: list[int] = []
        """Of the loss."""
        self.status = ""

    async def read(self) -> str:
        """The type of the next message, taken in; empty when the server has gone."""
        text = await self._socket.read_message()
        if text is None:
            return ""
        message = json.loads(text)
        if message["type"] == "snapshot":
            self.steps = []
        for part in ("series", "append"):
            self.steps += message.get(part, {}).get("loss", {"steps": []})["steps"]
        self.status = message.get("view", {}).get("status", self.status)
        return str(message["type"])

    def close(self) -> None:
        """Leave."""
        self._socket.close()


class Notebook:
    """A kernel that a server started, spoken to as the server does."""

    def __init__(self, server: JupyterServer, kernel: str, runtime: Path) -> None:
        self._server, self._kernel = server, kernel
        self._client = BlockingKernelClient(connection_file=str(runtime / f"kernel-{kernel}.json"))
        self._client.load_connection_file()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        said = self.run("", {"pid": "__import__('os').getpid()"})["user_expressions"]["pid"]
        self.process = psutil.Process(int(said["data"]["text/plain"]))

    def begin(self, code: str, expressions: dict[str, str] | None = None) -> str:
        """Run a cell; what to ask its :meth:`reply` with."""
        return self._client.execute(code, user_expressions=expressions, allow_stdin=False)

    def reply(self, message: str) -> dict[str, Any]:
        """How a cell ended."""
        while True:
            found = self._client.get_shell_msg(timeout=120)
            if found["parent_header"]["msg_id"] == message:
                return dict(found["content"])

    def run(self, code: str, expressions: dict[str, str] | None = None) -> dict[str, Any]:
        """A cell from its beginning to its end; raises AssertionError for one that failed."""
        content = self.reply(self.begin(code, expressions))
        assert content["status"] == "ok", content
        return content

    def interrupt(self) -> None:
        """As the button does."""
        self._server.ask("POST", f"api/kernels/{self._kernel}/interrupt")

    def close(self) -> None:
        """Close the connection and end the kernel, if it lives."""
        self._client.stop_channels()
        self._client.context.destroy()
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.kill()
