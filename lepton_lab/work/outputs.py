"""The folder that a user wants the finished model in. Torch free.

``python -m lepton_lab.work.outputs MODEL FOLDER`` delivers a model that was trained on another host.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path

from ..errors import LeptonError, Problem
from .tasks.task import SPEC_FILE


def check_output_dir(path: Path) -> list[Problem]:
    """Why ``path`` cannot take a model; empty if it can: it is missing, empty, or a model folder of ours."""
    where, do_other = "output_dir", "Set --output-dir to another path."
    if path.is_symlink():
        do = f"Set --output-dir to the folder itself: {path.resolve()}."
        return [Problem("the output folder is a link, which cannot be replaced whole", str(path), do, where)]
    if path.exists() and not path.is_dir():
        return [Problem("the output folder is not a folder", str(path), do_other, where)]
    if path.is_dir():
        contents = sorted(each.name for each in path.iterdir())
        if contents and SPEC_FILE not in contents:
            shown = ", ".join(contents[:3]) + (", …" if len(contents) > 3 else "")
            do = "Set --output-dir to a new folder; only a model that lepton wrote is replaced."
            return [Problem(f"the output folder {path} holds other files", shown, do, where)]
    above = next(each for each in path.parents if each.exists())
    if not above.is_dir():
        return [Problem("the output folder cannot be made", f"{above}, which is a file", do_other, where)]
    if not os.access(above, os.W_OK):
        return [Problem("the output folder cannot be written", str(path), do_other, where)]
    return []


def deliver(model: Path, path: Path) -> None:
    """Copy the model folder to ``path``; readers of an older model there see the old or the new one, whole.

    Raises :class:`~lepton_lab.errors.OutputError` when something else appeared there meanwhile.
    """
    from ..errors import OutputError, raise_problems

    raise_problems(OutputError, check_output_dir(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    word = secrets.token_hex(4)
    fresh, old = path.with_name(f".{path.name}.new-{word}"), path.with_name(f".{path.name}.old-{word}")
    try:
        shutil.copytree(model, fresh)
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """Deliver the model that the arguments name; what is in the way goes to standard error."""
    model, path = (Path(word) for word in sys.argv[1:])
    try:
        deliver(model, path)
    except (LeptonError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
