"""The WebSocket on a real server: growth, gaps, several pages, refusals."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from lepton_lab.record import RunFolder
from lepton_lab.server.extension import SETTING

NewRun = Callable[..., RunFolder]


class Page:
    """A browser page, as far as the protocol sees it."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def watch(self, run: str) -> None:
        await self.socket.write_message(json.dumps({"type": "watch", "run": run}))

    async def next(self) -> dict[str, Any]:
        text = await asyncio.wait_for(self.socket.read_message(), 5)
        assert text is not None, "the server closed the socket"
        return dict(json.loads(text))

    async def until(self, kind: str) -> list[dict[str, Any]]:
        found = [await self.next()]
        while found[-1]["type"] != kind:
            found.append(await self.next())
        return found


OpenPage = Callable[[], Awaitable[Page]]


@pytest.fixture
def open_page(jp_ws_fetch: Any, jp_asyncio_loop: Any) -> Iterator[OpenPage]:
    sockets: list[Any] = []

    async def make() -> Page:
        sockets.append(await jp_ws_fetch("lepton", "api", "live"))
        return Page(sockets[-1])

    yield make
    for socket in sockets:
        socket.close()
    jp_asyncio_loop.run_until_complete(asyncio.sleep(0.3))  # the hub's task ends by itself


async def test_a_run_grows_while_watched_and_ends_with_its_card(
    open_page: OpenPage, new_run: NewRun, jp_serverapp: Any
) -> None:
    folder = new_run(name="growing")
    hub = jp_serverapp.web_app.settings[SETTING].hub
    page = await open_page()
    assert not hub.is_polling
    await page.watch(folder.run)
    assert (await page.next())["view"]["status"] == "queued"
    attempt = folder.take_lease(1)
    attempt.writer("supervisor").status(status="running")
    trainer = attempt.writer("trainer")
    steps: list[int] = []
    sequence = 0
    for step in range(1, 4):
        trainer.metric(step, {"loss": 1 / step})
        message = await page.next()
        assert message["type"] == "delta"
        assert message["sequence"] == sequence + 1
        sequence = message["sequence"]
        steps += message["append"].get("loss", {"steps": []})["steps"]
    assert steps == [1, 2, 3]
    folder.finish("succeeded")
    final = (await page.until("final"))[-1]
    assert "growing" in final["html"]
    assert "succeeded" in final["text"]
    await asyncio.sleep(0.3)
    assert not hub.is_polling


async def test_five_messages_a_second_at_most(open_page: OpenPage, new_run: NewRun) -> None:
    folder = new_run()
    trainer = folder.take_lease(1).writer("trainer")
    page = await open_page()
    await page.watch(folder.run)
    await page.next()
    messages = []

    async def listen() -> None:
        while True:
            messages.append(await page.next())

    listening = asyncio.create_task(listen())
    for step in range(1, 200):
        trainer.metric(step, {"loss": 1.0})
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.4)
    listening.cancel()
    steps = [step for message in messages for step in message["append"]["loss"]["steps"]]
    assert steps == list(range(1, 200))
    assert len(messages) <= 10


async def test_watching_again_mends_a_gap(open_page: OpenPage, new_run: NewRun) -> None:
    folder = new_run()
    trainer = folder.take_lease(1).writer("trainer")
    trainer.metric(1, {"loss": 1.0})
    page = await open_page()
    await page.watch(folder.run)
    await page.next()
    trainer.metric(2, {"loss": 0.5})
    await page.next()
    await page.watch(folder.run)
    snapshot = await page.next()
    assert (snapshot["type"], snapshot["sequence"]) == ("snapshot", 0)
    assert snapshot["series"]["loss"]["steps"] == [1, 2]


async def test_two_pages_and_two_runs(open_page: OpenPage, new_run: NewRun) -> None:
    one, two = new_run(), new_run()
    trainer = one.take_lease(1).writer("trainer")
    early, late = await open_page(), await open_page()
    await early.watch(one.run)
    await early.watch(two.run)
    assert {(await early.next())["run"], (await early.next())["run"]} == {one.run, two.run}
    trainer.metric(1, {"loss": 1.0})
    assert (await early.next())["append"]["loss"]["steps"] == [1]
    await late.watch(one.run)
    assert (await late.next())["series"]["loss"]["steps"] == [1]
    await early.socket.write_message(json.dumps({"type": "unwatch", "run": one.run}))
    trainer.metric(2, {"loss": 1.0})
    assert (await late.next())["append"]["loss"]["steps"] == [2]
    two.finish("cancelled")
    assert {message["run"] for message in await early.until("final")} == {two.run}


async def test_what_cannot_be_shown_is_said_and_the_rest_goes_on(open_page: OpenPage, new_run: NewRun) -> None:
    folder, other = new_run(), new_run()
    page = await open_page()
    for word in ("../../etc", "zzzzzzzz", ".new-x"):
        await page.watch(word)
        answer = await page.next()
        assert (answer["type"], answer["run"]) == ("error", word)
    for text in ("not json", "[]", '{"type": "sudo", "run": "x"}', '{"type": "watch", "run": 3}'):
        await page.socket.write_message(text)
        assert (await page.next())["type"] == "error"
    await page.watch(folder.run)
    await page.watch(other.run)
    await page.next()
    await page.next()
    shutil.rmtree(folder.path)
    answer = await page.next()
    assert (answer["type"], answer["message"]) == ("error", f"run {folder.run} was deleted")
    other.finish("failed", message="no memory")
    assert (await page.until("final"))[-1]["view"]["message"] == "no memory"


async def test_without_a_token_no_socket(jp_ws_fetch: Any) -> None:
    with pytest.raises(HTTPClientError) as caught:
        await jp_ws_fetch("lepton", "api", "live", headers={"Authorization": ""})
    assert caught.value.code == 403


async def test_no_socket_for_a_page_of_another_site(jp_ws_fetch: Any, browser: dict[str, str], new_run: NewRun) -> None:
    page = Page(await jp_ws_fetch("lepton", "api", "live", headers=browser))
    await page.watch(new_run().run)
    assert (await page.next())["type"] == "snapshot"
    page.socket.close()
    with pytest.raises(HTTPClientError) as caught:
        await jp_ws_fetch("lepton", "api", "live", headers={**browser, "Origin": "http://evil.example"})
    assert caught.value.code == 403
    await asyncio.sleep(0.3)


async def test_a_huge_message_closes_the_socket(open_page: OpenPage) -> None:
    page = await open_page()
    await page.socket.write_message(json.dumps({"type": "watch", "run": "x" * 100_000}))
    assert await asyncio.wait_for(page.socket.read_message(), 5) is None
