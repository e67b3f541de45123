"""A real JupyterLab server, and what a person does in it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Page, expect

TOKEN = "a-token-for-tests"
BUILT = Path(__file__).parents[2] / "lepton_lab" / "labextension"
MEDIA_TYPE = "application/vnd.lepton-lab.run+json"


@dataclass(frozen=True)
class Lab:
    """A running server."""

    url: str
    root: Path

    def ask(self, method: str, path: str) -> Any:
        """A REST request; parsed JSON."""
        request = urllib.request.Request(
            f"{self.url}{path}", method=method, headers={"Authorization": f"token {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def write_notebook(self, name: str, *cells: str) -> Path:
        """A notebook with code cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.root / name
        nbformat.write(notebook, path)
        return path

    def open(self, page: Page, notebook: str) -> None:
        """Open a notebook alone on the page and wait for it."""
        page.goto(f"{self.url}lab/tree/{notebook}?token={TOKEN}&reset")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=30_000)
        # The indicator says idle from the first; the status bar speaks of a kernel that is there.
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=30_000)

    def stop_kernels(self) -> None:
        """Shut every session down."""
        for session in self.ask("GET", "api/sessions"):
            self.ask("DELETE", f"api/sessions/{session['id']}")


def run_cell(page: Page, number: int) -> None:
    """Click into a cell and press Control-Enter."""
    page.locator(".jp-Notebook .jp-CodeCell").nth(number).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")


def save(page: Page) -> None:
    """Control-S, until it is on disk."""
    page.keyboard.press("Control+s")
    expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0, timeout=10_000)


def show_cell(run: str, home: Path, html: str = "<p>Run as a card</p>") -> str:
    """Source of a cell that shows a run as our commands do."""
    bundle = {MEDIA_TYPE: {"run": run, "home": str(home)}, "text/html": html, "text/plain": f"Run {run}"}
    return f"from IPython.display import display\ndisplay({bundle!r}, raw=True)"


@contextlib.contextmanager
def running_lab(root: Path, environment: dict[str, str], with_extension: bool = True) -> Iterator[Lab]:
    """Start JupyterLab on a free port with a clean configuration; stop it afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = root / ".jupyter"
    notebooks = root / "notebooks"
    notebooks.mkdir(parents=True)
    (own / "config" / "labconfig").mkdir(parents=True)
    (own / "config" / "labconfig" / "page_config.json").write_text(
        json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}})
    )
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    extensions = {"lepton_lab": with_extension}
    (own / "labextensions").mkdir()
    (own / "labextensions" / "lepton-lab").symlink_to(BUILT)  # what was built last, not what was installed
    log = (root / "server.log").open("wb")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}"),
            *("--ServerApp.port_retries=0", "--ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}"),
            *(f"--ServerApp.root_dir={notebooks}", f"--ServerApp.jpserver_extensions={extensions!r}"),
            f"--LabApp.extra_labextensions_path={own / 'labextensions'}",
        ],
        env={**os.environ, **environment, **{name: str(own / folder) for name, folder in folders.items()}},
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=notebooks,
    )
    lab = Lab(f"http://127.0.0.1:{port}/", notebooks)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                lab.ask("GET", "api/status")
                break
            except (urllib.error.URLError, ConnectionError):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((root / "server.log").read_text()) from None
                time.sleep(0.1)
        yield lab
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()
