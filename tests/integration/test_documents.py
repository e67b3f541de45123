"""What the documents show works: every notebook, every block of the README."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import click
import nbformat
import pytest
from nbclient import NotebookClient

from lepton_lab.commands import Seat, cli
from lepton_lab.commands.command import HelpAsked
from lepton_lab.commands.fields import WRONG_WORDS
from tests.conftest import lepton

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(language: str) -> list[str]:
    """The fenced blocks of the README in this language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, shared_lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_NONINTERACTIVE", "1")
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "committed notebooks hold no outputs"
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()


@pytest.mark.slow
def test_the_blocks_of_the_readme(shared_lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lepton_lab import samples

    monkeypatch.chdir(tmp_path)
    reviews = samples.load("movie-sentiment").splits["train"].to_pandas().head(200)
    reviews.to_csv("reviews.csv", index=False)
    # The README shows whole commands; here they stop after a few steps. Those for workers started by hand run in
    # tests/dispatch/test_providers_live.py.
    every = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("lepton ")]
    shell = [line for line in every if "--cluster" not in line]
    assert len(shell) == 4
    for line in shell:
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "train":
            words += ["--max-steps", "3"]
        if "-f" in words:
            recipe = lepton(*shlex.split(shell[0])[1:], "--show-recipe").stdout
            Path("recipe.yaml").write_text(recipe, encoding="utf-8")
        lepton(*words)
    (python,) = [block for block in blocks("python") if "import lepton_lab" in block]
    answer: dict[str, object] = {"reviews": reviews}
    exec(python.replace("epochs=2", "max_steps=3"), answer)  # the block is what is under test
    magics = next(block for block in blocks("python") if "%load_ext" in block)
    cells = (ROOT / "notebooks" / "00_quickstart.ipynb").read_text(encoding="utf-8")
    for line in magics.splitlines():
        command = line.split(" --dataset")[0].split(' "')[0]
        assert command in cells, f"the README shows {command!r}, the quickstart notebook does not"


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def commands_in(text: str) -> list[str]:
    """Every command of ours in the fenced blocks, on one line each; what is left out there is left out here."""
    fenced = "".join(re.findall(r"```(?:bash|text)?\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    inline = re.findall(r"`(lepton cluster use [^`]*)`", text)
    lines = [line.strip() for line in fenced.splitlines()] + [line for line in inline if "[" not in line]
    return [line.replace("…", "") for line in lines if line.startswith("lepton ")]


def understand(words: list[str]) -> None:
    """Parse a command line as far as that goes without doing it. Raises what click raises."""
    command: click.Command = cli
    context = click.Context(cli, obj=Seat())
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    made = command.make_context(context.info_name, list(words), parent=context.parent)
    assert not made.meta.get(WRONG_WORDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_that_is_shown_is_one(page: Path) -> None:
    for line in commands_in(page.read_text(encoding="utf-8")):
        with contextlib.suppress(HelpAsked):
            understand(shlex.split(line, comments=True)[1:])


def test_the_documents_show_commands() -> None:
    assert len(commands_in((ROOT / "docs" / "clusters.md").read_text(encoding="utf-8"))) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
