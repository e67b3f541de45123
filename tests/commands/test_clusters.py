"""``lepton cluster``: choosing, listing, forgetting, rendering; nothing is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lepton_lab.commands.seat import Seat
from lepton_lab.commands.tree import cli, run_words
from lepton_lab.dispatch.providers.saved import clusters_file, load_clusters
from lepton_lab.errors import RequestError
from lepton_lab.planning import prepare
from lepton_lab.recipe import build_recipe
from lepton_lab.registry import load_provider, provider_names


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEPTON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LEPTON_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def lepton(*words: str) -> Any:
    return run_words(["cluster", *words], Seat())


def test_a_cluster_is_saved_chosen_and_forgotten() -> None:
    lepton("use", "address", "--address", "tcp://127.0.0.1:8786", "--name", "hand")
    lepton("use", "tls://10.0.0.5:8786")
    assert load_clusters().default == "my-address"
    lepton("use", "hand")
    assert load_clusters().default == "hand"
    assert [row["name"] for row in lepton("list")] == ["local", "hand", "my-address"]
    assert clusters_file().stat().st_mode & 0o077 == 0
    lepton("forget", "hand")
    assert load_clusters().default == "local"
    with pytest.raises(RequestError, match="Did you mean my-address"):
        lepton("forget", "my-adress")


def test_runs_that_name_no_cluster_go_to_the_chosen_one() -> None:
    lepton("use", "tcp://127.0.0.1:8786", "--name", "hand")
    plan = {"task": "text-classification", "model": "sample:minilm", "dataset": "sample:movie-sentiment"}
    problems: list[str] = []
    for options, wanted in (({}, "hand"), ({"cluster": "local"}, "local"), ({"cluster": "hand"}, "hand")):
        try:
            assert prepare(build_recipe("train", {**plan, **options})).resources.cluster == wanted
        except RequestError as error:  # samples may not be installed here
            problems += [str(each) for each in error.problems if each.where == "resources.cluster"]
    assert problems == []


def test_an_unknown_cluster_is_refused_with_the_nearest() -> None:
    lepton("use", "tcp://127.0.0.1:8786", "--name", "hand")
    recipe = build_recipe("train", {"task": "text-classification", "model": "x", "dataset": "y", "cluster": "hnd"})
    with pytest.raises(RequestError, match="Did you mean hand"):
        prepare(recipe)


@pytest.mark.parametrize(
    "words",
    [
        ("ssh", "--host", "me:hunter22hunter@gpu", "--python", "https://me:hunter22hunter@x/"),
        ("gateway", "--address", "https://hub.example.org", "--setting", "token=hf_" + "a1B2" * 8),
        ("address", "--address", "tls://a:1", "--ca-file", "x", "--name", "Not A Name"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_saved(words: tuple[str, ...]) -> None:
    with pytest.raises(RequestError) as caught:
        lepton("use", *words)
    assert "hunter22" not in str(caught.value)
    assert "hf_" not in str(caught.value)
    assert not clusters_file().exists()


def test_a_paid_cluster_says_what_it_costs_who_pays_and_when_it_stops(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = lepton("use", "aws", "--image", "lab:1", "--instance-type", "g5.xlarge", "--workers", "3")
    assert f"{3 * 1.006 + 0.0416:.2f} USD an hour" in told["price"]
    assert "edit me" in told["price"]
    assert "15 minutes" in told["stops"]
    (place / "home" / "prices.yaml").write_text("currency: EUR\nas_of: today\naws: {g5.xlarge: 2.5}\n")
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    told = lepton("use", "my-aws")
    assert "7.50 EUR an hour, without t3.medium" in told["price"]
    assert "shared hub" in told["paid_by"]
    assert "ada" in told["paid_by"]
    (place / "home" / "prices.yaml").write_text("aws: {g5.xlarge: cheap}\n")
    with pytest.raises(RequestError, match="is no number"):
        lepton("use", "my-aws")


def test_a_saved_cluster_is_rendered() -> None:
    lepton("use", "kubernetes", "--image", "lab:1", "--allow-plain-tcp", "--name", "pods")
    cluster, policy = yaml.safe_load_all(lepton("render", "pods"))
    assert (cluster["kind"], policy["kind"]) == ("DaskCluster", "NetworkPolicy")


def test_a_broken_file_of_clusters_is_named() -> None:
    clusters_file().parent.mkdir(parents=True)
    clusters_file().write_text("clusters: [1, 2")
    with pytest.raises(RequestError, match="clusters.yaml"):
        lepton("list")


@pytest.mark.parametrize("name", provider_names())
def test_every_providers_example_is_understood(name: str) -> None:
    words = ["use", *load_provider(name).example.split()]
    context = cli.make_context("lepton", ["cluster", *words], resilient_parsing=True)
    command: Any = cli
    rest = ["cluster", *words]
    while hasattr(command, "resolve_command"):
        _, command, rest = command.resolve_command(context, rest)
    found = command.make_context(name, rest, parent=context)
    assert any(value not in (None, ()) for value in found.params.values()) or name == "local"


def test_certificates_are_for_this_user_only(place: Path) -> None:
    text = lepton("certificates", str(place / "tls"))
    files = sorted(each.name for each in (place / "tls").iterdir())
    assert files == ["authority.pem", "cluster.key", "cluster.pem"]
    assert all(each.stat().st_mode & 0o077 == 0 for each in (place / "tls").iterdir())
    assert "dask scheduler --protocol tls" in text
    with pytest.raises(RequestError, match="not empty"):
        lepton("certificates", str(place / "tls"))


def test_status_shows_workers_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"python": "3.11.9", "torch": "2.9.0", "transformers": "5.23.0", "peft": "0.18.0"}
    workers = [
        {"address": f"tcp://10.0.0.{number}:40001", "host": f"gpu{number}", "devices": ["cuda:0", "cuda:1"][:number],
         "versions": versions, "shares_home": number == 1}
        for number in (1, 2)
    ]  # fmt: skip
    status = {"cluster": "running", "workers": workers, "running": ["abcd1234"]}
    monkeypatch.setattr("lepton_lab.dispatch.cluster_status", lambda word: status)
    told = lepton("status")
    assert told.text().splitlines()[-3:] == [
        "worker                host  devices         python  torch  transformers  disk",
        "tcp://10.0.0.1:40001  gpu1  cuda:0          3.11.9  2.9.0  5.23.0        shared",
        "tcp://10.0.0.2:40001  gpu2  cuda:0, cuda:1  3.11.9  2.9.0  5.23.0        its own",
    ]
    assert told.plain() == status


@pytest.mark.parametrize(
    "word",
    ["tcp://{}@scheduler:8786", "tls://me:{}@scheduler:8786", "address:tcp://{}@x:1"],
    ids=["tcp", "tls", "word"],  # short: there are sockets below the test's folder
)
def test_tokens(word: str) -> None:
    for command in ("status", "render", "use"):
        with pytest.raises(RequestError, match="must hold no secret") as caught:
            lepton(command, word.format("planted-token-0123456789"))
        assert "planted" not in str(caught.value)
    assert not clusters_file().exists()
