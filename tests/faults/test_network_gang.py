"""One training on two hosts without a shared disk, over TLS: see :mod:`tests.faults.test_network` for the hosts."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from lepton_lab.dispatch import collect_environment, hand_over
from lepton_lab.recipe import build_recipe
from lepton_lab.recipe.defaults import resolve_defaults
from lepton_lab.record import DISTURBED, RunFolder, digest_of, last_complete, view_of
from tests.dispatch.conftest import until
from tests.faults.test_network import NET, PORT, REASON, Network, network
from tests.work.test_batches import still
from tests.work.test_gang import weights_of

__all__ = ["network"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.skipif(bool(REASON), reason=REASON)]


def train(net: Network, model: str, **options: Any) -> RunFolder:
    """A training of rows of unequal length."""
    data = net.folder / "us" / "rows.csv"
    words = [f"the {'film ' * (number % 7 + 1)}was {word},{word}" for number in range(50) for word in ("great", "dull")]
    data.write_text("\n".join(["text,label", *words]))
    plan = {
        "task": "text-classification", "model": model, "dataset": f"file:{data}", "epochs": 2, "lr": 1e-3,
        "precision": "fp32", "logging_steps": 1, "cpus": 1, "cluster": f"tls://{NET}.2:{PORT}",
    }  # fmt: skip
    recipe = resolve_defaults(build_recipe("train", {**plan, **options}))
    folder = RunFolder.create(recipe)
    hand_over(folder, recipe, collect_environment(), [])
    return folder


def assert_model_is_here(folder: RunFolder) -> None:
    model = view_of(folder).artifacts["model"]
    assert digest_of(folder.path / model["path"]) == (model["digest"], model["bytes"])


def test_gang_of_two_hosts_learns_what_one_process_does_and_survives_the_loss_of_a_rank(
    network: Network,
    tiny_bert: Path,
    tmp_path: Path,
) -> None:
    """Data and model go to both hosts, checkpoints and the model come from the first."""
    model = still(tiny_bert, tmp_path)
    alone = train(network, model, batch_size=14)
    assert until(alone.final, 200)["status"] == "succeeded", view_of(alone).message
    gang = train(network, model, batch_size=7, machines=2)
    assert until(gang.final, 200)["status"] == "succeeded", view_of(gang).message
    addresses = {part.lease()["shipped_to"].split(":")[1] for part in (gang.attempt(1), gang.attempt(1, 1))}
    assert addresses == {f"//{NET}.3", f"//{NET}.4"}
    assert [gang.attempt(1, host).outcome()["status"] for host in (0, 1)] == ["succeeded", "succeeded"]
    assert_model_is_here(gang)
    one, two = view_of(alone), view_of(gang)
    assert two.series["loss"].steps == one.series["loss"].steps
    assert two.series["loss"].values == pytest.approx(one.series["loss"].values, rel=1e-3)
    expected, found = weights_of(alone.attempt(1)), weights_of(gang.attempt(1))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=2e-4, err_msg=name)

    folder = train(
        network, model, batch_size=7, machines=2, epochs=40, eval_strategy="no", save_strategy="steps", save_steps=20
    )
    until(lambda: (view_of(folder).step or 0) > 30 and last_complete(folder), 200)
    second = folder.attempt(1, 1).lease()["shipped_to"].split("//")[1].split(":")[0]
    for process in network.left_over():
        with contextlib.suppress(psutil.Error):
            host = process.environ()["LEPTON_HOME"].split("/")[-2]
            if "--rank" in process.cmdline() and {"one": f"{NET}.3", "two": f"{NET}.4"}.get(host) == second:
                process.kill()
    assert until(folder.final, 300)["status"] == "succeeded", view_of(folder).message
    ended = folder.attempt(1).ended()
    assert (ended["status"], ended["reason"]) == (DISTURBED, "rank")
    assert len(folder.attempts()) == 2
    view = view_of(folder)
    assert view.series["loss"].steps == list(range(1, view.max_steps + 1))
    assert_model_is_here(folder)
    until(lambda: not [each for each in network.left_over() if "lepton_lab.work" in " ".join(each.cmdline())], 60)
