"""What a tracking server has, asked with MLflow's own client."""

from __future__ import annotations

from typing import Any

from lepton_lab.tracking import Target


def client(uri: str | None = None) -> Any:
    from mlflow import MlflowClient

    uri = uri or Target.here().uri
    return MlflowClient(uri, uri)


def runs_there(uri: str | None = None) -> list[Any]:
    """Every run of every experiment."""
    there = client(uri)
    experiments = [each.experiment_id for each in there.search_experiments()]
    return list(there.search_runs(experiments)) if experiments else []


def steps_there(run: Any, name: str, uri: str | None = None) -> list[int]:
    """The steps of a curve, as logged."""
    return [point.step for point in client(uri).get_metric_history(run.info.run_id, name)]
