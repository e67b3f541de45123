"""REST: ``lepton/api/runs…``. Authenticated, confined to the home, bounded, errors as JSON."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, authenticated

from .. import places
from ..errors import LeptonError, Problem, RequestError, RunNotFound
from ..record import RunFolder, folded_events, list_runs, view_of
from ..record.live import summary
from ..widgets.card import card_html, card_text

AUTH_RESOURCE = "lepton"

_RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_RUNS_AT_MOST = 1000
_EVENTS_AT_MOST = 10_000


def run_folder(run: str) -> RunFolder:
    """The run with exactly this id, in the home and nowhere else. Raises RunNotFound."""
    root = places.runs_dir()
    folder = RunFolder(root / run) if _RUN_ID.fullmatch(run) else None
    if folder is None or not (folder.path / "run.json").is_file() or folder.path.resolve().parent != root.resolve():
        raise RunNotFound(Problem("there is no such run", repr(run[:80]), "See: lepton runs"))
    return folder


class _Handler(APIHandler):  # type: ignore[misc]
    auth_resource = AUTH_RESOURCE

    async def answer(self, make: Callable[[], Any], status: int = 200) -> None:
        """Send what ``make`` gives, made on a thread: a slow disk must not hold up the server."""
        try:
            found = await asyncio.to_thread(lambda: json.dumps(make(), ensure_ascii=False, allow_nan=False))
        except LeptonError as error:
            problems = [each.to_dict() for each in error.problems] if isinstance(error, RequestError) else []
            self.set_status(error.http_status)
            found = json.dumps({"message": str(error), "kind": type(error).__name__, "problems": problems})
        except FileNotFoundError as error:
            raise HTTPError(404, "the run was deleted") from error
        else:
            self.set_status(status)
        self.finish(found)

    def number(self, name: str, default: int, most: int) -> int:
        """A query argument between 0 and ``most``."""
        text = self.get_query_argument(name, str(default))
        if not text.isdecimal() or int(text) > most:
            raise HTTPError(400, f"{name} must be a whole number from 0 to {most}, got {text[:40]!r}")
        return int(text)


class RunsHandler(_Handler):
    """``GET lepton/api/runs?limit=``: newest first."""

    @authenticated  # type: ignore[untyped-decorator]
    @authorized  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """``{"runs": […]}``"""
        limit = self.number("limit", 200, _RUNS_AT_MOST)
        await self.answer(lambda: {"runs": list_runs(limit)})


class RunHandler(_Handler):
    """``GET lepton/api/runs/ID``: the run without its curves."""

    @authenticated  # type: ignore[untyped-decorator]
    @authorized  # type: ignore[untyped-decorator]
    async def get(self, run: str) -> None:
        """The summary of the live protocol."""
        await self.answer(lambda: summary(view_of(run_folder(run))))


class EventsHandler(_Handler):
    """``GET lepton/api/runs/ID/events?offset=&limit=&raw=1``: what happened, in order."""

    @authenticated  # type: ignore[untyped-decorator]
    @authorized  # type: ignore[untyped-decorator]
    async def get(self, run: str) -> None:
        """``{"events": […], "next": offset or null}``; each step once unless ``raw``."""
        offset, limit = self.number("offset", 0, 10**9), self.number("limit", 1000, _EVENTS_AT_MOST)
        is_raw = self.get_query_argument("raw", "") in ("1", "true")

        def make() -> dict[str, Any]:
            found = run_folder(run).events()
            events = found if is_raw else folded_events(found)
            part = events[offset : offset + limit]
            after = offset + len(part)
            return {"events": [each.to_dict() for each in part], "next": after if after < len(events) else None}

        await self.answer(make)


class CardHandler(_Handler):
    """``GET lepton/api/runs/ID/card``: the static card as of now."""

    @authenticated  # type: ignore[untyped-decorator]
    @authorized  # type: ignore[untyped-decorator]
    async def get(self, run: str) -> None:
        """``{"run": …, "status": …, "html": …, "text": …}``"""

        def make() -> dict[str, Any]:
            view = view_of(run_folder(run))
            return {"run": view.run, "status": view.status, "html": card_html(view), "text": card_text(view)}

        await self.answer(make)


class CancelHandler(_Handler):
    """``POST lepton/api/runs/ID/cancel``: ask the run to save and stop."""

    @authenticated  # type: ignore[untyped-decorator]
    @authorized  # type: ignore[untyped-decorator]
    async def post(self, run: str) -> None:
        """``{"run": …, "status": …}`` with status 202: it stops at its next step."""

        def make() -> dict[str, Any]:
            from ..lab import cancel

            view = cancel(run_folder(run).run).view()
            return {"run": view.run, "status": view.status}

        await self.answer(make, status=202)
