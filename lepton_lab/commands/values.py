"""What an option or argument takes, and which values Tab offers for it. Nothing heavy is imported."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from ..recipe import Flag

    _TextType = click.ParamType[str]
else:
    _TextType = click.ParamType  # generic only since click 8.4

_FRAME_TYPES = {
    "pandas": ("DataFrame",),
    "polars": ("DataFrame", "LazyFrame"),
    "pyarrow": ("Table",),
    "datasets": ("Dataset", "DatasetDict"),
}
_DATA_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Candidate:
    """One thing that Tab offers. ``is_whole`` is False where typing goes on (a folder)."""

    value: str
    help: str = ""
    is_whole: bool = True


@dataclass(frozen=True)
class Typed:
    """What stands on the line so far: the notebook's variables, and options by path with their text."""

    namespace: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)


class Value(_TextType):
    """A text that Tab can complete."""

    name = "text"

    def __init__(self, metavar: str = "") -> None:
        if metavar:
            self.name = metavar.lower()

    def candidates(self, incomplete: str, typed: Typed) -> Iterable[Candidate]:
        """What could stand here; may give more than begins with ``incomplete``."""
        return ()

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Click's own door to :meth:`candidates`."""
        found = self.candidates(incomplete, Typed())
        return [CompletionItem(each.value, help=each.help) for each in found if each.value.startswith(incomplete)]


class OneOf(Value):
    """One of a few words; the command checks them."""

    def __init__(self, *words: str) -> None:
        super().__init__("|".join(words))
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word; any other is refused with the nearest one."""
        if value not in self.words:
            from ..recipe import nearest

            guess = nearest(str(value), self.words)
            self.fail(f"{value!r} is not {' or '.join(self.words)}." + (f" Did you mean {guess}?" if guess else ""))
        return str(value)

    def candidates(self, incomplete: str, typed: Typed) -> Iterable[Candidate]:
        """The words."""
        return [Candidate(word) for word in self.words]


class FileValue(Value):
    """A path; ``endings`` narrow what is offered, folders always are."""

    def __init__(self, metavar: str = "PATH", endings: tuple[str, ...] = ()) -> None:
        super().__init__(metavar)
        self.endings = endings

    def candidates(self, incomplete: str, typed: Typed) -> Iterable[Candidate]:
        """Files and folders that go on from ``incomplete``."""
        return paths(incomplete, self.endings)


class AliasValue(Value):
    """An alias: one that is there, or a new one."""

    def __init__(self) -> None:
        super().__init__("ALIAS")

    def candidates(self, incomplete: str, typed: Typed) -> Iterable[Candidate]:
        """The aliases that name a run."""
        return _aliases()


class RunValue(Value):
    """A run's id, alias, name or prefix, or ``last``. ``kinds`` and ``only_living`` narrow what is offered."""

    def __init__(self, kinds: tuple[str, ...] = (), only_living: bool = False) -> None:
        super().__init__("RUN")
        self.kinds = kinds
        self.only_living = only_living

    def candidates(self, incomplete: str, typed: Typed) -> Iterable[Candidate]:
        """``last`` and the aliases, then the newest runs by id and name."""
        from ..record import ENDED, list_runs

        yield Candidate("last", "the newest training run from here")
        if not self.only_living:  # an alias names a run that has ended
            yield from _aliases()
        for row in list_runs(100):
            if (self.kinds and row["kind"] not in self.kinds) or (self.only_living and row["status"] in ENDED):
                continue
            about = " ".join(str(row[key]) for key in ("name", "kind", "status", "task", "model") if row.get(key))
            yield Candidate(row["run"], about)
            if row.get("name"):
                yield Candidate(row["name"], f"{row['run']} {row['status']}")


class ClusterValue(Value):
    """A saved cluster, an address or a provider."""

    def __init__(self) -> None:
        super().__init__("NAME")

    def candidates(self, incomplete: str, typed: Typed) -> Iterable[Candidate]:
        """What :data:`resources.cluster` offers."""
        return _clusters(incomplete, typed)


class SampleValue(Value):
    """The name of a sample."""

    def candidates(self, incomplete: str, typed: Typed) -> Iterable[Candidate]:
        """Every sample of the catalogue."""
        return samples("")


class FieldValue(Value):
    """The text of a recipe field. The recipe turns it into a number and checks it."""

    def __init__(self, flag: Flag) -> None:
        super().__init__(
            "|".join(flag.choices) or {"int": "INTEGER", "float": "NUMBER", "str": "TEXT"}[flag.value_type]
        )
        self.flag = flag

    def candidates(self, incomplete: str, typed: Typed) -> Iterable[Candidate]:
        """The field's choices, or what this field's meaning offers."""
        if self.flag.choices:
            return [Candidate(choice) for choice in self.flag.choices]
        path = self.flag.path
        if path in _OFFERS:
            return _OFFERS[path](incomplete, typed)
        if path.endswith("_column"):
            return columns(typed)
        default = self.flag.default
        return [] if default is None or self.flag.many else [Candidate(str(default), "the default")]


def _aliases() -> Iterator[Candidate]:
    from ..record import aliases

    for word, move in aliases().items():
        yield Candidate(word, f"run {move.run}")


def samples(kind: str, prefix: str = "") -> Iterator[Candidate]:
    """Samples of a kind (``model``, ``data`` or any)."""
    from ..samples import catalog

    for each in catalog():
        if not kind or each.kind == kind:
            yield Candidate(prefix + each.name, each.title)


