"""``tasks`` and ``backends``: what a recipe can name."""

from __future__ import annotations

from typing import Any

from .command import LeptonCommand, json_option
from .results import Column, Rows


def _tasks(as_json: bool) -> Rows:
    from ..registry import load_task, task_names

    rows = []
    for name in task_names():
        task = load_task(name)
        columns = " or ".join(" + ".join(need.name for need in needs if need.required) for needs in task.needs)
        rows.append({"task": name, "title": task.title, "columns": columns, "metric": task.main_metric})
    shown = [Column("task", "task"), Column("title", "title"), Column("columns", "columns"), Column("metric", "metric")]
    return Rows(rows, shown, as_json=as_json)


def backend_rows() -> list[dict[str, Any]]:
    """Every backend: whether it works here, its packages that are missing, and what to do."""
    from ..registry import backend_names, load_backend

    rows = []
    for name in backend_names():
        try:
            backend = load_backend(name)
        except ImportError as error:  # a third party's, and broken
            rows.append({"backend": name, "works": False, "installed": False, "missing": [str(error)], "do": ""})
            continue
        missing = list(backend.missing())
        do = f"Run: {backend.install_command()}" if missing else backend.obstacle()
        row = {"backend": name, "works": not do, "installed": not missing, "missing": missing, "do": do}
        rows.append(row)
    return rows


def _backends(as_json: bool) -> Rows:
    columns = [
        Column("backend", "backend"),
        Column("works", "works here", lambda value: "yes" if value else "no"),
        Column("do", "to do"),
    ]
    return Rows(backend_rows(), columns, as_json=as_json)


tasks = LeptonCommand(
    "tasks",
    callback=_tasks,
    params=[json_option()],
    short_help="List the tasks that a model can learn.",
    help="List the tasks that a model can learn, the columns each needs and the metric it is judged by.",
)

backends = LeptonCommand(
    "backends",
    callback=_backends,
    params=[json_option()],
    short_help="List the backends that can run a compiled model.",
    help="List the backends that can run a compiled model, and how to install those that are missing.",
)
