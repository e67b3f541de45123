"""Figures and the report."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lepton_lab.errors import RequestError
from lepton_lab.record import RunFolder, view_of
from lepton_lab.widgets import report
from lepton_lab.widgets.curves import POINTS_DRAWN, Axes, smoothed
from lepton_lab.widgets.figures import FIGURES, figure, figures

NewRun = Callable[..., RunFolder]


def test_every_figure_of_a_training(trained: RunFolder) -> None:
    view = view_of(trained)
    assert set(figures([view])) == {"loss", "scores", "learning_rate", "throughput"}
    made = figure([view], "loss")
    assert [(trace.name, len(trace.x)) for trace in made.data] == [("loss", 300), ("eval loss", 3)]
    assert set(FIGURES) >= {"loss", "learning_rate", "throughput", "memory", "latency", "candidates"}


def test_figures_of_a_compilation_and_a_benchmark(compiled: RunFolder) -> None:
    view = view_of(compiled)
    assert set(figures([view])) == {"latency", "candidates"}
    bars = figure([view], "latency").data[0]
    assert sum(bars.y) == pytest.approx(100)
    assert [trace.name for trace in figure([view], "candidates").data] == ["pass", "fail"]


def test_a_long_curve_is_thinned_and_keeps_its_peak(new_run: NewRun) -> None:
    view = view_of(new_run())
    from lepton_lab.record import Series

    view.series["loss"] = Series(list(range(90_000)), [1.0] * 90_000, [0.0] * 90_000)
    view.series["loss"].values[777] = 5.0
    (trace,) = figure([view], "loss").data
    assert len(trace.x) <= POINTS_DRAWN
    assert max(trace.y) == 5.0


def test_a_smoothed_curve_keeps_the_raw_one_behind_it(trained: RunFolder) -> None:
    raw, smooth = figure([view_of(trained)], "learning_rate", Axes(smoothing=0.9)).data
    assert (raw.opacity, raw.showlegend, smooth.opacity, smooth.showlegend) == (0.25, False, 1, True)
    assert list(smooth.y) == pytest.approx([1e-5] * 300)  # no pull from zero at the start
    assert smoothed([0, 1, 1], 0.5) == pytest.approx([0, 2 / 3, 6 / 7])


def test_tokens_that_no_record_tells_of(trained: RunFolder) -> None:
    with pytest.raises(RequestError, match="Draw by step or time"):
        figure([view_of(trained)], "loss", Axes("tokens"))


def test_an_unknown_figure_names_the_nearest(new_run: NewRun) -> None:
    with pytest.raises(RequestError, match=r"got 'los'\. Did you mean loss\?"):
        figure([view_of(new_run())], "los")


def test_the_report_is_one_file_with_everything(trained: RunFolder, compiled: RunFolder) -> None:
    html = report.report_html([[view_of(trained), view_of(compiled)]])
    assert html.count('id="plotly"') == 1
    assert html.count('class="figure"') == 6
    assert html.count("lepton-card") == 2
    for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html):
        assert json.loads(data)["data"]
    assert not re.search(r'(src|href)="', html)


def test_planted_markup_stays_text(new_run: NewRun) -> None:
    evil = "</script><script>alert(1)</script>"
    folder = new_run(name=evil)
    folder.take_lease(1).writer("trainer").metric(1, {"loss": 1.0, "eval_" + evil: 0.5, "latency_ms." + evil: 2.0})
    assert "<script>alert" not in report.report_html([[view_of(folder)]])


@pytest.mark.ui
@pytest.mark.parametrize("built", [True, False])
def test_a_browser_draws_it(
    trained: RunFolder, compiled: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: bool
) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium here")
    if not built:
        monkeypatch.setattr(report, "_BUNDLE", tmp_path / "nothing")
    path = tmp_path / "report.html"
    path.write_text(report.report_html([[view_of(trained), view_of(compiled)]]), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-drawn]", timeout=20_000)
        assert page.locator(".figure .main-svg").count() >= 6
        browser.close()
    assert errors == []
