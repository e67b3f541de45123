"""One run, sent to MLflow: what the record has and the server lacks.

The run is found there by the tag ``lepton.run``. Of a metric, steps only rise: a step that a resumed attempt
computed again was logged before and is not logged a second time. Whether the last batch arrived is not known
after a crash or an error; then the server is asked how far each metric is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..promotion import VERSION_KINDS, verdict_of
from ..recipe import Recipe
from ..recipe.recipe import SECTIONS_BY_KIND
from ..record import ENDED, Event, RunFolder, RunTail, RunView
from ..redaction import redact
from .cursor import Cursor
from .target import Target
from .versions import register

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_STATES = {"queued": "SCHEDULED", "succeeded": "FINISHED", "failed": "FAILED", "lost": "FAILED", "cancelled": "KILLED"}
_TAGS = ("kind", "task", "model", "parent", "status", "reason", "message", "attempt")
# Limits of MLflow's batches and values.
_METRICS_AT_ONCE, _PARAMS_AT_ONCE = 1000, 100
_LONGEST_PARAM, _LONGEST_TAG = 500, 5000
_NOT_IN_NAMES = re.compile(r"[^\w./ -]", re.ASCII)


class Transfer:
    """Sends one run, a bit at each :meth:`advance`. ``failures`` counts those that raised."""

    def __init__(self, target: Target, cursor: Cursor) -> None:
        self.failures = 0
        self._target, self._cursor = target, cursor
        self._folder = RunFolder.named(cursor.run)
        self._tail: RunTail | None = None
        self._points: list[Metric] = []
        self._last: dict[str, int] = {}
        self._is_sure = False
        self._has_final_points = False
        self._has_news = True

    @property
    def is_stuck(self) -> bool:
        """Whether nothing more is to be expected of the run, though it has not ended: nobody works on it."""
        return self._tail is not None and self._tail.view.status == "lost"

    def advance(self) -> None:
        """Send what is new; close the cursor when the run is over and everything is there.

        Raises whatever MLflow's client raises; the next call goes on.
        """
        if not (self._folder.path / "run.json").is_file():
            self._cursor.close(self._target)  # deleted: what is there stays there
            return
        if self._tail is None:
            self._tail = RunTail(self._folder)
        final = self._folder.final()
        fresh = self._tail.read()
        view = self._tail.view
        is_whole = final is not None and not fresh
        self._points += _points(fresh)
        if is_whole and not self._has_final_points:
            self._points += _final_points(view)
            self._has_final_points = True
        self._has_news = self._has_news or bool(fresh) or is_whole or self._state_of(view) != self._cursor.state
        if not self._has_news:
            return
        client = self._client()
        if not self._cursor.mlflow_run:
            self._cursor.mlflow_run = self._find_run(client) or self._create_run(client, view)
            self._cursor.write(self._target)
        if not self._cursor.has_params:
            self._send_params(client)
        self._send_points(client)
        self._send_reports(client, view)
        self._send_state(client, view)
        if is_whole:
            self._send_model(client, view)
            self._end(client, view)
            self._cursor.close(self._target)
            self._has_final_points = False  # it may be resumed, and end again
        self._has_news = False

    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(self._target.uri, self._target.uri)

    def _find_run(self, client: MlflowClient) -> str:
        found = client.search_runs([self._experiment(client)], f"tags.`lepton.run` = '{self._cursor.run}'")
        return str(found[0].info.run_id) if found else ""

    def _create_run(self, client: MlflowClient, view: RunView) -> str:
        tags = {"lepton.run": view.run, "mlflow.source.name": "lepton-lab", "mlflow.note.content": view.notes}
        tags |= {f"lepton.tag.{_NOT_IN_NAMES.sub('_', tag)}": "true" for tag in view.tags}
        parent = Cursor.read(self._target, view.parent) if view.parent else None
        if parent is not None and parent.mlflow_run:
            tags["mlflow.parentRunId"] = parent.mlflow_run
        name = redact(view.name or f"{view.kind} {view.run}")
        tags = {key: redact(value)[:_LONGEST_TAG] for key, value in tags.items() if value}
        experiment = self._experiment(client)
        created = client.create_run(experiment, _milliseconds(view.created), tags=tags, run_name=name)
        self._is_sure = True  # nothing is there yet
        return str(created.info.run_id)

    def _experiment(self, client: MlflowClient) -> str:
        from mlflow.exceptions import MlflowException

        name = self._cursor.experiment
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(client.create_experiment(name, artifact_location=self._target.artifact_location()))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)  # somebody else was faster

    def _send_params(self, client: MlflowClient) -> None:
        from mlflow.entities import Param

        params = [Param(name, value) for name, value in _params(self._folder.recipe())]
        for start in range(0, len(params), _PARAMS_AT_ONCE):
            client.log_batch(self._cursor.mlflow_run, params=params[start : start + _PARAMS_AT_ONCE])
        self._cursor.has_params = True
        self._cursor.write(self._target)

    def _send_points(self, client: MlflowClient) -> None:
        if not self._points:
            return
        if not self._is_sure:
            names = client.get_run(self._cursor.mlflow_run).data.metrics
            histories = {name: client.get_metric_history(self._cursor.mlflow_run, name) for name in names}
            self._last = {name: max(point.step for point in points) for name, points in histories.items()}
        self._is_sure = False
        while self._points:
            batch: list[Metric] = []
            last = dict(self._last)
            part = self._points[:_METRICS_AT_ONCE]
            for point in part:
                if point.step > last.get(point.key, -1):
                    last[point.key] = point.step
                    batch.append(point)
            if batch:
                client.log_batch(self._cursor.mlflow_run, metrics=batch)
            self._last = last
            del self._points[: len(part)]
        self._is_sure = True

    def _send_reports(self, client: MlflowClient, view: RunView) -> None:
        for name, content in view.reports.items():
            text = redact(json.dumps(content, ensure_ascii=False, indent=2))
            file, digest = f"reports/{_NOT_IN_NAMES.sub('_', name)}.json", hashlib.sha256(text.encode()).hexdigest()
            if self._cursor.sent.get(file) != digest:
                client.log_text(self._cursor.mlflow_run, text, file)
                self._sent(file, digest)

    def _send_state(self, client: MlflowClient, view: RunView) -> None:
        from mlflow.entities import RunTag

        state = self._state_of(view)
        if state == self._cursor.state:
            return
        values = {name: getattr(view, name) for name in _TAGS}
        tags = [RunTag(f"lepton.{name}", redact(str(value))[:_LONGEST_TAG]) for name, value in values.items() if value]
        client.log_batch(self._cursor.mlflow_run, tags=tags)
        if view.status not in ENDED:
            client.update_run(self._cursor.mlflow_run, status=_STATES.get(view.status, "RUNNING"))
        self._cursor.state = state
        self._cursor.write(self._target)

    @staticmethod
    def _state_of(view: RunView) -> str:
        return f"{view.status} {view.attempt}"

    def _send_model(self, client: MlflowClient, view: RunView) -> None:
        found = view.artifacts.get("compiled") or view.artifacts.get("model")
        path = self._folder.path / found["path"] if found else None
        if view.status != "succeeded" or found is None or path is None or view.kind not in VERSION_KINDS:
            return
        if self._cursor.sent.get("model") != found["digest"]:
            if not path.is_dir():
                return  # pruned before it was sent
            client.log_artifacts(self._cursor.mlflow_run, str(path), "model")
            self._sent("model", found["digest"])
        if verdict_of(view.metrics) != "fail":
            register(client, self._cursor.mlflow_run, view)

    def _end(self, client: MlflowClient, view: RunView) -> None:
        ended = _milliseconds(view.ended or view.as_of)
        client.set_terminated(self._cursor.mlflow_run, _STATES[view.status], end_time=ended)

    def _sent(self, name: str, digest: str) -> None:
        self._cursor.sent[name] = digest
        self._cursor.write(self._target)


def _points(events: list[Event]) -> Iterator[Metric]:
    from mlflow.entities import Metric

    for event in events:
        if event.kind == "metric":
            for name, value in event.body["values"].items():
                if isinstance(value, (int, float)):
                    key = _NOT_IN_NAMES.sub("_", name)
                    yield Metric(key, float(value), _milliseconds(event.time), int(event.body["step"]))


def _final_points(view: RunView) -> Iterator[Metric]:
    """The final numbers; one that is also a curve gets a name of its own, or it would be a point of that."""
    from mlflow.entities import Metric

    when = _milliseconds(view.ended or view.as_of)
    for name, value in view.metrics.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            key = _NOT_IN_NAMES.sub("_", f"final_{name}" if name in view.series else name)
            yield Metric(key, float(value), when, view.step)


def _params(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The recipe's fields by path, as far as they are set."""
    values = recipe.to_dict()
    for name in ("kind", "task", "model", "seed", *SECTIONS_BY_KIND[recipe.kind]):
        value: Any = values[name]
        fields = {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
        for path, each in fields.items():
            if each not in (None, "", [], {}):
                text = ", ".join(map(str, each)) if isinstance(each, list) else str(each)
                yield path, redact(text)[:_LONGEST_PARAM]


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
