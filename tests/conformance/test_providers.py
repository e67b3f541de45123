"""What every provider must keep to. Third parties may import this module; the vendors' own code renders."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import distributed  # noqa: F401  brings its settings
import pytest
import yaml

from lepton_lab.dispatch.providers import LiveCluster, Provider, find_provider, understand
from lepton_lab.dispatch.providers.coiled import _CoiledCluster
from lepton_lab.dispatch.providers.connection import is_loopback
from lepton_lab.dispatch.providers.gateway import _GatewayCluster, idle_watch
from lepton_lab.dispatch.providers.kubernetes import _Pods
from lepton_lab.dispatch.providers.prices import payer, price_of, spent_on
from lepton_lab.dispatch.providers.provider import StartedOptions
from lepton_lab.dispatch.providers.started import StartedCluster, name_of
from lepton_lab.dispatch.providers.words import make_options, plain_options
from lepton_lab.dispatch.security import write_certificates
from lepton_lab.dispatch.usage import Wakefulness
from lepton_lab.errors import RequestError
from lepton_lab.recipe.flags import section_flags
from lepton_lab.registry import load_provider, provider_names
from lepton_lab.telemetry import NO_TELEMETRY

WORDS = {
    "local": "local",
    "address": "tcp://127.0.0.1:8786",
    "scheduler-file": "scheduler-file:scheduler.json",
    "ssh": "ssh:me@gpu1,gpu2,python=/opt/lab/bin/python",
    "slurm": "slurm:queue=gpu,gpus=2,cores=8,memory=32GB,workers=3,walltime=08:00:00",
    "pbs": "pbs:queue=gpu,gpus=2,walltime=1-02:00:00",
    "lsf": "lsf:queue=gpu,gpus=2,account=lab",
    "kubernetes": "kubernetes:image=registry.example.org/lab:1,gpus=1,workers=2,allow_plain_tcp=true",
    "aws": "aws:image=registry.example.org/lab:1,workers=2",
    "gcp": "gcp:image=registry.example.org/lab:1,project=lab,gpus=1",
    "azure": "azure:image=lab:1,resource_group=lab,vnet=lab,security_group=dask,subscription=0000",
    "gateway": "gateway:https://gateway.example.org,setting=worker_cores=4",
    "coiled": "coiled:vm_type=g5.xlarge,workers=2",
    "cuda": f"cuda:{sys.executable}",
}
"""A word for each, complete enough to be rendered."""

SECRET = "hf_" + "aB3" * 10


def parsed(name: str) -> tuple[Provider, Any]:
    return understand(WORDS.get(name, name))


def rendered(name: str) -> str:
    provider, options = parsed(name)
    return provider.render(options)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def dask_settings() -> Iterator[None]:
    """Some libraries set the TLS settings of the whole process while they render."""
    before = copy.deepcopy(dask.config.get("distributed.comm"))
    yield
    dask.config.config["distributed"]["comm"] = before


def test_importing_a_provider_imports_neither_dask_nor_its_library() -> None:
    code = (
        "import sys\nfrom lepton_lab.dispatch.providers import understand\n"
        "from lepton_lab.registry import provider_names, load_provider\n"
        f"words = {WORDS!r}\n"
        "for name in provider_names():\n"
        "    provider, options = understand(words.get(name, name)); provider.missing(); provider.check(options)\n"
        "    provider.machines(options)\n"
        "wrong = {'dask', 'distributed', 'torch', 'asyncssh', 'kr8s', 'coiled', 'boto3', 'botocore', 'dask_jobqueue'}\n"
        "print(sorted(wrong & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("name", provider_names())
def test_it_declares_itself(name: str) -> None:
    provider = load_provider(name)
    assert provider.name == name
    assert provider.summary
    assert provider.example
    assert not provider.packages or provider.extra
    for flag in section_flags(provider.options):
        assert flag.help.endswith("."), flag.path


@pytest.mark.parametrize("name", provider_names())
def test_options_survive_the_way_through_yaml(name: str) -> None:
    provider, options = parsed(name)
    text = yaml.safe_dump(plain_options(options))
    assert make_options(provider.options, yaml.safe_load(text) or {}) == options
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name_of(name, options))
    assert name_of(name, options) == name_of(name, parsed(name)[1])


@pytest.mark.parametrize("name", provider_names())
def test_a_wrong_option_is_named_with_the_nearest(name: str) -> None:
    provider = load_provider(name)
    right = section_flags(provider.options)[0].path
    with pytest.raises(RequestError) as caught:
        understand(f"{name}:{right}x=1,nonsense=2")
    assert f"Did you mean {right}?" in str(caught.value)
    assert "nonsense" in str(caught.value)


@pytest.mark.parametrize("name", [name for name in provider_names() if load_provider(name).packages])
def test_a_missing_package_is_said_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(RequestError) as caught:
        find_provider(WORDS[name])
    assert f"pip install 'lepton-lab[{load_provider(name).extra}]'" in str(caught.value)


@pytest.mark.parametrize("name", provider_names())
def test_secrets_are_neither_taken_nor_rendered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    provider, options = parsed(name)
    for flag in section_flags(provider.options):
        if flag.value_type == "str" and not flag.choices:
            for secret in (SECRET, "https://me:hunter2hunter2@example.org/x"):
                with pytest.raises(RequestError, match="hold no secret"):
                    make_options(provider.options, {flag.path: [secret] if flag.many else secret})
    for variable in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "AZURE_CLIENT_SECRET", "DASK_COILED__TOKEN"):
        monkeypatch.setenv(variable, "planted-secret-value")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "planted-key-id")
    text = provider.render(options)
    assert "planted" not in text
    assert "PRIVATE KEY" not in text
    assert "BEGIN CERTIFICATE" not in text


@pytest.mark.parametrize("name", provider_names())
def test_no_connection_without_tls_leaves_the_machine_unasked(name: str) -> None:
    words = {
        "address": "tcp://10.1.2.3:8786",
        "gateway": "gateway:http://gateway.example.org",
        "kubernetes": "kubernetes:image=lab:1",
    }
    if name not in words:
        text = rendered(name)
        assert "allow_plain" not in " ".join(flag.path for flag in section_flags(load_provider(name).options)) or (
            name == "scheduler-file"  # its address is in the file: tested below
        )
        assert not [each for each in re.findall(r"tcp://([\w.]+):\d+", text) if each not in ("127.0.0.1", "0.0.0.0")]
        return
    with pytest.raises(RequestError) as caught:
        find_provider(words[name])
    assert "--allow-plain-tcp" in str(caught.value)
    provider, options = understand(words[name])
    assert provider.check(options.model_copy(update={"allow_plain_tcp": True})) == []


def test_a_scheduler_file_may_not_lead_out_without_tls(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    path.write_text(json.dumps({"address": "tcp://10.1.2.3:8786"}))
    with pytest.raises(RequestError, match="allow-plain-tcp"):
        find_provider(f"scheduler-file:{path}")
    find_provider(f"scheduler-file:{path},allow-plain-tcp=true")
    with pytest.raises(RequestError, match="no such scheduler file"):
        find_provider(f"scheduler-file:{path}x")


def test_certificates_that_have_ended_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEPTON_CERTIFICATE_DAYS", str(1.5 / 86_400))
    files = write_certificates(tmp_path)
    names = {"ca": "authority", "cert": "certificate", "key": "key"}
    word = "address:tls://10.1.2.3:8786," + ",".join(f"{name}_file={files[role]}" for name, role in names.items())
    find_provider(word)
    time.sleep(2.5)
    with pytest.raises(RequestError, match="the certificate has ended"):
        find_provider(word)


@pytest.mark.parametrize(
    ("address", "stays"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://[::1]:1", True),
        ("tcp://localhost:1", True),
        ("tcp://0.0.0.0:1", False),
        ("tcp://localhost.example.org:1", False),
        ("tcp://127.0.0.1.example.org:1", False),
    ],
)
def test_loopback_is_known_by_address_not_by_look(address: str, stays: bool) -> None:
    assert is_loopback(address) is stays


@pytest.mark.parametrize("word", ["tcp://", "tls://host", "tcp://host:port", "tls://:8786"])
def test_an_address_has_host_and_port(word: str) -> None:
    with pytest.raises(RequestError, match="a scheduler has an address"):
        find_provider(word)


# Job queues: the script is dask-jobqueue's own


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("slurm", ["#SBATCH -p gpu", "#SBATCH --gres=gpu:2", "#SBATCH --cpus-per-task=8", "#SBATCH -t 08:00:00"]),
        ("pbs", ["#PBS -q gpu", "#PBS -l select=1:ncpus=4:mem=16000mb:ngpus=2", "#PBS -l walltime=26:00:00"]),
        ("lsf", ["#BSUB -q gpu", '#BSUB -gpu "num=2:mode=exclusive_process"', "#BSUB -W 04:00", '#BSUB -P "lab"']),
    ],
)
def test_a_job_asks_for_what_was_said(name: str, lines: list[str]) -> None:
    script = rendered(name)
    for line in lines:
        assert line in script.splitlines()
    for word in ("--tls-ca-file", "--tls-cert", "--tls-key", "--no-dashboard"):
        assert word in script


@pytest.mark.parametrize("name", ["slurm", "pbs", "lsf"])
def test_workers_leave_before_the_walltime_and_not_all_at_once(name: str) -> None:
    _, options = parsed(name)
    command = next(line for line in rendered(name).splitlines() if "dask_worker" in line)
    arguments = parse_worker(command)
    latest = float(arguments["lifetime"].rstrip("s")) + float(arguments["lifetime_stagger"].rstrip("s"))
    assert latest <= options.walltime_seconds - options.leave_seconds
    assert float(arguments["lifetime_stagger"].rstrip("s")) > 0
    with pytest.raises(RequestError, match="walltime must be more than"):
        understand(f"{name}:walltime=00:05:00")


def parse_worker(command: str) -> dict[str, Any]:
    """What Dask's own command line makes of a rendered worker."""
    from distributed.cli.dask_worker import main

    words = command.split("distributed.cli.dask_worker", 1)[1].split()
    with main.make_context("dask worker", without_files(words), resilient_parsing=False) as context:
        return dict(context.params)


