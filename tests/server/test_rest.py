"""REST on a real server: answers, refusals, and what must not get out."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from lepton_lab.record import RunFolder
from lepton_lab.server.extension import ACTIVITY_SETTING, SETTING

NewRun = Callable[..., RunFolder]


async def get(jp_fetch: Any, *path: str, **options: Any) -> Any:
    response = await jp_fetch("lepton", "api", *path, **options)
    assert response.headers["Content-Type"].startswith("application/json")
    return json.loads(response.body)


async def refusal(jp_fetch: Any, *path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(HTTPClientError) as caught:
        await jp_fetch("lepton", "api", *path, **options)
    response = caught.value.response
    return caught.value.code, json.loads(response.body) if response is not None else {}


async def test_runs_and_one_run(jp_fetch: Any, new_run: NewRun) -> None:
    first, second = new_run(name="a"), new_run(name="b")
    writer = second.take_lease(1).writer("trainer")
    for step in range(1, 6):
        writer.metric(step, {"loss": 1 / step})
    found = await get(jp_fetch, "runs")
    assert [row["run"] for row in found["runs"]] == [second.run, first.run]
    assert len((await get(jp_fetch, "runs", params={"limit": "1"}))["runs"]) == 1
    one = await get(jp_fetch, "runs", second.run)
    assert (one["run"], one["name"], one["step"]) == (second.run, "b", 5)
    page = await get(jp_fetch, "runs", second.run, "events", params={"limit": "2", "offset": "1"})
    assert [event["step"] for event in page["events"]] == [2, 3]
    assert page["next"] == 3
    assert (await get(jp_fetch, "runs", second.run, "events"))["next"] is None
    card = await get(jp_fetch, "runs", second.run, "card")
    assert second.run in card["html"]
    assert second.run in card["text"]


async def test_names_are_data_in_json_and_text_in_html(jp_fetch: Any, new_run: NewRun) -> None:
    name = "<script>alert(1)</script>"
    run = new_run(name=name).run
    response = await jp_fetch("lepton", "api", "runs", run)
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(response.body)["name"] == name
    assert name not in (await get(jp_fetch, "runs", run, "card"))["html"]


async def test_without_a_token_nothing_is_told(jp_fetch: Any, new_run: NewRun) -> None:
    run = new_run().run
    for path in (["runs"], ["runs", run], ["runs", run, "events"], ["runs", run, "card"]):
        code, _ = await refusal(jp_fetch, *path, headers={"Authorization": ""}, follow_redirects=False)
        assert code == 403
    code, _ = await refusal(jp_fetch, "runs", run, "cancel", method="POST", body="", headers={"Authorization": ""})
    assert code == 403
    assert RunFolder(new_run().path.with_name(run)).asked("cancel") is None


@pytest.mark.parametrize(
    "word", ["..", "%2e%2e", "..%2f..%2fetc", "%2Fetc", ".new-abc", "run%00", "zzzzzzzz", "a" * 300]
)
async def test_only_runs_of_the_home(jp_fetch: Any, jp_base_url: str, word: str, new_run: NewRun) -> None:
    folder = new_run()
    outside = folder.path.parent.parent / "run.json"
    outside.write_text((folder.path / "run.json").read_text())
    code, found = await refusal(jp_fetch, "runs", word, "card")
    assert code == 404
    assert "root" not in json.dumps(found)


async def test_a_link_out_of_the_home_is_not_followed(jp_fetch: Any, new_run: NewRun, tmp_path: Path) -> None:
    folder = new_run()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder.path, elsewhere)
    (folder.path.parent / "linked").symlink_to(elsewhere)
    code, found = await refusal(jp_fetch, "runs", "linked")
    assert code == 404
    assert found["kind"] == "RunNotFound"
    assert found["problems"][0]["what"] == "there is no such run"


async def test_wrong_numbers_are_refused(jp_fetch: Any, new_run: NewRun) -> None:
    run = new_run().run
    for params in ({"limit": "-1"}, {"limit": "1e9"}, {"limit": "99999999"}, {"offset": "x"}):
        code, found = await refusal(jp_fetch, "runs", run, "events", params=params)
        assert code == 400
        assert "must be a whole number" in found["message"]


async def test_nothing_changes_on_get_and_cancel_is_a_post(jp_fetch: Any, new_run: NewRun) -> None:
    folder = new_run()
    code, _ = await refusal(jp_fetch, "runs", folder.run, "cancel")
    assert code == 405
    assert folder.asked("cancel") is None
    response = await jp_fetch("lepton", "api", "runs", folder.run, "cancel", method="POST", body="{}")
    assert response.code == 202
    assert json.loads(response.body)["status"] in ("cancelling", "cancelled")
    assert folder.asked("cancel") is not None or folder.final() is not None


async def test_a_cookie_without_its_xsrf_token_cancels_nothing(
    jp_fetch: Any, browser: dict[str, str], new_run: NewRun
) -> None:
    """A page elsewhere can make a browser send our cookie, but not the token."""
    folder = new_run()
    found = await get(jp_fetch, "runs", folder.run, headers=browser)
    assert found["run"] == folder.run
    code, _ = await refusal(jp_fetch, "runs", folder.run, "cancel", method="POST", body="{}", headers=browser)
    assert code == 403
    foreign = {**browser, "Origin": "http://evil.example"}
    code, _ = await refusal(jp_fetch, "runs", folder.run, headers=foreign)
    assert code == 404
    assert folder.asked("cancel") is None


async def test_a_live_run_is_activity(jp_serverapp: Any, new_run: NewRun) -> None:
    settings = jp_serverapp.web_app.settings
    extension = settings[SETTING]
    await extension.note_activity(settings)
    folder = new_run()
    await extension.note_activity(settings)
    assert ACTIVITY_SETTING not in settings
    attempt = folder.take_lease(1)
    attempt.beat()
    await extension.note_activity(settings)
    first = settings[ACTIVITY_SETTING]
    assert jp_serverapp.web_app.last_activity() == first
    time.sleep(0.01)
    folder.finish("succeeded")
    await extension.note_activity(settings)
    assert settings[ACTIVITY_SETTING] == first


async def test_a_kernel_of_this_server_finds_it_and_what_it_starts_does_not(
    jp_serverapp: Any, jp_fetch: Any, home: Path
) -> None:
    assert os.environ["LEPTON_JUPYTER_SERVER_HOME"] == str(home)
    body = {"path": "a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    session = json.loads((await jp_fetch("api", "sessions", method="POST", body=json.dumps(body))).body)
    client = jp_serverapp.kernel_manager.get_kernel(session["kernel"]["id"]).client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    code = (
        "from lepton_lab.widgets import find_host\n"
        "import nbformat, nbclient\n"
        "cell = nbformat.v4.new_code_cell('from lepton_lab.widgets import find_host; print(find_host().name)')\n"
        "book = nbformat.v4.new_notebook(cells=[cell])\n"
        "await nbclient.NotebookClient(book, kernel_name='python3').async_execute()\n"
        "found = [find_host().name, book.cells[0].outputs[0].text.strip()]"
    )
    reply = await client.execute(code, user_expressions={"found": "found"}, reply=True, timeout=60)
    client.stop_channels()
    assert reply["content"]["status"] == "ok", reply["content"]
    found = reply["content"]["user_expressions"]["found"]["data"]["text/plain"]
    assert found == "['jupyter-extension', 'headless']"
