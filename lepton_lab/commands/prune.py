"""``prune``: show what takes room, and free it."""

from __future__ import annotations

import click

from .command import LeptonCommand, json_option, option
from .disk import disk_uses, free
from .results import Column, Rows, bytes_text
from .seat import seat_of
from .values import RunValue


@click.pass_context
def _prune(
    context: click.Context,
    run: tuple[str, ...],
    runs_older_than: float | None,
    force: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> Rows:
    from .. import lab

    named = [lab.resolve_run(word) for word in run]
    uses = disk_uses(runs_older_than, named, with_promoted=force)
    going = [each for each in uses if each.can_go]
    total = sum(each.bytes for each in going)
    if yes and not dry_run:
        seat_of(context).say(f"Freeing {bytes_text(total)} …")
        below = f"Freed {bytes_text(free(going, with_promoted=force))}."
    elif going:
        how = f"lepton prune {_words(run, runs_older_than)}{'--force ' if force else ''}--yes"
        below = f"{bytes_text(total)} can go. Nothing was deleted; to free it: {how}"
    else:
        below = "Nothing here can go by itself. Whole runs: lepton prune RUN, or --runs-older-than DAYS."
    rows = [
        {
            "what": each.what,
            "name": each.name,
            "bytes": each.bytes,
            "can_go": each.can_go,
            "freed": each.can_go and yes and not dry_run,
            "why": each.why,
            "path": str(each.path),
        }
        for each in sorted(uses, key=lambda each: (not each.can_go, -each.bytes))
    ]
    goes = "freed" if yes and not dry_run else "can go"
    columns = [
        Column("bytes", "size", lambda value: bytes_text(value).rjust(9)),
        Column("can_go", goes, lambda value: "yes" if value else "no"),
        Column("what", "what"),
        Column("name", "name"),
        Column("why", "why"),
    ]
    return Rows(rows, columns, empty="Nothing on disk yet.", below=below, as_json=as_json)


def _words(run: tuple[str, ...], days: float | None) -> str:
    return "".join(f"{word} " for word in run) + (f"--runs-older-than {days:g} " if days is not None else "")


prune = LeptonCommand(
    "prune",
    callback=_prune,
    params=[
        click.Argument(["run"], type=RunValue(), nargs=-1, metavar="[RUN]..."),
        option(
            "--runs-older-than",
            type=click.FloatRange(min=0),
            metavar="DAYS",
            help="Whole runs that ended so long ago, too.",
        ),
        option("--force", is_flag=True, help="Whole runs that an alias names, too; the alias then names none."),
        option("--yes", is_flag=True, help="Free it. Without this, sizes are only shown."),
        option("--dry-run", is_flag=True, help="Only show, also with --yes."),
        json_option(),
    ],
    short_help="Show what takes disk space, and free it.",
    help="Show what takes disk space, and free it with --yes: checkpoints of finished runs, caches, data frames that "
    "no run refers to; and whole runs that you name. A run that has not ended is never touched; one that an "
    "alias names goes only with --force.",
    examples=["lepton prune", "lepton prune --yes", "lepton prune --runs-older-than 30 --yes"],
)
