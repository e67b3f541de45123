"""The WebSocket ``lepton/api/live``: one a page, for all runs on it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from ..errors import LeptonError
from ..record.live import error_message
from .handlers import AUTH_RESOURCE, run_folder
from .hub import LiveHub, dump

if TYPE_CHECKING:
    from .extension import LeptonLab

_RUNS_AT_MOST = 200
_MESSAGE_BYTES_AT_MOST = 16_384


class LiveSocket(WebSocketMixin, WebSocketHandler, JupyterHandler):  # type: ignore[misc]
    """Speaks the live protocol (see :mod:`lepton_lab.record.live`)."""

    auth_resource = AUTH_RESOURCE
    _sending: asyncio.Task[None] | None = None

    @property
    def max_message_size(self) -> int:
        """Bytes of one message from the page; a longer one closes the socket."""
        return _MESSAGE_BYTES_AT_MOST

    @property
    def hub(self) -> LiveHub:
        """The hub of this server."""
        extension: LeptonLab = self.settings["lepton_lab"]
        return extension.hub

    def set_default_headers(self) -> None:
        """None: those of pages make no sense here."""

    def get_compression_options(self) -> Any:
        """As the server's kernel sockets do."""
        return self.settings.get("websocket_compression_options")

    @ws_authenticated  # type: ignore[untyped-decorator]
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Open the socket for a user who may read."""
        if not await ensure_async(self.authorizer.is_authorized(self, self.current_user, "read", AUTH_RESOURCE)):
            raise HTTPError(403)
        self._runs: set[str] = set()
        await super().get(*args, **kwargs)

    def on_message(self, message: str | bytes) -> None:
        """``watch`` or ``unwatch``; anything else is answered with an error."""
        try:
            asked = json.loads(message)
            kind, run = asked["type"], asked["run"]
        except (ValueError, KeyError, TypeError):
            self.tell([dump(error_message("", ValueError("not a message of the live protocol")))])
            return
        if kind == "watch" and isinstance(run, str):
            self._watch(run)
        elif kind == "unwatch" and isinstance(run, str):
            self._runs.discard(run)
            self.hub.unwatch(self, run)
        else:
            self.tell([dump(error_message(str(run)[:80], ValueError(f"unknown message type {str(kind)[:40]!r}")))])

    def _watch(self, run: str) -> None:
        try:
            folder = run_folder(run)
        except LeptonError as error:
            self.tell([dump(error_message(run[:80], error))])
            return
        if run not in self._runs and len(self._runs) >= _RUNS_AT_MOST:
            self.tell([dump(error_message(run, ValueError(f"more than {_RUNS_AT_MOST} runs on one page")))])
            return
        self._runs.add(run)
        self.hub.watch(self, folder)

    def on_close(self) -> None:
        """The page has gone."""
        self.hub.unwatch(self)

    @property
    def is_busy(self) -> bool:
        """Whether the page has not yet taken what was sent."""
        return self._sending is not None and not self._sending.done()

    def tell(self, messages: list[str]) -> None:
        """Send texts behind those on their way."""
        self._sending = asyncio.create_task(self._send(messages, self._sending))

    async def _send(self, messages: list[str], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        try:
            for message in messages:
                await self.write_message(message)
        except WebSocketClosedError:
            self.on_close()
