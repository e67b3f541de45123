"""Shows a run under a cell, or in a terminal, as well as the place allows.

Where a browser can draw live, the cell returns at once. Elsewhere it waits, and a failed
run raises. In every case a static card stays in the notebook.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import places
from ..record import RunView
from ..record.live import LiveRun
from .card import card_html, card_text
from .flusher import FLUSHER
from .hosts import Host, find_host
from .wording import clip, duration, number

if TYPE_CHECKING:
    from ..lab import Run
    from .dashboard import Dashboard, DashboardFollower

MEDIA_TYPE = "application/vnd.lepton-lab.run+json"
"""What our JupyterLab extension draws."""

_WATCHED_SECONDS = 1.0  # between two cards while somebody watches a waiting cell
_UNWATCHED_SECONDS = 10.0  # between two cards otherwise: each is kept or sent by somebody
_CHANGE_SECONDS = 1.0  # between two cards when the status or the stage changed
_FAREWELL_SECONDS = 3.0  # a finished dashboard stays this long before its card alone remains


class Place:
    """An output that a cell left for a run to come, so that it is shown there and not where nobody looks.

    ``show_live`` puts a live widget near it. One run has it at a time; the next takes it over.
    """

    def __init__(self, show_live: Callable[[Any], None]) -> None:
        self.display_id = f"lepton-{uuid.uuid4().hex[:12]}"
        self.show_live = show_live
        self.card: Card | None = None

    def make(self) -> None:
        """Leave the output, empty, under the cell that runs now."""
        from IPython.display import display

        display({"text/html": "<span></span>", "text/plain": ""}, raw=True, display_id=self.display_id)


def show_run(run: Run, wait: bool | None = None, place: Place | None = None) -> None:
    """Show ``run`` here, or in ``place``; wait for its end if ``wait``, or by default where nothing is drawn live.

    After waiting raises :class:`~lepton_lab.errors.RunFailed` or
    :class:`~lepton_lab.errors.RunCancelled` if that is how the run ended. A keyboard
    interrupt while somebody watches leaves the run alone and returns.
    """
    host = find_host()
    waits = host.waits if wait is None else wait
    if host.name in ("ipython", "script"):
        _show_in_terminal(run, host, waits)
        return
    card = Card(run, live_in_browser=host.live == "extension", place=place)
    if not waits:
        _show_live(run, host, card)
        return
    card.show()
    seconds = _WATCHED_SECONDS if host.watched and host.live != "extension" else _UNWATCHED_SECONDS
    try:
        run.wait(on_view=lambda view: card.refresh(view, seconds))
    except KeyboardInterrupt:
        if not host.watched:
            raise
        card.draw(run.view())
        _say(_detached(run))
        if host.live != "none":
            FLUSHER.follow(CardFollower(card, LiveRun(run.folder)))
        return
    card.draw(run.view())
    run.raise_for_status()


class Card:
    """The static card of one output, drawn again in its place."""

    def __init__(self, run: Run, live_in_browser: bool, place: Place | None = None) -> None:
        self._run, self._live_in_browser = run, live_in_browser
        self.place = place
        self._display_id = place.display_id if place else f"lepton-{run.id}-{uuid.uuid4().hex[:8]}"
        self._drawn_at = 0.0
        self._drawn: tuple[str, str] = ("", "")

    def show(self) -> None:
        """Make the output, or take the one that was left for it."""
        from IPython.display import display

        view = self._run.view()
        if self.place is not None:
            self.place.card = self
            self.draw(view)
            return
        display(self._bundle(view), raw=True, display_id=self._display_id)

    def draw(self, view: RunView) -> None:
        """Draw it again, unless another run has its place by now."""
        from IPython.display import update_display

        if self.place is not None and self.place.card is not self:
            return
        update_display(self._bundle(view), raw=True, display_id=self._display_id)

    def refresh(self, view: RunView, seconds: float) -> None:
        """Draw it again if the status or stage changed, or after ``seconds``."""
        spent = time.monotonic() - self._drawn_at
        has_changed = (view.status, view.stage) != self._drawn
        if spent >= (_CHANGE_SECONDS if has_changed else seconds):
            self.draw(view)

    def _bundle(self, view: RunView) -> dict[str, Any]:
        self._drawn_at, self._drawn = time.monotonic(), (view.status, view.stage)
        bundle: dict[str, Any] = {"text/html": card_html(view), "text/plain": card_text(view)}
        if self._live_in_browser:
            word = {"run": view.run, "home": str(places.lepton_home())}
            bundle[MEDIA_TYPE] = {**word, "final": view.status} if view.is_over else word
        return bundle


class CardFollower:
    """Keeps a card true while the kernel lives, and the dashboard above it if there is one."""

    def __init__(self, card: Card, live: LiveRun, dashboard: tuple[Dashboard, DashboardFollower] | None = None) -> None:
        self._card, self._live, self._dashboard = card, live, dashboard
        self._looked_at = 0.0
        self._ended_at: float | None = None

    def step(self) -> bool:
        """Draw the card if it is time; the flusher calls this."""
        if self._ended_at is not None:
            return self._leave()
        is_fed = self._dashboard is not None and self._dashboard[1].step()
        now = time.monotonic()
        if not is_fed and now - self._looked_at < _CHANGE_SECONDS and not self._live.is_complete:
            return True
        self._looked_at = now
        view = self._live.read()
        if not self._live.is_complete:
            self._card.refresh(view, _UNWATCHED_SECONDS)
            return True
        self._card.draw(view)
        self._ended_at = now
        return self._dashboard is not None

    def _leave(self) -> bool:
        """Close the dashboard a little after the end: a saved notebook must not ask for its model."""
        if self._dashboard is None or self._ended_at is None:
            return False
        self._dashboard[1].step()
        if time.monotonic() - self._ended_at < _FAREWELL_SECONDS:
            return True
        self._dashboard[0].close()
        return False


def _show_live(run: Run, host: Host, card: Card) -> None:
    live = LiveRun(run.folder)
    is_over = live.read().is_over
    dashboard = _dashboard(run, card.place) if host.live == "widget" and not is_over else None
    card.show()
    if is_over:
        return
    if dashboard is None:
        FLUSHER.follow(CardFollower(card, live))
        return
    from .dashboard import DashboardFollower

    FLUSHER.follow(CardFollower(card, live, (dashboard, DashboardFollower(dashboard, run, live))))


def _dashboard(run: Run, place: Place | None) -> Dashboard | None:
    """The live widget, displayed; None where its browser half was not built."""
    from IPython.display import display

    from .dashboard import STATIC, Dashboard

    if not (STATIC / "widget.js").is_file():
        return None
    dashboard = Dashboard(run)
    (place.show_live if place else display)(dashboard)
    return dashboard


def _show_in_terminal(run: Run, host: Host, waits: bool) -> None:
    """A line that changes in its place in a terminal; the card as text at the end."""
    line = _Line() if host.name == "ipython" else None
    if waits:
        try:
            run.wait(on_view=line.draw if line else None)
        except KeyboardInterrupt:
            if not host.watched:
                raise
            _say(f"\n{_detached(run)}")
            return
        if line is not None:
            line.clear()
    view = run.view()
    _say(card_text(view))
    if waits:
        run.raise_for_status()


class _Line:
    """A progress line on standard output."""

    def __init__(self) -> None:
        self._length = 0
        self._drawn_at = 0.0

    def draw(self, view: RunView) -> None:
        """Draw over the last one, four times a second at most."""
        if time.monotonic() - self._drawn_at < 0.25:
            return
        self._drawn_at = time.monotonic()
        parts = [f"Run {view.run} {view.status}", clip(view.stage, 20)]
        if view.max_steps:
            parts.append(f"step {view.step:,} of {view.max_steps:,}")
        if "loss" in view.series:
            parts.append(f"loss {number(view.series['loss'].values[-1])}")
        if view.seconds_left is not None:
            parts.append(f"{duration(view.seconds_left)} left")
        self._write("  ".join(part for part in parts if part)[:78])

    def clear(self) -> None:
        """Leave an empty line."""
        self._write("")
        sys.stdout.write("\r")

    def _write(self, text: str) -> None:
        sys.stdout.write("\r" + text.ljust(self._length))
        sys.stdout.flush()
        self._length = len(text)


def _detached(run: Run) -> str:
    return f"Detached from run {run.id}; it goes on. Follow it again: %lepton attach {run.id}"


def _say(text: str) -> None:
    """A line for the reader, from the main thread."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
