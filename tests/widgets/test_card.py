"""The static card: says everything, escapes everything, stays small."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lepton_lab.record import RunFolder, view_of
from lepton_lab.widgets.card import CARD_BYTES_AT_MOST, card_html, card_text

NewRun = Callable[..., RunFolder]
EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=y>"
SAFE_TAGS = {
    *("div", "span", "b", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"),
    *("svg", "title", "line", "polyline", "circle", "rect", "text"),
}


class Tags(HTMLParser):
    """Which tags and attributes a document really has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


def check(html: str) -> Tags:
    ET.fromstring(html.replace("&nbsp;", " "))  # well-formed, so that no host mends it in its own way
    tags = Tags(html)
    assert tags.names <= SAFE_TAGS
    assert not {name for name in tags.attributes if name.startswith("on")} | (tags.attributes & {"href", "src"})
    assert "url(" not in html
    assert len(html.encode()) < CARD_BYTES_AT_MOST
    return tags


def test_a_finished_training(trained: RunFolder) -> None:
    view = view_of(trained)
    html, text = card_html(view), card_text(view)
    words = check(html).words
    for expected in ("succeeded", "reviews", trained.run, "0.8125", "4,000", "as of", "the texts are long", "%lepton"):
        assert expected in words
    for expected in ("succeeded", trained.run, "0.8125", "the texts are long, got 900 tokens. Raise --max-length."):
        assert expected in text
    assert 'role="img"' in html
    assert "loss from 2 at step 1 to 0.006667 at step 300" in html
    assert "<polyline" in html


def test_a_compilation_shows_the_losers_too(compiled: RunFolder) -> None:
    view = view_of(compiled)
    html = card_html(view)
    words, text = check(html).words, card_text(view)
    for expected in ("openvino", "onnxruntime", "int8", "inductor", "no compiler", "p95", "3.9"):
        assert expected in words
    for expected in ("openvino", "inductor", "no compiler"):
        assert expected in text
    assert "* openvino" in text
    assert "Pick: backend: openvino; precision: bf16; latency, ms: 12.5" in text
    assert "On the test rows: verdict: pass; difference, points: 0; rows: 2,000" in words
    assert "<rect" in html


def test_what_is_not_over_says_when_it_was_seen(new_run: NewRun) -> None:
    folder = new_run()
    assert "queued as of 20" in card_text(view_of(folder))
    attempt = folder.take_lease(1)
    attempt.beat()
    attempt.writer("supervisor").status(status="running")
    trainer = attempt.writer("trainer")
    trainer.status(stage="data")
    assert "running (data) as of 20" in card_text(view_of(folder))
    trainer.status(stage="train", max_steps=10)
    trainer.metric(3, {"loss": 1.0})
    view = view_of(folder)
    assert "running at step 3 of 10 as of 20" in card_text(view)
    words = check(card_html(view)).words
    assert "running at step 3 of 10 as of 20" in words
    assert "30 %" in words


@pytest.mark.parametrize("status", ["failed", "cancelled", "succeeded", "lost"])
def test_planted_markup_stays_text(new_run: NewRun, status: str) -> None:
    folder = new_run(name=EVIL, model=EVIL, notes=EVIL, tags=["a"])
    trainer = folder.take_lease(1).writer("trainer")
    trainer.status(stage=EVIL, message=EVIL)
    trainer.log(EVIL)
    for step in (1, 2, 3):
        trainer.metric(step, {"loss": 1.0, "eval_" + EVIL: 0.5, "latency_ms." + EVIL: 1.0 * step})
    trainer.report("preflight", {EVIL: EVIL, "rows": {EVIL: {EVIL: EVIL}}, "warnings": [EVIL, {"what": EVIL}]})
    trainer.report("metrics", {EVIL: EVIL, "x": 1})
    trainer.report("compile", {"candidates": [{EVIL: EVIL, "backend": EVIL}], "pick": {"backend": EVIL}, "test": EVIL})
    trainer.report("benchmark", {"results": [{EVIL: EVIL}, EVIL]})
    folder.finish(status, reason=EVIL, message=EVIL, problems=[{"what": EVIL, "got": EVIL, "do": EVIL}])
    tags = check(card_html(view_of(folder)))
    assert "<script>alert(1)</script>" in tags.words


def test_an_enormous_run_makes_a_small_card(new_run: NewRun) -> None:
    folder = new_run(name="n" * 200)
    trainer = folder.take_lease(1).writer("trainer")
    for step in range(1, 3000):
        trainer.metric(step, {"loss": step * 1e-7, "eval_loss": 1 / step, "latency_ms.a": 1.0 * step})
    trainer.report("metrics", {f"metric {number} " + "m" * 500: "v" * 5000 for number in range(500)})
    rows = [{f"column {place}": "x" * 1000 for place in range(40)} for _ in range(500)]
    trainer.report("compile", {"candidates": rows, "pick": {}, "test": {}})
    trainer.report("preflight", {"warnings": ["w" * 9000] * 90, **{str(key): {"a": "b" * 9000} for key in range(99)}})
    folder.finish("failed", message="e" * 100_000)
    html = card_html(view_of(folder))
    check(html)
    assert "failed" in html


def test_it_is_readable_on_light_and_dark_pages(trained: RunFolder) -> None:
    html = card_html(view_of(trained))
    assert "color:inherit" in html
    assert "currentColor" in html
    for colour in ("#000", "#fff", "black", "white;", ";color:#"):
        assert colour not in html


def test_odd_curves(new_run: NewRun, tmp_path: Path) -> None:
    del tmp_path
    folder = new_run()
    trainer = folder.take_lease(1).writer("trainer")
    trainer.metric(0, {"loss": 0.0})
    check(card_html(view_of(folder)))
    trainer.metric(1, {"loss": 0.0, "latency_ms.x": 2.0})
    check(card_html(view_of(folder)))
    trainer.metric(2, {"loss": 1e300, "latency_ms.x": 2.0})
    check(card_html(view_of(folder)))