def without_files(words: list[str]) -> list[str]:
    """Without the TLS files, which are not there while one looks."""
    kept, skip = [], False
    for word in words:
        if skip or word.startswith("--tls-"):
            skip = not skip
            continue
        kept.append(word)
    return kept


# Clouds


@pytest.mark.parametrize("name", ["aws", "gcp", "azure"])
def test_machines_stop_by_themselves_and_gpus_are_where_they_belong(name: str) -> None:
    from distributed.cli.dask_scheduler import main

    scheduler, worker = rendered(name).split("# each worker")
    for part in (scheduler, worker):
        assert yaml.safe_load(part)["runcmd"][-1] == "shutdown -h now"
    run = next(each for each in yaml.safe_load(scheduler)["runcmd"] if "docker run" in each)
    assert "--gpus" not in run
    with main.make_context("dask scheduler", run.split("dask_scheduler", 1)[1].split()) as context:
        assert context.params["idle_timeout"] == "900s"
        assert context.params["dashboard_address"] == "127.0.0.1:0"
    run = next(each for each in yaml.safe_load(worker)["runcmd"] if "docker run" in each)
    assert "--gpus=all" in run
    assert "death_timeout" in run
    assert "tls://SCHEDULER:8786" in run


@pytest.mark.parametrize("name", ["aws", "gcp", "azure", "coiled"])
def test_what_is_paid_for_can_be_priced(name: str) -> None:
    provider, options = parsed(name)
    assert provider.is_paid
    assert sum(provider.machines(options).values()) >= options.workers


