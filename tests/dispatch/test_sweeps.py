"""Sweeps with a real agent, a real controller and real processes; what a trial comes to is made up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from lepton_lab import lab as facade
from lepton_lab import samples, tracking
from lepton_lab.commands import Seat, run_words
from lepton_lab.dispatch import collect_environment, handing, request_cancel, stop_cluster
from lepton_lab.dispatch.handing import hand_over
from lepton_lab.errors import RequestError
from lepton_lab.recipe import build_recipe
from lepton_lab.record import RunFolder, children_of, read_json, view_of
from lepton_lab.widgets.card import card_html

from .typed import running

PLAN = {"task": "text-classification", "model": "sample:minilm", "dataset": "sample:movie-sentiment"}
SEARCH = {"search": ["lr=1e-5..1e-1:log", "lora_r=4,8"], "metric": "accuracy", "direction": "maximize"}


def start(words: str, **options: Any) -> RunFolder:
    recipe = build_recipe("sweep", {**PLAN, **SEARCH, "name": words, **options})
    folder = RunFolder.create(recipe)
    hand_over(folder, recipe, collect_environment(), [], worker_module="lepton_fake_sweep")
    return folder


def trials_of(sweep: RunFolder) -> list[RunFolder]:
    return children_of(sweep.run)


def numbers_of(sweep: RunFolder) -> Counter[int]:
    return Counter(folder.header()["submitter"]["trial"] for folder in trials_of(sweep))


def test_a_sweep_runs_its_trials_and_names_the_best(lab: Any, wait_until: Callable[..., Any]) -> None:
    sweep = start("scores", trials=5, tags=["spring"])
    wait_until(sweep.final, 60)
    view = view_of(sweep)
    assert (view.status, view.message) == ("succeeded", "")
    assert (view.step, view.max_steps) == (5, 5)
    report = view.reports["sweep"]
    values = {row["run"]: row["value"] for row in report["trials"]}
    assert len(values) == 5
    assert view.metrics["best_value"] == max(values.values())
    assert values[view.metrics["best_run"]] == max(values.values())
    assert list(view.series["best_value"].values) == sorted(view.series["best_value"].values)
    best = RunFolder.named(view.metrics["best_run"])
    recipe = best.recipe()
    assert recipe.train.learning_rate == report["best"]["parameters"]["learning_rate"]
    assert (recipe.kind, recipe.parent, recipe.tags) == ("train", None, ["spring"])
    assert best.header()["parent"] == sweep.run
    assert facade.model_run(facade.attach(sweep.run)).id == best.run
    log = (sweep.attempt(1).path / "worker.log").read_text()
    assert not log, log  # the controller imported no torch, and complained of nothing


def test_a_grid_is_tried_whole_and_a_failed_trial_is_no_failed_sweep(lab: Any, wait_until: Callable[..., Any]) -> None:
    sweep = start("scores fails 1", search=["lr=1e-6,1e-3", "lora_r=4,8"], sampler="grid", parallel=2)
    wait_until(sweep.final, 60)
    view = view_of(sweep)
    assert view.status == "succeeded"
    rows = view.reports["sweep"]["trials"]
    tried = [(row["parameters"]["learning_rate"], row["parameters"]["lora_r"]) for row in rows]
    assert tried == [(1e-6, 4), (1e-6, 8), (1e-3, 4), (1e-3, 8)]
    assert [row["state"] for row in rows] == ["failed", "failed", "complete", "complete"]
    assert "it went wrong" in rows[0]["message"]
    assert view.metrics["best_trial"] == 3
    assert (view.metrics["complete"], view.metrics["failed"]) == (2, 2)


def test_a_sweep_fails_when_every_trial_does(lab: Any, wait_until: Callable[..., Any]) -> None:
    sweep = start("fail", trials=2)
    wait_until(sweep.final, 60)
    view = view_of(sweep)
    assert (view.status, view.reason) == ("failed", "request")
    assert "no trial of the sweep ended well" in view.message
    assert "it went wrong" in view.message


def test_what_leads_nowhere_is_pruned(lab: Any, wait_until: Callable[..., Any]) -> None:
    rates = "lr=1e-3,1.1e-3,1.2e-3,1.3e-3,1.4e-3,1e-6"
    sweep = start("scores 15 p40", search=[rates], sampler="grid", pruner="median", parallel=1)
    wait_until(sweep.final, 60)
    rows = view_of(sweep).reports["sweep"]["trials"]
    assert rows[-1]["state"] == "pruned", rows
    pruned = view_of(RunFolder.named(rows[-1]["run"]))
    assert (pruned.status, pruned.reason) == ("cancelled", "pruned")
    assert "pruned after evaluation" in pruned.message
    assert rows[-1]["message"] == pruned.message
    assert view_of(sweep).metrics["pruned"] >= 1


def test_a_killed_controller_goes_on_and_runs_no_trial_twice(lab: Any, wait_until: Callable[..., Any]) -> None:
    sweep = start("scores 40 p20", trials=4, parallel=1)
    wait_until(lambda: view_of(sweep).step >= 1, 30)
    wait_until(lambda: len(trials_of(sweep)) == 2, 30)
    worker = read_json(sweep.attempt(1).path / "supervisor.json")["worker"]["pid"]
    os.kill(worker, signal.SIGKILL)
    wait_until(sweep.final, 60)
    view = view_of(sweep)
    assert (view.status, view.attempt) == ("succeeded", 2), view.message
    assert numbers_of(sweep) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert all(len(folder.attempts()) == 1 for folder in trials_of(sweep))
    steps = [event.body["step"] for event in sweep.events() if event.kind == "metric"]
    assert steps == [1, 2, 3, 4]
    assert sweep.attempt(1).ended()["checkpoint"] >= 1


def test_a_killed_sweep_draws_what_it_would_have_drawn(lab: Any, wait_until: Callable[..., Any]) -> None:
    whole, cut = start("scores 2", trials=3, parallel=1), start("scores 2", trials=3, parallel=1)
    wait_until(lambda: view_of(cut).step >= 1, 60)
    os.kill(read_json(cut.attempt(1).path / "supervisor.json")["worker"]["pid"], signal.SIGKILL)
    wait_until(whole.final, 60)
    wait_until(cut.final, 60)
    drawn = [[row["parameters"] for row in view_of(each).reports["sweep"]["trials"]] for each in (whole, cut)]
    assert drawn[0] == drawn[1]


def test_cancelling_a_sweep_cancels_its_trials(lab: Any, wait_until: Callable[..., Any]) -> None:
    sweep = start("scores 1000 p20", trials=4, parallel=2)
    wait_until(lambda: any(view_of(each).step for each in trials_of(sweep)), 30)
    wishes: list[Callable[[], object]] = [
        lambda: facade.promote(sweep.run, alias="champion"),
        lambda: facade.predict(sweep.run, "a fine film"),
        lambda: facade.plan("compile", {"parent": sweep.run}),
        lambda: facade.plan("benchmark", {"parent": sweep.run}),
    ]
    for wish in wishes:
        with pytest.raises(RequestError, match=r"is known when it ends, got a sweep that is running. Wait for it"):
            wish()
    with pytest.raises(RequestError, match="only a training saves checkpoints"):
        facade.checkpoint(sweep.run)
    request_cancel(sweep)
    wait_until(sweep.final, 30)
    assert view_of(sweep).status == "cancelled"
    for trial in trials_of(sweep):
        assert wait_until(trial.final, 15)["status"] == "cancelled"
    rows = view_of(sweep).reports["sweep"]["trials"]
    assert [row["state"] for row in rows] == ["cancelled"] * len(rows)
    with pytest.raises(RequestError, match="has no best trial, got a sweep that is cancelled"):
        facade.promote(sweep.run, alias="champion")
    with pytest.raises(facade.RunCancelled):
        facade.model_run(facade.attach(sweep.run))


def test_a_cancelled_sweep_that_is_resumed_goes_on_with_its_trials(lab: Any, wait_until: Callable[..., Any]) -> None:
    sweep = start("scores 60 p20 saves", trials=3, parallel=1)
    wait_until(lambda: view_of(sweep).step >= 1, 60)
    wait_until(lambda: len(trials_of(sweep)) == 2 and view_of(trials_of(sweep)[1]).step > 10, 30)
    request_cancel(sweep)
    wait_until(sweep.final, 30)
    assert [row["state"] for row in view_of(sweep).reports["sweep"]["trials"]] == ["complete", "cancelled"]
    facade.attach(sweep.run).resume()
    wait_until(sweep.final, 60)
    view = view_of(sweep)
    assert (view.status, view.attempt) == ("succeeded", 2), view.message
    assert [row["state"] for row in view.reports["sweep"]["trials"]] == ["complete"] * 3
    assert numbers_of(sweep) == {1: 1, 2: 1, 3: 1}
    assert [len(folder.attempts()) for folder in trials_of(sweep)] == [1, 2, 1]
    assert [event.body["step"] for event in sweep.events() if event.kind == "metric"] == [1, 2, 3]


def test_a_trial_that_somebody_cancels_is_told_as_such(lab: Any, wait_until: Callable[..., Any]) -> None:
    sweep = start("scores 40 p20", trials=2, parallel=1)
    first = wait_until(lambda: trials_of(sweep) and trials_of(sweep)[0], 30)
    wait_until(lambda: view_of(first).step, 30)
    facade.cancel(first.run)
    wait_until(sweep.final, 60)
    view = view_of(sweep)
    assert [row["state"] for row in view.reports["sweep"]["trials"]] == ["cancelled", "complete"]
    assert view.metrics["best_trial"] == 2


def test_as_many_trials_run_as_there_are_free_devices(
    fresh_lab: Any, hands: ExitStack, wait_until: Callable[..., Any]
) -> None:
    path = fresh_lab.folder / "scheduler.json"
    file = f"--scheduler-file {path} --no-dashboard"
    hands.enter_context(running(f"dask scheduler --host 127.0.0.1 --port 0 {file}", "Scheduler at", fresh_lab.folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")  # nothing here computes on them
        hands.enter_context(running(f"dask worker {file} --nthreads 3", "Registered to", fresh_lab.folder))
    cluster = f"scheduler-file:{path}"
    hands.callback(stop_cluster, True, cluster)
    sweep = start("scores 500 p20", trials=4, cluster=cluster, check_workers=False)

    def states() -> list[str]:
        return [row["state"] for row in view_of(sweep).reports.get("sweep", {}).get("trials", [])]

    wait_until(lambda: states().count("running") == 3, 60)
    wait_until(sweep.final, 60)
    assert states() == ["complete"] * 4


def test_a_sweep_leaves_the_only_device_to_its_trials(lab: Any, wait_until: Callable[..., Any]) -> None:
    first, second = start("scores 30 p20", trials=2), start("scores 5", trials=2)
    wait_until(lambda: view_of(first).status == view_of(second).status == "running", 30)
    wait_until(first.final, 60)
    wait_until(second.final, 60)
    assert view_of(first).status == view_of(second).status == "succeeded"


@pytest.mark.slow
def test_a_mirrored_sweep_stands_above_its_trials(
    lab: Any, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("LEPTON_REPORT_TO", "mlflow")  # of this submitter, not of the agent that runs already
    monkeypatch.setattr(handing, "CONTROLLERS", {"sweep": "lepton_fake_sweep"})
    plan = {**PLAN, **SEARCH, "name": "scores 3", "trials": 3}
    sweep = facade.start(build_recipe("sweep", plan)).folder
    wait_until(sweep.final, 60)
    target = tracking.Target.here()
    wait_until(lambda: len(tracking.done_runs(target)) == 4, 180)
    asked = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PARENTS, target.uri], capture_output=True, text=True, timeout=120
    )
    found = json.loads(asked.stdout)
    assert found == {sweep.run: None, **dict.fromkeys((folder.run for folder in trials_of(sweep)), sweep.run)}
    tracking.stop_mirrors()


# In a process of its own: MLflow's imports warn.
_PARENTS = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1], sys.argv[1])
runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
names = {run.info.run_id: run.data.tags["lepton.run"] for run in runs}
print(json.dumps({names[run.info.run_id]: names.get(run.data.tags.get("mlflow.parentRunId")) for run in runs}))
"""


