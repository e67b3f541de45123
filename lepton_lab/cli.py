"""``lepton``: the command tree in a shell. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done; 1 the run failed; 2 the request was wrong; 130 the run was cancelled,
or Ctrl-C ended the command. With ``--json`` an error is one more line on stdout:
``{"error": MESSAGE, "type": NAME, "exit_code": N, "problems": [{"what", "got", "do", "where"}]}``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from . import session, telemetry
from .commands import Seat, run_words
from .commands.results import EventFeed, Shown, Started, ending
from .commands.seat import no_answer
from .commands.shells import COMPLETE_VARIABLE, answer_shell
from .errors import LeptonError, RequestError

INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    given = list(sys.argv[1:] if words is None else words)
    if COMPLETE_VARIABLE in os.environ:
        return _complete()
    session.join_shell()
    telemetry.switch_off()
    as_json = "--json" in given
    try:
        try:
            return _show(run_words(given, Seat(say=_say, confirm=_confirm, watch=_watch)), given)
        except LeptonError as error:
            _say(f"Error: {error}")
            if as_json:
                _print(json.dumps(_error_object(error), ensure_ascii=False))
            return error.exit_code
        except KeyboardInterrupt:
            _say("Interrupted.")
            return INTERRUPTED
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has read enough. Python must not meet the broken pipe again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _show(result: Any, words: list[str]) -> int:
    """Show one result; returns the exit code."""
    if isinstance(result, Started):
        return _show_run(result, words)
    if isinstance(result, EventFeed):
        from .terminal import event_line

        for event in result:
            _print(json.dumps(event, ensure_ascii=False) if result.as_json else event_line(event))
    elif isinstance(result, Shown):
        _print(json.dumps(result.plain(), ensure_ascii=False) if result.as_json else result.text())
    return 0


def _show_run(started: Started, words: list[str]) -> int:
    from .terminal import Interrupted, run_text, watch

    run = started.run
    if started.wait is False:
        if started.as_json:
            status = "queued" if started.is_new else run.status
            _print(json.dumps({"run": run.id, "status": status}))
        elif started.is_new:
            _print(f"{run.id}\nWatch it with: lepton attach {run.id}")
        else:
            _print(run_text(run.view()))
        return 0
    interrupt = started.on_interrupt or ("cancel" if started.is_new else "detach")
    try:
        watch(run, cancels=interrupt == "cancel")
    except Interrupted:
        _say(f"Run {run.id} goes on without this command. Watch it with: lepton attach {run.id}")
        if started.as_json:
            _print(json.dumps(ending(run), ensure_ascii=False))
        return INTERRUPTED
    end = ending(run)
    if started.as_json:
        _print(json.dumps(end, ensure_ascii=False))
    else:
        _print(run_text(run.view()))
    try:
        run.raise_for_status()
    except LeptonError as error:
        _say(f"Error: {error}")
        return error.exit_code
    return 0


def _watch(run: Any) -> None:
    from .terminal import Interrupted, watch

    try:
        watch(run, cancels=False)
    except Interrupted:
        raise KeyboardInterrupt from None


def _complete() -> int:
    """One request of the shell's completion script."""
    for line in answer_shell(os.environ):
        _print(line)
    return 0


def _error_object(error: LeptonError) -> dict[str, Any]:
    problems = [each.to_dict() for each in error.problems] if isinstance(error, RequestError) else []
    return {"error": str(error), "type": type(error).__name__, "exit_code": error.exit_code, "problems": problems}


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        raise no_answer(question)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _print(text: str) -> None:
    print(text, flush=True)
