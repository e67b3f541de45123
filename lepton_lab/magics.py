"""``%lepton`` and ``%%lepton``: the command tree in a cell, with completion and help."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from .commands import Seat, cli, run_words
from .commands.command import words_alike
from .commands.form import FormAsked
from .commands.results import Column, Compared, EventFeed, Rows, Shown, Started, ending, shorten
from .errors import Problem, RequestError
from .lab import Run
from .recipe import SECTIONS_BY_KIND, one_of
from .record import RunView
from .warming import warm_up_after_cell

PROGRAM = "%lepton"
# A table of every event of a long run would freeze the page.
_EVENTS_SHOWN = 100
_QUESTION = re.compile(r"^(\s*)%%?lepton((?:\s+[\w-]+)*?)\s*\?{1,2}\s*$")


def register(ip: Any) -> None:
    """Give this IPython the magics, their completion and ``%lepton train?``. Doing it again is harmless."""
    from .completer import Completer

    magics = _Magics(ip)
    ip.register_magic_function(magics.lepton, "line_cell", "lepton")
    ip.Completer.custom_matchers[:] = [
        each for each in ip.Completer.custom_matchers if getattr(each, "matcher_identifier", "") != Completer.identifier
    ]
    ip.Completer.custom_matchers.insert(0, Completer(ip).matcher())
    transformers = ip.input_transformers_cleanup
    transformers[:] = [each for each in transformers if getattr(each, "__name__", "") != ask_for_help.__name__]
    transformers.append(ask_for_help)
    warm_up_after_cell(ip)


def ask_for_help(lines: list[str]) -> list[str]:
    """``%lepton train?`` as ``%lepton train --help``; ``??`` shows every option.

    Only where all words name a command, so that a question to ``predict`` stays a question.
    """
    if len(lines) != 1:
        return lines
    found = _QUESTION.match(lines[0])
    if found is None:
        return lines
    command: Any = cli
    words = found.group(2).split()
    for word in words:
        command = getattr(command, "commands", {}).get(words_alike(word))
        if command is None:
            return lines
    help_word = "--help-all" if "??" in lines[0] and words[:1] and words[0] in SECTIONS_BY_KIND else "--help"
    return [f"{found.group(1)}{PROGRAM} {' '.join([*words, help_word])}\n"]


class ShownRun(Run):
    """A run whose view is already under the cell that started it; shown again by a later cell."""

    def __init__(self, run: Run, ip: Any) -> None:
        super().__init__(run.folder)
        self._ip = ip
        self._shown_in = ip.execution_count

    def _ipython_display_(self) -> None:
        if self._ip.execution_count != self._shown_in:
            from .widgets import show_run

            show_run(Run(self.folder), wait=False)


class CancellingRun(Run):
    """A run that an interrupt of the waiting cell cancels; a second interrupt leaves it to save by itself."""

    def wait(self, on_view: Callable[[RunView], None] | None = None, timeout: float | None = None) -> Run:
        """See :meth:`Run.wait`."""
        try:
            return super().wait(on_view, timeout)
        except KeyboardInterrupt:
            self.cancel()
            return super().wait(on_view, timeout)


class _Magics:
    def __init__(self, ip: Any) -> None:
        self._ip = ip

    def lepton(self, line: str, cell: str | None = None) -> Any:
        """Lepton Lab: fine-tune, compile and measure transformers.

        %lepton train --task text-classification --model sample:minilm --dataset reviews
        %lepton compile last
        %lepton benchmark last
        answer = %lepton predict last "A fine film."

        %%lepton train
        task: text-classification      # the body is a recipe in YAML; options of the first line win

        Help: %lepton, %lepton --help, %lepton train?
        """
        namespace = self._ip.user_ns
        seat = Seat(program=PROGRAM, namespace=namespace, cell_body=cell, say=print_line, watch=wait_aloud)
        words = split_line(line)
        if cell is not None and not words:
            raise RequestError(Problem("a cell needs a command", "none", "For example: %%lepton train"))
        if cell is not None and words[0] not in (*SECTIONS_BY_KIND, "form"):
            do = f"Use one percent sign: %lepton {line}"
            raise RequestError(Problem(f"a cell body is a recipe for {one_of(SECTIONS_BY_KIND)}", repr(words[0]), do))
        return self._shown(run_words(words, seat))

    def _shown(self, result: Any) -> Any:
        """Show what has a face of its own; the rest is the cell's value, which IPython shows."""
        if isinstance(result, Started):
            return self._show_run(result)
        if isinstance(result, FormAsked):
            from .widgets.forms import open_form

            return open_form(result.draft, self._ip.user_ns, PROGRAM)
        if isinstance(result, EventFeed):
            return list(result) if result.as_json else event_rows(result)
        if isinstance(result, Shown) and result.as_json:
            return result.plain()
        return result.comparison if isinstance(result, Compared) else result

    def _show_run(self, started: Started) -> Any:
        from .widgets import find_host, show_run

        run = CancellingRun(started.run.folder) if started.on_interrupt == "cancel" else started.run
        if started.as_json:
            if started.wait or (started.wait is None and find_host().waits):
                run.wait().raise_for_status()
                return ending(run)
            return {"run": run.id, "status": "queued" if started.is_new else run.status}
        show_run(run, wait=started.wait)
        return ShownRun(started.run, self._ip)


def split_line(line: str) -> list[str]:
    """The words of a magic line, quoted as in a shell. Backslashes are kept: they begin Windows paths."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:
        raise RequestError(
            Problem("a quotation mark is not closed", line.strip(), "Close it, or use the other kind.")
        ) from None


def wait_aloud(run: Run) -> None:
    """Wait for a run, and say so: the cell may stand for minutes."""
    print_line(f"Waiting for {run.kind} run {run.id} …")
    run.wait()


def event_rows(events: EventFeed) -> Rows:
    """Events as a list that shows the last of them as a table."""
    from .terminal import event_line

    rows = [{**event, "what": event_line(event)} for event in events]
    columns = [Column("what", "event", lambda line: shorten(line, 200))]
    left_out = len(rows) - _EVENTS_SHOWN
    below = f"{left_out} earlier events are in the list, not in this table." if left_out > 0 else ""
    return Rows(rows, columns, empty="Nothing has happened yet.", below=below, most_shown=_EVENTS_SHOWN)


def print_line(text: str) -> None:
    """A passing line under the cell."""
    print(text)