@pytest.mark.slow
def test_a_sweep_of_real_trainings_answers_with_its_best(lab: Any, wait_until: Callable[..., Any]) -> None:
    samples.install("minilm")
    rows = [f"a {word} film number {number},{word}" for number in range(30) for word in ("fine", "dull")]
    reviews = lab.folder / "reviews.csv"
    reviews.write_text("\n".join(["text,label", *rows]))
    plan = {"task": "text-classification", "model": "sample:minilm", "dataset": str(reviews), "batch_size": 8}
    output = lab.folder / "model"
    search = {"search": {"lr": "1e-5..1e-3:log", "epochs": [1, 2]}, "trials": 3}
    sweep = facade.sweep(**plan, **search, max_length=16, output_dir=output).wait(timeout=280)
    sweep.raise_for_status()
    assert [child.status for child in sweep.children()] == ["succeeded"] * 3
    best = sweep.metrics["best_run"]
    assert sweep.metrics["best_value"] == max(child.metrics["eval_accuracy"] for child in sweep.children())
    assert sweep.model_dir == facade.attach(best).model_dir
    assert (output / "lepton.json").is_file()
    assert facade.load(sweep).spec.run == best
    assert facade.plan("compile", {"parent": sweep.id}).parent == best
    assert facade.attach("last").id == sweep.id
    shown = run_words(["show", sweep.id], Seat()).text()
    assert "Trials" in shown
    assert best in shown
    assert "trial" in card_html(sweep.view()).lower()
    assert sweep.figure("trials").data


def test_what_a_sweep_cannot_do_is_said_at_submit_all_at_once(lab: Any) -> None:
    wishes = {"search": ["lr=1e-5..1e-3", "lora_r=0,4", "lorra=1..2"], "metric": "acuracy", "sampler": "grid"}
    with pytest.raises(RequestError) as caught:
        facade.plan("sweep", {**PLAN, "model": str(lab.folder / "none"), "eval_strategy": "no", **wishes})
    said = "\n".join(map(str, caught.value.problems))
    for words in (
        "lora_r must be ≥ 1, got '0'",
        "Did you mean lora_r?",
        "Did you mean accuracy?",
        "by their evaluations",
    ):
        assert words in said
