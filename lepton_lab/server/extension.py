"""What the extension is made of, its settings, and the word it leaves for kernels."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from jupyter_server.utils import url_path_join
from tornado.ioloop import IOLoop, PeriodicCallback
from traitlets import Bool, Float
from traitlets.config import LoggingConfigurable

from .. import places
from ..dispatch import wake_all
from ..errors import LeptonError
from ..record import unfinished_runs
from .activity import any_run_lives
from .handlers import CancelHandler, CardHandler, EventsHandler, RunHandler, RunsHandler
from .hub import LiveHub
from .socket import LiveSocket

SETTING = "lepton_lab"
"""Where the extension is kept among the web application's settings."""

ACTIVITY_SETTING = "lepton_lab_last_activity"
"""Jupyter Server counts every setting with this ending against culling."""

_WAKING_SECONDS = 30.0

_ROUTES: tuple[tuple[str, type], ...] = (
    (r"runs", RunsHandler),
    (r"runs/([^/]+)", RunHandler),
    (r"runs/([^/]+)/events", EventsHandler),
    (r"runs/([^/]+)/card", CardHandler),
    (r"runs/([^/]+)/cancel", CancelHandler),
    (r"live", LiveSocket),
)


class LeptonLab(LoggingConfigurable):  # type: ignore[misc]
    """Settings of Lepton Lab in ``jupyter_server_config.py`` or on the command line."""

    keep_alive = Bool(
        True, config=True, help="Whether a live run counts as activity, so that hubs do not cull its server."
    )
    keep_alive_seconds = Float(30.0, config=True, help="How often to look for live runs.")

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.hub = LiveHub()
        self._watch: PeriodicCallback | None = None

    def start(self, web_app: Any) -> None:
        """Add the routes, leave word for the kernels, and look after live runs."""
        base = web_app.settings["base_url"]
        routes = [(url_path_join(base, "lepton", "api", path), handler) for path, handler in _ROUTES]
        web_app.add_handlers(".*$", routes)
        web_app.settings[SETTING] = self
        os.environ["LEPTON_JUPYTER_SERVER"] = str(os.getpid())
        os.environ["LEPTON_JUPYTER_SERVER_HOME"] = str(places.lepton_home())
        self._waking = PeriodicCallback(self.wake_agents, _WAKING_SECONDS * 1000)
        self._waking.start()
        IOLoop.current().add_callback(self.wake_agents)
        if self.keep_alive:
            self._watch = PeriodicCallback(lambda: self.note_activity(web_app.settings), self.keep_alive_seconds * 1000)
            self._watch.start()

    async def wake_agents(self) -> None:
        """See that the unfinished runs of this machine are looked after, also after a crash or a restart."""
        try:
            await IOLoop.current().run_in_executor(None, lambda: wake_all(unfinished_runs()))
        except (OSError, LeptonError) as error:
            self.log.warning("Lepton Lab cannot look after its unfinished runs: %s", error)

    async def note_activity(self, settings: dict[str, Any]) -> None:
        """Say that the server is busy if a run of this machine lives."""
        try:
            is_live = await IOLoop.current().run_in_executor(None, any_run_lives)
        except OSError as error:
            self.log.warning("Lepton Lab cannot look for live runs: %s", error)
            return
        if is_live:
            settings[ACTIVITY_SETTING] = datetime.now(UTC)