def frames(namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, object) of the tables among the notebook's variables; pandas is not imported to look."""
    for name, value in list(namespace.items()):
        library = type(value).__module__.partition(".")[0]
        if not name.startswith("_") and type(value).__name__ in _FRAME_TYPES.get(library, ()):
            yield name, value


def paths(incomplete: str, endings: tuple[str, ...] = ()) -> Iterator[Candidate]:
    """Files and folders that go on from ``incomplete``, folders with a slash."""
    shown, _, start = incomplete.rpartition("/")
    shown += "/" if "/" in incomplete else ""
    folder = Path(os.path.expanduser(shown or "."))
    with contextlib.suppress(OSError):  # a folder that cannot be read offers nothing
        for each in sorted(folder.iterdir()):
            if not each.name.startswith(start) or (each.name.startswith(".") and not start):
                continue
            if each.is_dir():
                yield Candidate(f"{shown}{each.name}/", "folder", is_whole=False)
            elif not endings or each.name.lower().endswith(endings):
                yield Candidate(shown + each.name, "file")


def columns(typed: Typed) -> Iterator[Candidate]:
    """Columns of the data set named on the line: of a table in the notebook, or a CSV's header."""
    word = typed.given.get("data.dataset", "")
    for name, table in frames(typed.namespace):
        if name == word.removeprefix("var:"):
            names: Any = getattr(table, "column_names", None)
            if not isinstance(names, list):
                names = [] if isinstance(names, Mapping) else getattr(table, "columns", [])
            yield from (Candidate(str(each)) for each in names)
            return
    path = Path(word.removeprefix("file:")).expanduser()
    if path.suffix.lower() in (".csv", ".tsv"):
        with (
            contextlib.suppress(OSError, UnicodeDecodeError, StopIteration),
            path.open(newline="", encoding="utf-8-sig") as file,
        ):
            header = next(csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
            yield from (Candidate(each.strip()) for each in header)


def _datasets(incomplete: str, typed: Typed) -> Iterator[Candidate]:
    prefix = "var:" if incomplete.startswith("var:") else ""
    for name, table in frames(typed.namespace):
        yield Candidate(prefix + name, f"{type(table).__name__} of this notebook")
    yield from samples("data", "sample:")
    prefix = "file:" if incomplete.startswith("file:") else ""
    for each in paths(incomplete.removeprefix("file:"), _DATA_ENDINGS):
        yield Candidate(prefix + each.value, each.help, each.is_whole)


def _models(incomplete: str, typed: Typed) -> Iterator[Candidate]:
    del typed
    yield from samples("model", "sample:")
    cache = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or "~/.cache/huggingface") / "hub"
    for folder in sorted(Path(cache).expanduser().glob("models--*")):
        yield Candidate(folder.name.removeprefix("models--").replace("--", "/"), "already downloaded")
    yield from (each for each in paths(incomplete) if not each.is_whole)


def _tasks(incomplete: str, typed: Typed) -> Iterator[Candidate]:
    del incomplete, typed
    from ..registry import task_names

    yield from (Candidate(name) for name in task_names())


def _backends(incomplete: str, typed: Typed) -> Iterator[Candidate]:
    del incomplete, typed
    from ..registry import backend_names

    yield Candidate("auto", "try those installed")
    yield from (Candidate(name) for name in backend_names())


def _metrics(incomplete: str, typed: Typed) -> Iterator[Candidate]:
    """Metrics of the task on the line, or of every task."""
    del incomplete
    from ..registry import load_task, task_names

    known = task_names()
    names = [each for each in known if each == typed.given.get("task")] or known
    yield from (
        Candidate(name) for name in dict.fromkeys(name for each in names for name in load_task(each).metric_names())
    )


def _layers(incomplete: str, typed: Typed) -> Iterator[Candidate]:
    """Layers of the model on the line, where its files are on this machine."""
    del incomplete
    from ..errors import RequestError
    from ..work.models.layers import short_names
    from ..work.models.source import local_model_dir

    with contextlib.suppress(RequestError):
        folder = local_model_dir(typed.given["model"]) if typed.given.get("model") else None
        yield from (Candidate(name) for name in (short_names(folder) if folder else ()))


def _folders(incomplete: str, typed: Typed) -> Iterator[Candidate]:
    del typed
    yield from (each for each in paths(incomplete) if not each.is_whole)


def _clusters(incomplete: str, typed: Typed) -> Iterator[Candidate]:
    del incomplete, typed
    from ..dispatch.providers.saved import load_clusters
    from ..errors import RequestError
    from ..registry import load_provider, provider_names

    with contextlib.suppress(RequestError):  # a file that cannot be read offers nothing
        yield from (Candidate(name, each.provider) for name, each in load_clusters().clusters.items())
    for name in provider_names():
        yield Candidate(name, load_provider(name).summary)
    yield from (Candidate(scheme, "address of a scheduler", is_whole=False) for scheme in ("tls://", "tcp://"))


def _parents(incomplete: str, typed: Typed) -> Iterable[Candidate]:
    return RunValue(kinds=("train", "sweep")).candidates(incomplete, typed)


_OFFERS = {
    "parent": _parents,
    "task": _tasks,
    "model": _models,
    "output_dir": _folders,
    "data.dataset": _datasets,
    "data.validation_dataset": _datasets,
    "data.test_dataset": _datasets,
    "train.resume_from_checkpoint": _folders,
    "train.metric_for_best_model": _metrics,
    "peft.target_modules": _layers,
    "compile.backend": _backends,
    "resources.cluster": _clusters,
}
