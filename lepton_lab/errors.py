"""Everything that can go wrong, as one tree.

::

    LeptonError                     exit 1    HTTP 500
    ├── RequestError                exit 2    HTTP 422   what was asked cannot be done
    │   ├── RecipeError                                  an option is wrong or unknown
    │   ├── DataError                                    the data set cannot be used as asked
    │   ├── ModelError                                   the model cannot be used as asked
    │   ├── OutputError                                  the output folder or the disk cannot take the result
    │   │   └── DiskFull                                 the disk became full in the middle
    │   ├── MissingExtra                                 an optional package is not installed
    │   └── RunNotFound                       HTTP 404   no run, or more than one, has that name
    ├── RunFailed                   exit 1    HTTP 409   the run ended ``failed`` or ``lost``
    ├── RunCancelled                exit 130  HTTP 409   the run ended ``cancelled``
    ├── ClusterError                exit 1    HTTP 503   the scheduler or its workers cannot be used
    └── Fenced                      exit 1    HTTP 409   another attempt holds the lease

A :class:`RequestError` carries every :class:`Problem` found, not the first one.
No text of an error shows a token or a password, though what was asked may hold one.
Front ends show ``str(error)`` and use :attr:`LeptonError.exit_code` and
:attr:`LeptonError.http_status`; they never show a traceback for a RequestError.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .redaction import redact

if TYPE_CHECKING:
    from .recipe import Recipe


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what, got, do.

    ``where`` is the dotted path of the recipe field (``train.learning_rate``), or empty.
    """

    what: str
    got: str = ""
    do: str = ""
    where: str = ""

    def __str__(self) -> str:
        text = self.what.rstrip(".")
        if self.got:
            text += f", got {self.got}"
        text += "."
        if self.do:
            text += " " + self.do
        return redact(text)

    def to_dict(self) -> dict[str, str]:
        """The fields as a JSON object."""
        return {name: redact(text) for name, text in asdict(self).items()}


class LeptonError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1
    http_status = 500

    def __str__(self) -> str:
        return redact(" ".join(str(part) for part in self.args))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a cell: the message, without the way to it."""
        return [f"{type(self).__name__}: {self}"]


class RequestError(LeptonError):
    """What was asked cannot be done; nothing was left behind."""

    exit_code = 2
    http_status = 422

    def __init__(self, *problems: Problem | str) -> None:
        self.problems: tuple[Problem, ...] = tuple(
            problem if isinstance(problem, Problem) else Problem(problem) for problem in problems
        )
        super().__init__(*self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = [f"{len(self.problems)} problems:"]
        lines += [f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1)]
        return "\n".join(lines)


class RecipeError(RequestError):
    """An option is unknown, misspelt, out of bounds or at odds with another.

    ``rest`` is the recipe without the values that are wrong, where there is one, for further checks.
    """

    rest: Recipe | None = None


class DataError(RequestError):
    """The data set cannot be found, read, or used for the task."""


class ModelError(RequestError):
    """The model cannot be found, is unsafe to read, or cannot do the task."""


class OutputError(RequestError):
    """The output folder holds something else, or the disk is too full."""


class DiskFull(OutputError):
    """The disk of ``folder`` became full in the middle of a run, after it had written ``written`` bytes there."""

    def __init__(self, folder: Path, written: int = 0) -> None:
        super().__init__(
            Problem(
                what="the disk is full; the last complete checkpoint stays",
                got=f"no space at {folder}" + (f" after {written / 2**20:.1f} MB" if written else ""),
                do="Free some space or move LEPTON_HOME to another disk, then run it again: "
                "it goes on from that checkpoint.",
            )
        )

    @staticmethod
    def is_meant_by(error: BaseException) -> bool:
        """Whether an error of the system says, by its number, that the disk or the quota is full."""
        return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class MissingExtra(RequestError):
    """An optional package is missing."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            Problem(
                what=f"{purpose} needs the package {package}",
                got="none installed",
                do=f"Run: pip install 'lepton-lab[{extra}]'",
            )
        )


class RunNotFound(RequestError):
    """No run has that id, prefix or name, or more than one has."""

    http_status = 404


class RunFailed(LeptonError):
    """The run ended ``failed`` or ``lost``. ``run`` is its id."""

    http_status = 409

    def __init__(self, run: str, message: str) -> None:
        self.run = run
        super().__init__(message)


class RunCancelled(LeptonError):
    """The run ended ``cancelled``. ``run`` is its id."""

    exit_code = 130
    http_status = 409

    def __init__(self, run: str, message: str = "") -> None:
        self.run = run
        super().__init__(message or f"Run {run} was cancelled.")


class ClusterError(LeptonError):
    """The scheduler or its workers cannot be reached or used."""

    http_status = 503


class Fenced(LeptonError):
    """Another attempt of the run holds the lease; this one must not write."""

    http_status = 409


def raise_problems(kind: type[RequestError], problems: Iterable[Problem]) -> None:
    """Raise one error of ``kind`` with all ``problems``; do nothing when there are none."""
    found = tuple(problems)
    if found:
        error = RequestError.__new__(kind)
        RequestError.__init__(error, *found)
        raise error
