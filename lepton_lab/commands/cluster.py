"""``cluster``: where runs go. Named, chosen, started, looked at, scaled and stopped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from .choosing import UseGroup
from .command import LeptonCommand, LeptonGroup, json_option, option
from .records import when
from .results import Column, Facts, Rows, Text, pairs_text, seconds_text, table_text
from .values import ClusterValue


def _list(as_json: bool) -> Rows:
    from ..dispatch.providers.saved import SavedCluster, load_clusters

    saved = load_clusters()
    rows = []
    for name, each in {"local": SavedCluster("local"), **saved.clusters}.items():
        options = ", ".join(f"{key}={value}" for key, value in each.options.items())
        rows.append({"name": name, "default": name == saved.default, "provider": each.provider, "options": options})
    columns = [
        Column("default", "", lambda value: "*" if value else ""),
        Column("name", "name"),
        Column("provider", "provider"),
        Column("options", "options"),
    ]
    below = "* takes the runs that name no --cluster. Add one: lepton cluster use --help"
    return Rows(rows, columns, below=below, as_json=as_json)


def _status(name: str | None, as_json: bool) -> Facts:
    from .. import dispatch

    word = name or _default()
    status = dispatch.cluster_status(word)
    return _facts({**status, **_cost(word, status.pop("worker_hours", ()))}, as_json)


def _start(name: str | None, dashboard: bool, as_json: bool) -> Facts:
    from .. import dispatch

    word = name or _default()
    dispatch.start_cluster(word, dashboard=dashboard)
    return _status(word, as_json)


def _stop(name: str | None, force: bool, as_json: bool) -> Facts:
    from .. import dispatch

    return _facts(dispatch.stop_cluster(force=force, cluster=name or _default()), as_json)


def _scale(workers: int, name: str | None, as_json: bool) -> Facts:
    from .. import dispatch

    return _facts(dispatch.scale_cluster(workers, name or _default()), as_json)


def _forget(name: str) -> Text:
    from ..dispatch.providers.saved import forget_cluster

    saved = forget_cluster(name)
    return Text(f"Cluster {name} is forgotten; what runs on it goes on. Runs go to {saved.default} now.")


def _render(name: str) -> Text:
    from ..dispatch.providers import understand

    provider, options = understand(name)
    missing = provider.missing()
    if missing:
        from ..errors import MissingExtra

        raise MissingExtra(", ".join(missing), provider.extra, f"the provider {provider.name}")
    return Text(provider.render(options).rstrip("\n"))


def _certificates(folder: str) -> Text:
    from ..dispatch.security import export_certificates, valid_days

    files = export_certificates(folder)
    tls = f"--tls-ca-file {files['authority']} --tls-cert {files['certificate']} --tls-key {files['key']}"
    use = f"--ca-file {files['authority']} --cert-file {files['certificate']} --key-file {files['key']}"
    return Text(
        f"Wrote three files that only you can read. Copy them to the scheduler's and the workers' machines, then:\n\n"
        f"  dask scheduler --protocol tls --no-dashboard {tls}\n"
        f"  dask worker tls://SCHEDULER:8786 --no-dashboard {tls}\n"
        f"  lepton cluster use tls://SCHEDULER:8786 {use}\n\n"
        f"Who has these files can run code on these machines. They end after {valid_days():g} days; "
        f"write new ones before, and start the scheduler and the workers with them."
    )


def _default() -> str:
    from ..dispatch.providers.saved import load_clusters

    return load_clusters().default


def _cost(word: str, worker_hours: Iterable[tuple[int, float]]) -> dict[str, Any]:
    """What a paid cluster costs and has cost, and who pays."""
    from ..dispatch.providers import understand
    from ..dispatch.providers.prices import payer, price_of, spent_on

    provider, options = understand(word)
    found = {"paid_by": payer(provider)} if payer(provider) else {}
    price = price_of(provider, options)
    if price is not None:
        found["price"] = price.text(spent_on(provider, options, worker_hours))
    return found


def _facts(values: dict[str, Any], as_json: bool) -> Facts:
    workers = values.get("workers") or []
    shown = {name.replace("_", " "): _said(name, value) for name, value in values.items() if name != "workers"}
    text = pairs_text(shown.items())
    return Facts(values, f"{text}\n\n{_workers_text(workers)}" if workers else text, as_json=as_json)


def _workers_text(workers: list[dict[str, Any]]) -> str:
    rows = [
        [
            each["address"],
            each["host"],
            ", ".join(each["devices"]),
            *(each["versions"].get(name, "") for name in ("python", "torch", "transformers")),
            "shared" if each["shares_home"] else "its own",
        ]
        for each in workers
    ]
    return table_text(["worker", "host", "devices", "python", "torch", "transformers", "disk"], rows)


def _said(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {each}" for key, each in value.items())
    if name == "started":
        return when(float(value))
    return seconds_text(float(value)) if name.endswith("_seconds") else str(value)


def _name(required: bool = False) -> click.Argument:
    return click.Argument(["name"], type=ClusterValue(), required=required, metavar="NAME" if required else "[NAME]")


cluster = LeptonGroup(
    "cluster",
    help="Where runs go: this machine, or workers anywhere that Dask runs. The local scheduler and worker start by "
    "themselves with the first run, listen on this machine only, and stop after half an hour without work. NAME is a "
    "saved cluster, an address or a provider; without it, the one that lepton cluster use chose last.",
    short_help="Choose, show, start, scale or stop where runs go.",
    examples=[
        "lepton cluster use slurm --queue gpu --gpus 1 --workers 4",
        "lepton cluster use tcp://127.0.0.1:8786",
        "lepton cluster use local",
        "lepton train … --cluster slurm",
    ],
    commands={
        "use": UseGroup(
            "use",
            help="Choose where runs go from now on, and remember it under a name. The word after use is a provider, "
            "the address of a scheduler, or the name of a saved cluster. Nothing is started.",
            short_help="Choose where runs go from now on.",
            examples=[
                "lepton cluster use ssh --host gpu1 --host gpu2 --name lab",
                "lepton cluster use tls://10.0.0.5:8786 --ca-file ca.pem --cert-file me.pem --key-file me.key",
                "lepton cluster use lab",
            ],
        ),
        "list": LeptonCommand("list", callback=_list, params=[json_option()], help="List the saved clusters."),
        "status": LeptonCommand(
            "status",
            callback=_status,
            params=[_name(), json_option()],
            help="Say whether a cluster runs, what it does, and what it costs.",
        ),
        "start": LeptonCommand(
            "start",
            callback=_start,
            params=[
                _name(),
                option("--dashboard", is_flag=True, help="With Dask's dashboard, on this machine only."),
                json_option(),
            ],
            help="Start a cluster now. It starts by itself with its first run.",
        ),
        "stop": LeptonCommand(
            "stop",
            callback=_stop,
            params=[
                _name(),
                option("--force", is_flag=True, help="Also when runs are going on: they save and stop."),
                json_option(),
            ],
            help="Stop a cluster and give back what was started for it.",
        ),
        "scale": LeptonCommand(
            "scale",
            callback=_scale,
            params=[
                click.Argument(["workers"], type=click.IntRange(min=0), metavar="WORKERS"),
                _name(),
                json_option(),
            ],
            help="Ask a running cluster for so many workers. One with a run is never taken away.",
        ),
        "render": LeptonCommand(
            "render",
            callback=_render,
            params=[_name(required=True)],
            help="Print what would be submitted: the job script, the manifest, the cloud-init. Nothing is started.",
        ),
        "certificates": LeptonCommand(
            "certificates",
            callback=_certificates,
            params=[click.Argument(["folder"], metavar="FOLDER")],
            help="Write TLS files for a scheduler and workers that you start by hand.",
        ),
        "forget": LeptonCommand(
            "forget",
            callback=_forget,
            params=[_name(required=True)],
            help="Forget a saved cluster. Nothing is stopped.",
        ),
    },
)
