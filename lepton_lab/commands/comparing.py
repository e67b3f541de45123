"""``compare`` and ``report``: runs side by side, and as one file to pass on."""

from __future__ import annotations

import click

from .command import LeptonCommand, json_option, option
from .results import Compared, Facts, bytes_text
from .values import FileValue, RunValue


def _compare(run: tuple[str, ...], every: bool, as_json: bool) -> Compared:
    from .. import lab

    return Compared(lab.compare(*run, every=every), as_json)


def _report(run: tuple[str, ...], output: str | None, as_json: bool) -> Facts:
    from .. import lab

    found = [lab.attach(each) for each in run or ("last",)]
    path = lab.report(*found, path=output)
    size = path.stat().st_size
    values = {"path": str(path), "runs": [each.id for each in found], "bytes": size}
    text = f"Wrote {path} ({bytes_text(size)}). Any browser shows it, without a network."
    return Facts(values, text, as_json=as_json)


compare = LeptonCommand(
    "compare",
    callback=_compare,
    params=[
        click.Argument(["run"], type=RunValue(), nargs=-1, required=True, metavar="RUN..."),
        option("--all", "every", is_flag=True, help="Show every setting and number, not only those that differ."),
        json_option("Print one JSON object with runs, settings and metrics."),
    ],
    short_help="Show how runs differ: settings, final numbers, curves.",
    help="Show how runs differ in their settings and their final numbers; the best ones are marked. A sweep stands for "
    'its trials, the best first. A cell also shows the curves; the value of the cell draws them: .figure("loss"), '
    '.figure("parallel").',
    examples=["lepton compare last k3v9", "lepton compare my-sweep", "lepton compare champion last --all --json"],
)

report = LeptonCommand(
    "report",
    callback=_report,
    params=[
        click.Argument(["run"], type=RunValue(), nargs=-1, metavar="[RUN]..."),
        option(
            "-o",
            "--output",
            type=FileValue("FILE", (".html",)),
            help="The file to write. Default: lepton-report-RUN.html in the current folder.",
        ),
        json_option("Print one JSON object with path, runs and bytes."),
    ],
    short_help="Write one HTML file about runs, to keep or to send.",
    help="Write one HTML file about a run (default: last) with its compilations and benchmarks: tables, findings and "
    "figures to zoom into. It needs nothing beside itself. Of several runs, and of a sweep, the comparison is in it.",
    examples=["lepton report last", "lepton report last champion --output reviews.html"],
)
