"""Planted secrets: a real run that fails with them in its exception leaves none of them on disk or on a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lepton_lab import places
from lepton_lab.dispatch import collect_environment
from lepton_lab.dispatch.handing import hand_over
from lepton_lab.errors import RecipeError
from lepton_lab.recipe import build_recipe
from lepton_lab.record import view_of
from lepton_lab.widgets.card import card_html
from lepton_lab.widgets.report import report_html

SECRETS = {
    "HF_TOKEN": "planted-token-4711",
    "MLFLOW_TRACKING_PASSWORD": "planted/pass word",
    "HTTPS_PROXY": "http://me:planted-proxy-pass@proxy:3128",
    "AWS_SECRET_ACCESS_KEY": "planted+aws/secret",
}
SPELLINGS = ("planted-token-4711", "planted/pass word", "planted-proxy-pass", "planted+aws/secret", "planted")


def files_with(folder: Path, words: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(folder)}: {word}"
        for path in folder.rglob("*")
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize("name", ["leaks", "<script>alert(1)</script>"])
def test_a_failing_run_leaves_no_secret(
    name: str, fresh_lab: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    folder = fresh_lab.write(name)
    hand_over(folder, folder.recipe(), collect_environment(), (), worker_module="lepton_leaky_worker")
    wait_until(folder.final, 60)
    final = folder.final()
    assert final["status"] == "failed"
    assert "401 for https://" in final["message"]
    log = (folder.attempts()[0].path / "worker.log").read_text()
    for line in ("printed [hidden]", "warned [hidden]", "logged http://[hidden]@proxy", "Traceback"):
        assert line in log, log
    view = view_of(folder)
    pages = [card_html(view), report_html([[view]]), json.dumps([event.to_dict() for event in folder.events()])]
    assert not [word for word in SPELLINGS for page in pages if word in page]
    assert files_with(places.lepton_home(), SPELLINGS) == []
    assert files_with(places.state_root(), SPELLINGS) == []
    assert "<script>alert" not in pages[0]
    assert "<script>alert" not in pages[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", "https://me:planted-password@example.org/rows.csv"),
        ("model", "hf_" + "a1B2c3" * 6),
        ("notes", "use planted-token-4711 for this"),
        ("tags", ["fine", "planted-token-4711"]),
    ],
)
def test_a_recipe_takes_no_secret(field: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "planted-token-4711")
    plan = {"task": "text-classification", "model": "sample:minilm", "dataset": "sample:movie-sentiment"}
    with pytest.raises(RecipeError, match="must hold no secret") as caught:
        build_recipe("train", {**plan, field: value})
    assert "planted" not in str(caught.value)
