"""``samples``: models and data that need no hub."""

from __future__ import annotations

from typing import Any

import click

from .command import LeptonCommand, LeptonGroup, json_option
from .results import Column, Facts, Rows
from .seat import seat_of
from .values import SampleValue


def sample_rows() -> list[dict[str, Any]]:
    """Every sample and whether it is installed."""
    from .. import samples

    rows = []
    for each in samples.catalog():
        row = {"sample": f"sample:{each.name}", "kind": each.kind, "task": each.task, "title": each.title}
        rows.append(row | {"licence": each.licence, "installed": samples.is_installed(each.name)})
    return rows


def _list(as_json: bool) -> Rows:
    columns = [
        Column("sample", "sample"),
        Column("kind", "kind"),
        Column("installed", "installed", lambda value: "yes" if value else "no"),
        Column("licence", "licence"),
        Column("title", "title"),
    ]
    return Rows(sample_rows(), columns, below="Install one with: lepton samples install NAME", as_json=as_json)


@click.pass_context
def _default(context: click.Context, as_json: bool) -> Rows | None:
    return _list(as_json) if context.invoked_subcommand is None else None


@click.pass_context
def _install(context: click.Context, names: tuple[str, ...], as_json: bool) -> Facts:
    from .. import samples

    seat = seat_of(context)
    installed = {}
    for name in names:
        bare = name.removeprefix("sample:")
        installed[bare] = str(samples.install(bare, progress=seat.say))
    text = "\n".join(f"sample:{name} is installed in {place}" for name, place in installed.items())
    return Facts(installed, text, as_json=as_json)


samples = LeptonGroup(
    "samples",
    callback=_default,
    invoke_without_command=True,
    params=[json_option()],
    short_help="List or install sample models and data that need no hub.",
    help="List or install sample models and data that need no hub. Versions are pinned, digests checked, and no code "
    "of theirs is run.",
    commands={
        "list": LeptonCommand(
            "list", callback=_list, params=[json_option()], help="List the samples and their licences."
        ),
        "install": LeptonCommand(
            "install",
            callback=_install,
            params=[
                click.Argument(["names"], type=SampleValue("NAME"), nargs=-1, required=True, metavar="NAME..."),
                json_option(),
            ],
            help="Download a sample, check its digest and unpack it.",
            examples=["lepton samples install movie-sentiment minilm"],
        ),
    },
)