def test_what_costs_less_or_is_not_known_is_said() -> None:
    def price(word: str) -> str:
        provider, options = understand(word)
        found = price_of(provider, options)
        assert found is not None
        return found.text()

    machines = "aws:image=lab:1,workers=2"
    assert price(machines).startswith("about ")
    assert price(f"{machines},spot=true").startswith("at most ")
    assert "without the scheduler's machine" in price("coiled:vm_type=g5.xlarge")
    assert price("coiled").startswith("unknown: no price for workers chosen by Coiled")


def test_time_is_counted_by_how_many_workers_there_were() -> None:
    provider, options = understand("aws:image=lab:1,workers=2")
    hour = {workers: price_of(provider, options.model_copy(update={"workers": workers})) for workers in (2, 8)}
    assert hour[2] is not None
    assert hour[8] is not None
    assert hour[8].per_hour > hour[2].per_hour
    spent = spent_on(provider, options, [(2, 3.0), (8, 0.5)])
    assert spent == pytest.approx(3 * hour[2].per_hour + 0.5 * hour[8].per_hour)


@pytest.mark.parametrize("name", provider_names())
def test_who_pays_is_said_wherever_somebody_does(name: str) -> None:
    provider = load_provider(name)
    on_a_hub = payer(provider, {"JUPYTERHUB_USER": "ada"})
    if provider.is_paid:
        assert "hub" in on_a_hub
        assert payer(provider, {}) != on_a_hub
    elif name in ("gateway", "kubernetes"):
        assert on_a_hub.startswith("whoever ")
    else:
        assert on_a_hub == ""


