"""A run's model as a version of a registered model, with the aliases that the record gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..record import RunView, alias_history, aliases_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def model_name(view: RunView) -> str:
    """What the registered model is called where no alias names it."""
    return f"lepton-{view.task or 'model'}"


def register(client: MlflowClient, mlflow_run: str, view: RunView) -> None:
    """See to it that the run is one version of each model that it belongs to, with our aliases and no old ones.

    Aliases that somebody set there by hand stay.
    """
    wanted: dict[str, set[str]] = {}
    for word in aliases_of(view.run):
        name, _, alias = word.rpartition("@")
        wanted.setdefault(name or model_name(view), set()).add(alias)
    known = {version.name: version for version in client.search_model_versions(f"run_id = '{mlflow_run}'")}
    for name in {*(wanted or {model_name(view): set()}), *known}:
        version = known.get(name) or _create(client, name, mlflow_run, view)
        _set_aliases(client, name, str(version.version), wanted.get(name, set()), default=name == model_name(view))


def _create(client: MlflowClient, name: str, mlflow_run: str, view: RunView) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, tags={"lepton.task": str(view.task)})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(mlflow_run).info.artifact_uri}/model"
    tags = {"lepton.run": view.run, "lepton.kind": view.kind}
    return client.create_model_version(name, source, mlflow_run, tags=tags)


def _set_aliases(client: MlflowClient, name: str, version: str, wanted: set[str], default: bool) -> None:
    has = set(client.get_model_version(name, version).aliases)
    for alias in sorted(has - wanted):
        if alias_history(alias if default else f"{name}@{alias}"):
            client.delete_registered_model_alias(name, alias)
    for alias in sorted(wanted - has):
        client.set_registered_model_alias(name, alias, version)
