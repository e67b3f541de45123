"""Executes 00_quickstart.ipynb and prints what came out: the main job, from one command."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import lepton_lab
from lepton_lab import samples
from lepton_lab.errors import LeptonError

HERE = Path(__file__).parent
OUT = HERE.parent / "quickstart"


def main() -> int:
    start = time.monotonic()
    os.environ.setdefault("LEPTON_NONINTERACTIVE", "1")
    for name in ("minilm", "movie-sentiment"):
        print(f"Getting {name} …", flush=True)
        samples.install(name)
    downloaded = time.monotonic()

    notebook = nbformat.read(HERE / "00_quickstart.ipynb", as_version=4)
    before = {row["run"] for row in lepton_lab.runs()}
    client = NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(HERE)}})
    client.on_cell_execute = lambda cell, cell_index: print(
        "".join(f"In: {line}\n" for line in cell.source.splitlines()), end="", flush=True
    )
    try:
        client.execute()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        OUT.mkdir(exist_ok=True)
        nbformat.write(notebook, OUT / "00_quickstart.ipynb")

    fresh = {row["kind"]: lepton_lab.attach(row["run"]) for row in lepton_lab.runs() if row["run"] not in before}
    report = write_report(fresh)
    print("\n".join(summary(fresh, report)))
    print(f"\nDone in {time.monotonic() - downloaded:.0f} s (and {downloaded - start:.0f} s for the samples).")
    return 0


def write_report(runs: dict[str, lepton_lab.Run]) -> Path:
    """One self-contained HTML file about the training and what followed."""
    from lepton_lab.widgets.report import report_html

    path = OUT / "report.html"
    children = [runs[kind].view() for kind in ("compile", "benchmark")]
    path.write_text(report_html(runs["train"].view(), children), encoding="utf-8")
    return path


def summary(runs: dict[str, lepton_lab.Run], report: Path) -> list[str]:
    """What a newcomer wants to know, a line each."""
    metrics = runs["train"].metrics
    compiled = runs["compile"].reports["compile"]
    pick, test = compiled["pick"], compiled["test"]
    before = next(row for row in compiled["candidates"] if (row["backend"], row["precision"]) == ("eager", "fp32"))
    return [
        "",
        f"accuracy       {metrics['test_accuracy']:.3f} on new rows (the commonest label: {metrics['majority']:.3f})",
        f"latency        {before['latency_ms']:.1f} ms before, {pick['latency_ms']:.1f} ms after "
        f"({pick['backend']}, {pick['precision']})",
        f"parity         {test['verdict']}: {test['difference_points']:+.2f} points on {compiled['test_rows']} rows",
        f"model          {runs['train'].model_dir}",
        f"compiled model {runs['compile'].model_dir}",
        f"notebook       {OUT / '00_quickstart.ipynb'}",
        f"report         {report}",
    ]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LeptonError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