# Idle clusters, and busy workers


@pytest.mark.parametrize("name", [name for name in provider_names() if load_provider(name).is_paid] + ["gateway"])
def test_what_somebody_pays_for_stops_when_it_is_idle(name: str) -> None:
    options = parsed(name)[1]
    assert isinstance(options, StartedOptions)
    assert 0 < options.idle_minutes <= 60


def test_a_scheduler_that_only_copies_or_adopted_runs_is_not_idle_and_one_without_runs_ends() -> None:
    from distributed import Client, Scheduler, Worker

    async def go() -> None:
        options = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
        async with (
            Scheduler(**options) as scheduler,
            Worker(scheduler.address, host="127.0.0.1", dashboard_address="127.0.0.1:0") as worker,
            Client(scheduler.address, asynchronous=True, set_as_default=False) as client,
        ):
            await client.run_on_scheduler(idle_watch(1.0))  # as the gateway's scheduler gets it
            wakefulness = Wakefulness(1.0)
            ends = time.monotonic() + 3.0
            while time.monotonic() < ends:
                wakefulness.show(client)
                await asyncio.sleep(0.05)
            assert scheduler.status.name == "running"
            async with asyncio.timeout(10):
                await scheduler.finished()
                await worker.finished()

    asyncio.run(go())


@pytest.mark.parametrize("name", ["slurm", "pbs", "lsf"])
def test_a_job_ends_when_its_scheduler_is_gone(name: str) -> None:
    command = next(line for line in rendered(name).splitlines() if "dask_worker" in line)
    assert float(parse_worker(command)["death_timeout"]) <= 120


def test_workers_of_ssh_hosts_and_dask_cuda_do_not_wait_for_ever() -> None:
    given = yaml.safe_load(rendered("ssh"))["SSHCluster"]
    assert given["scheduler_options"]["idle_timeout"] == "900s"
    assert given["worker_options"]["death_timeout"] == "60s"
    assert "--death-timeout 60" in rendered("cuda")


class Library:
    """Stands in for a cluster object of a vendor's: remembers what it was asked for."""

    scheduler_address = "tls://10.0.0.1:8786"
    security = None

    def __init__(self) -> None:
        self.asked: list[Any] = []
        names = ["0", "1", "2", "3"]
        self.worker_spec: dict[str, Any] = {name: {} for name in (*names, "pending")}
        self.scheduler_info = {"workers": {f"tls://10.0.0.1:{name}": {"name": name} for name in names}}

    def scale(self, workers: int) -> None:
        self.asked.append(workers)

    def scale_down(self, names: list[str]) -> None:
        self.asked.append(names)


