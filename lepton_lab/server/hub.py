"""The hub: reads watched runs once for all pages, five times a second, and only while watched."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Protocol

from ..record import RunFolder, RunView
from ..record.live import LiveFeed, LiveRun, Message, error_message
from ..widgets.card import card_html, card_text

PERIOD_SECONDS = 0.2
"""Between two messages about a run to one page."""

_LOST_PERIOD_SECONDS = 2.0

log = logging.getLogger(__name__)


class Page(Protocol):
    """Somebody at the other end of a socket."""

    @property
    def is_busy(self) -> bool:
        """Whether the last messages are still on their way: then it gets none, and misses none."""

    def tell(self, messages: list[str]) -> None:
        """Send JSON texts, in order."""


class _Watch:
    """One page's interest in one run."""

    def __init__(self, page: Page, feed: LiveFeed) -> None:
        self.page, self.feed = page, feed
        self.due = 0.0
        self.is_fresh = True  # a snapshot was asked for


class LiveHub:
    """Who watches what. All methods are called on the server's loop; files are read on a thread."""

    def __init__(self) -> None:
        self._lives: dict[str, LiveRun] = {}
        self._watches: dict[tuple[Page, str], _Watch] = {}
        self._wake: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_polling(self) -> bool:
        """Whether anything is watched that can still change."""
        return self._task is not None

    def watch(self, page: Page, folder: RunFolder) -> None:
        """Tell ``page`` about a run, beginning with a snapshot."""
        run = folder.run
        watch = self._watches.get((page, run))
        if watch is None:
            live = self._lives.get(run)
            if live is None:
                live = self._lives[run] = LiveRun(folder)
            self._watches[page, run] = watch = _Watch(page, LiveFeed(live, _card))
        watch.is_fresh, watch.due = True, 0.0
        if self._task is None:
            self._wake = asyncio.Event()
            self._task = asyncio.create_task(self._poll(self._wake))
        elif self._wake is not None:
            self._wake.set()

    def unwatch(self, page: Page, run: str | None = None) -> None:
        """Stop telling ``page`` about a run, or about all."""
        for key in [key for key in self._watches if key[0] is page and run in (None, key[1])]:
            self._drop(key)

    def _drop(self, key: tuple[Page, str]) -> None:
        self._watches.pop(key, None)
        if not any(run == key[1] for _, run in self._watches):
            self._lives.pop(key[1], None)

    async def _poll(self, wake: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._watches:
                now = loop.time()
                due = {key: each for key, each in self._watches.items() if each.due <= now and not each.page.is_busy}
                if due:
                    await self._serve(due, loop)
                try:
                    await asyncio.wait_for(wake.wait(), PERIOD_SECONDS)
                except TimeoutError:
                    continue
                wake.clear()
        finally:
            self._task = None

    async def _serve(self, due: dict[tuple[Page, str], _Watch], loop: asyncio.AbstractEventLoop) -> None:
        for watch in due.values():
            if watch.is_fresh:
                watch.feed.restart()
                watch.is_fresh = False
        told = await asyncio.to_thread(_read, list(due.values()))
        now = loop.time()
        for (key, watch), (texts, is_last) in zip(due.items(), told, strict=True):
            if self._watches.get(key) is not watch:
                continue  # unwatched meanwhile
            if watch.is_fresh:
                continue  # watched again meanwhile: what was read is older than that
            is_lost = watch.feed.live.view.status == "lost"
            watch.due = now + (_LOST_PERIOD_SECONDS if is_lost else PERIOD_SECONDS * 0.9)
            if texts:
                watch.page.tell(texts)
            if is_last:
                self._drop(key)


def _read(watches: list[_Watch]) -> list[tuple[list[str], bool]]:
    """For each watch its new messages as JSON, and whether these are the last."""
    failed: dict[int, Exception] = {}
    for live in {id(each.feed.live): each.feed.live for each in watches}.values():
        try:
            live.read()
        except Exception as error:  # noqa: BLE001 - the page is told; other runs go on
            failed[id(live)] = error
    return [_texts(each.feed, failed.get(id(each.feed.live))) for each in watches]


def _texts(feed: LiveFeed, error: Exception | None) -> tuple[list[str], bool]:
    if error is None:
        try:
            return [dump(message) for message in feed.messages()], feed.live.is_complete
        except Exception as caught:  # noqa: BLE001 - the page is told; other pages go on
            error = caught
    run = feed.live.folder.run
    if not isinstance(error, FileNotFoundError):
        log.error("Lepton Lab cannot show run %s", run, exc_info=error)
    return [dump(error_message(run, error))], True


def dump(message: Message) -> str:
    """One message as text."""
    return json.dumps(message, ensure_ascii=False, allow_nan=False)


def _card(view: RunView) -> tuple[str, str]:
    return card_html(view), card_text(view)
