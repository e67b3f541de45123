"""The live dashboard over the comm, for hosts without our server extension.

The page speaks first: it asks to watch when it is there to draw, so that nothing is sent
into the void. Callbacks only enqueue; the flusher answers.
"""

from __future__ import annotations

import queue
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from .. import places
from ..record.live import LiveFeed, LiveRun, Message, error_message
from .card import card_html, card_text

if TYPE_CHECKING:
    from ..lab import Run

STATIC = Path(__file__).parent / "static"
"""Where the browser's half is after it was built."""


class Dashboard(anywidget.AnyWidget):  # type: ignore[misc]
    """The page's half of a live run."""

    _esm = STATIC / "widget.js"
    run = traitlets.Unicode().tag(sync=True)
    home = traitlets.Unicode().tag(sync=True)

    def __init__(self, run: Run) -> None:
        self._asked: queue.SimpleQueue[Message] = queue.SimpleQueue()
        super().__init__(run=run.id, home=str(places.lepton_home()))
        self.on_msg(self._enqueue)

    def _enqueue(self, widget: Any, content: Message, buffers: Any) -> None:
        del widget, buffers
        self._asked.put(content)

    def take(self) -> list[Message]:
        """What the page asked since the last call."""
        return [self._asked.get() for _ in range(self._asked.qsize())]


class DashboardFollower:
    """Answers a dashboard and feeds it until the run is over."""

    def __init__(self, dashboard: Dashboard, run: Run, live: LiveRun) -> None:
        self._dashboard, self._run, self._live = dashboard, run, live
        self._feed = LiveFeed(live, lambda view: (card_html(view), card_text(view)))
        self._is_watched = False

    def step(self) -> bool:
        """Answer what was asked and tell what is new."""
        for asked in self._dashboard.take():
            self._answer(asked)
        if not self._is_watched:
            return not self._live.is_complete
        self._live.read()
        for message in self._feed.messages():
            self._dashboard.send(message)
        return not self._live.is_complete

    def _answer(self, asked: Message) -> None:
        kind = asked.get("type")
        if kind == "watch":
            self._is_watched = True
            self._feed.restart()
        elif kind == "unwatch":
            self._is_watched = False
        elif kind == "plotly":
            self._dashboard.send({"type": "plotly"}, buffers=[(STATIC / "plotly.js").read_bytes()])
        elif kind == "action" and asked.get("action") == "cancel":
            self._run.cancel()
        else:
            self._dashboard.send(error_message(self._run.id, ValueError(f"unknown message {str(kind)[:40]!r}")))