@pytest.mark.parametrize(
    "make", [lambda each: _GatewayCluster(each, Path()), _CoiledCluster, lambda each: _Pods(each, None)]
)
def test_no_busy_worker_is_taken_away_by_number(make: Any) -> None:
    library = Library()
    live: LiveCluster = make(library)
    asyncio.run(live.scale(1, ["0"], busy=3))
    asyncio.run(live.scale(6, ["0"], busy=3))
    assert library.asked == [3, 6]


def test_no_busy_worker_is_taken_away_by_name() -> None:
    library = Library()
    live = StartedCluster(library)
    asyncio.run(live.scale(2, ["1"], busy=3))
    asyncio.run(live.scale(4, ["1"], busy=3))
    asyncio.run(live.scale(9, [], busy=4))
    assert library.asked == [["pending", "1"], ["pending"], 9]


def test_nothing_is_scaled_adaptively() -> None:
    """Dask's adaptive scaling ends busy workers."""
    sources = (Path(load_provider.__code__.co_filename).parent / "dispatch").rglob("*.py")
    assert not [path.name for path in sources if re.search(r"\.adapt\(|adaptive\s*=", path.read_text())]


def test_the_manifest_is_what_the_operator_takes() -> None:
    """Every field of the manifest is one of the operator's own resource definition."""
    import dask_kubernetes

    cluster, policy = yaml.safe_load_all(rendered("kubernetes"))
    folder = Path(dask_kubernetes.__file__).parent / "operator/deployment/helm/dask-kubernetes-operator/crds"
    definition = yaml.safe_load((folder / "daskcluster.yaml").read_text())
    [version] = definition["spec"]["versions"]
    assert cluster["apiVersion"] == f"{definition['spec']['group']}/{version['name']}"
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert unknown_fields(cluster["spec"], schema) == []
    assert cluster["spec"]["idleTimeout"] == 900
    [worker] = cluster["spec"]["worker"]["spec"]["containers"]
    [scheduler] = cluster["spec"]["scheduler"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in scheduler["resources"]["limits"]
    assert policy["spec"]["podSelector"]["matchLabels"] == {"dask.org/cluster-name": cluster["metadata"]["name"]}
    assert cluster["spec"]["scheduler"]["service"]["type"] == "ClusterIP"


def unknown_fields(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    if isinstance(value, dict):
        known = schema.get("properties", {})
        free = "additionalProperties" in schema
        wrong = [f"{path}.{name}" for name in value if name not in known and not free]
        for name, each in value.items():
            if name in known:
                wrong += unknown_fields(each, known[name], f"{path}.{name}")
        return wrong
    if isinstance(value, list):
        return [wrong for each in value for wrong in unknown_fields(each, schema.get("items", {}), f"{path}[]")]
    return []


def test_a_gateway_cluster_outlives_its_client() -> None:
    from dask_gateway import GatewayCluster

    given = yaml.safe_load(rendered("gateway"))["GatewayCluster"]
    assert given["shutdown_on_close"] is False
    assert given["worker_cores"] == 4
    inspect.signature(GatewayCluster).bind(**given)
    own = set(inspect.signature(GatewayCluster).parameters)
    assert set(given) - own == {"worker_cores"}


def test_a_coiled_cluster_waits_for_the_next_agent_but_not_for_ever() -> None:
    import coiled

    given = yaml.safe_load(rendered("coiled"))["coiled.Cluster"]
    inspect.signature(coiled.Cluster).bind(**given)
    assert given["shutdown_on_close"] is False
    assert given["no_client_timeout"] is None
    assert given["idle_timeout"] == "900s"
    assert given["credentials"] is None
    assert given["environ"].items() > NO_TELEMETRY.items()
    assert given["send_dask_config"] is False


def test_ssh_arguments_are_those_of_the_library() -> None:
    from distributed import SSHCluster
    from distributed.security import Security

    given = yaml.safe_load(rendered("ssh"))["SSHCluster"]
    cluster_arguments = inspect.signature(SSHCluster).bind(**given).arguments
    assert cluster_arguments["hosts"] == ["gpu1", "gpu1", "gpu2"]
    assert given["connect_options"][0]["username"] == "me"
    assert Security(**given["scheduler_options"]["security"]).require_encryption
