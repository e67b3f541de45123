"""The live view in a real JupyterLab, in a real browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .lab import MEDIA_TYPE, TOKEN, Lab, run_cell, running_lab, save, show_cell
from .written import COMPILED, COMPILED_METRICS, TRIALS, WrittenRun, going_on, measure, search

pytestmark = pytest.mark.ui

DASHBOARD = ".lepton-run[data-kind]"
ERROR_WORDS = re.compile(r"model not found|Error|Traceback|not rendered", re.IGNORECASE)
Shoot = Callable[[str], None]


def points(page: Page, chart: int = 0, trace: int = 0) -> list[int]:
    """The steps of a curve that is on the screen."""
    found: list[int] = (
        page.locator(f"{DASHBOARD} .lepton-plot-canvas")
        .nth(chart)
        .evaluate("(element, trace) => element.data ? element.data[trace].x : []", trace)
    )
    return found


def wait_for_points(page: Page, least: int, seconds: float = 10) -> list[int]:
    """The steps of the loss, once there are that many."""
    deadline = time.monotonic() + seconds
    while len(found := points(page)) < least:
        assert time.monotonic() < deadline, f"{len(found)} points after {seconds} s, wanted {least}"
        page.wait_for_timeout(50)
    return found


def test_curve_grows_free_and_busy_and_a_reload_shows_it_whole(lab: Lab, page: Page, home: Path, shoot: Shoot) -> None:
    written = WrittenRun(max_steps=500)
    path = lab.write_notebook("live.ipynb", show_cell(written.run, home), "import time; time.sleep(4); print('done')")
    lab.open(page, "live.ipynb")
    written.preflight()
    run_cell(page, 0)
    expect(page.locator(DASHBOARD)).to_contain_text("Running")
    with going_on(lambda: written.train(3)):
        free = wait_for_points(page, 5)
        wait_for_points(page, len(free) + 20)
        run_cell(page, 1)
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='busy']", state="attached")
        before = len(points(page))
        wait_for_points(page, before + 20)
        busy = page.locator(".jp-Notebook-ExecutionIndicator").get_attribute("data-status")
        assert busy == "busy", "the kernel was free again before the curve grew"
        save(page)
        seen = written.step
        page.reload()
        page.wait_for_selector(DASHBOARD, timeout=30_000)
        after = wait_for_points(page, seen)
        assert after[:seen] == list(range(1, seen + 1)), "each step once, from the first on"
    written.train(written.max_steps - written.step)
    written.end()
    expect(page.locator(DASHBOARD)).to_contain_text("Succeeded")
    expect(page.locator(DASHBOARD)).to_contain_text("test accuracy")
    shoot("dashboard-succeeded")

    # The saved notebook holds the final card; opened again without a kernel it shows it, and no error.
    expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(1)
    save(page)
    data = json.loads(path.read_text())["cells"][0]["outputs"][0]["data"]
    assert data[MEDIA_TYPE]["final"] == "succeeded"
    html = "".join(data["text/html"])
    assert "as a card" not in html, "the card of the start was not replaced"
    assert written.run in html
    lab.stop_kernels()
    page.goto("about:blank")
    before_opening = path.read_bytes()
    lab.open(page, "live.ipynb")
    expect(page.locator(DASHBOARD)).to_contain_text("Succeeded")
    wait_for_points(page, written.max_steps)
    assert not ERROR_WORDS.search(page.locator(".jp-Notebook").inner_text())
    expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)
    assert path.read_bytes() == before_opening, "opening a notebook must not change it"


def test_stop_button_asks_the_run_to_stop(lab: Lab, page: Page, home: Path) -> None:
    written = WrittenRun()
    written.train(10)
    lab.write_notebook("stop.ipynb", show_cell(written.run, home))
    lab.open(page, "stop.ipynb")
    run_cell(page, 0)
    with going_on(written.attempt.beat, 0.5):
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.locator(DASHBOARD)).to_contain_text("Stopping")
        deadline = time.monotonic() + 10
        while written.folder.asked("cancel") is None:
            assert time.monotonic() < deadline, "nobody asked the run to stop"
            page.wait_for_timeout(50)
    written.end("cancelled")
    expect(page.locator(f"{DASHBOARD} .lepton-status")).to_have_text(re.compile("Stopped"))
    expect(page.get_by_role("button", name=re.compile("^Stop"))).to_have_count(0)


def test_zoom_survives_updates_and_keys_move_it(lab: Lab, page: Page, home: Path) -> None:
    written = WrittenRun()
    written.train(100)
    lab.write_notebook("zoom.ipynb", show_cell(written.run, home))
    lab.open(page, "zoom.ipynb")
    run_cell(page, 0)
    wait_for_points(page, 100)
    canvas = page.locator(f"{DASHBOARD} .lepton-plot-canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.52, steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    zoomed = canvas.evaluate("element => element.layout.xaxis.range")
    assert 20 < zoomed[0] < 40 < 50 < zoomed[1] < 70, zoomed
    written.train(100)
    wait_for_points(page, 200)
    assert canvas.evaluate("element => element.layout.xaxis.range") == zoomed
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(400)
    assert canvas.evaluate("element => element.layout.xaxis.range")[0] > zoomed[0]
    page.keyboard.press("0")
    page.wait_for_timeout(400)
    assert canvas.evaluate("element => element.layout.xaxis.range")[1] >= 199
    written.end("cancelled")


def test_benchmark_compile_and_failure(lab: Lab, page: Page, home: Path, shoot: Shoot) -> None:
    benchmark = WrittenRun("benchmark", max_steps=400)
    measure(benchmark)
    compiled = WrittenRun("compile", max_steps=8)
    compiled.trainer.report("compile", COMPILED)
    compiled.trainer.report("metrics", COMPILED_METRICS)
    compiled.end()
    failed = WrittenRun(name="bad-data")
    failed.train(40)
    problem = {"what": "labels of the test split must be seen in training", "got": "'mixed'", "do": "Drop those rows."}
    failed.end("failed", reason="request", message="the request was wrong", problems=[problem])
    runs = [benchmark, compiled, failed]
    lab.write_notebook("kinds.ipynb", *(show_cell(each.run, home) for each in runs))
    lab.open(page, "kinds.ipynb")
    for number in range(len(runs)):
        run_cell(page, number)
    shown = [page.locator(f"{DASHBOARD}[data-run={each.run}]") for each in runs]
    expect(shown[0]).to_contain_text("Latency in milliseconds")
    expect(shown[0].locator(".annotation-text")).to_have_count(6)
    expect(shown[0].locator("select")).to_be_visible()
    expect(shown[1].locator(".lepton-row-marked")).to_contain_text("openvino bf16")
    expect(shown[1]).to_contain_text("pip install")
    expect(shown[2]).to_contain_text("Drop those rows.")
    for each, name in zip(runs, ("benchmark", "compile", "failed"), strict=True):
        shoot(f"dashboard-{name}", f"{DASHBOARD}[data-run={each.run}]")
    benchmark.end()


def test_a_sweep_shows_its_trials_and_the_best_so_far_as_they_come(
    lab: Lab, page: Page, home: Path, shoot: Shoot
) -> None:
    written = WrittenRun("sweep", max_steps=12)
    search(written, 1)
    lab.write_notebook("sweep.ipynb", show_cell(written.run, home))
    lab.open(page, "sweep.ipynb")
    run_cell(page, 0)
    trials = page.locator(f"{DASHBOARD} .lepton-trials")
    expect(trials.locator("caption")).to_have_text("Trials: best accuracy so far 0.742, trial 1")
    search(written, len(TRIALS))
    expect(trials.locator("caption")).to_have_text("Trials: best accuracy so far 0.837, trial 2")
    expect(trials.locator(".lepton-row-marked")).to_contain_text("0.837")
    expect(trials.locator("tbody tr")).to_have_count(len(TRIALS) + 2)  # and why two of them were stopped
    expect(trials.locator(".lepton-row-note").first).to_have_text("pruned after evaluation 1: accuracy 0.531")
    expect(page.locator(DASHBOARD)).to_contain_text("5 of 12 trials")
    wait_for_points(page, 4)
    shoot("dashboard-sweep")
    written.end("cancelled")
    expect(trials.locator("caption")).to_have_text("Trials: best accuracy 0.837, trial 2")


def test_dark_theme_reaches_the_charts(lab: Lab, page: Page, home: Path, shoot: Shoot) -> None:
    written = WrittenRun()
    written.preflight()
    written.train(320)
    lab.write_notebook("dark.ipynb", show_cell(written.run, home))
    lab.open(page, "dark.ipynb")
    run_cell(page, 0)
    wait_for_points(page, 320)
    color = "element => getComputedStyle(element.querySelector('.xtick text')).fill"
    canvas = page.locator(f"{DASHBOARD} .lepton-plot-canvas").first
    light = canvas.evaluate(color)
    shoot("dashboard-light")
    for word in ("Settings", "Theme", "JupyterLab Dark"):
        page.get_by_text(word, exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    page.wait_for_timeout(1000)
    assert canvas.evaluate(color) != light
    shoot("dashboard-dark")
    for word in ("Settings", "Theme", "JupyterLab Light"):
        page.get_by_text(word, exact=True).click()
    written.end("cancelled")


def test_without_the_server_extension_the_saved_card_is_shown(page: Page, home: Path, tmp_path: Path) -> None:
    card = "<p style='color: var(--jp-ui-font-color1)'>accuracy 0.84</p><script>parent.document.title = 'bad'</script>"
    with running_lab(tmp_path, {"LEPTON_HOME": str(home)}, with_extension=False) as lab:
        lab.write_notebook("saved.ipynb", show_cell("qqqq2222", home, card))
        lab.open(page, "saved.ipynb")
        run_cell(page, 0)
        expect(page.frame_locator(".lepton-frame").locator("p")).to_have_text("accuracy 0.84")
        expect(page.locator(".lepton-saved")).to_have_text("As saved. Lepton Lab is not enabled on this server.")
        assert page.title() != "bad"
        height = page.locator(".lepton-frame").evaluate("element => element.clientHeight")
        assert height > 10
        assert not ERROR_WORDS.search(page.locator(".jp-Notebook").inner_text())
        assert TOKEN not in page.locator("body").inner_html()


def test_widget_over_the_comm(lab: Lab, page: Page, home: Path) -> None:
    written = WrittenRun(max_steps=200)
    written.train(20)
    show = f"import lepton_lab\nfrom lepton_lab.widgets import show_run\nshow_run(lepton_lab.attach({written.run!r}))"
    path = lab.write_notebook("widget.ipynb", f"%env LEPTON_HOST=jupyter\n{show}")
    lab.open(page, "widget.ipynb")
    run_cell(page, 0)
    with going_on(written.train):
        before = len(wait_for_points(page, 20, seconds=20))
        wait_for_points(page, before + 20)
    written.train(written.max_steps - written.step)
    written.end()
    # The widget leaves shortly after the end, and its card stays: a saved notebook asks for no model.
    expect(page.locator(DASHBOARD)).to_contain_text("Succeeded")
    expect(page.locator(DASHBOARD)).to_have_count(0, timeout=15_000)
    card = page.locator(".jp-OutputArea-output .lepton-card")
    expect(card).to_contain_text(written.run)
    save(page)
    lab.stop_kernels()
    assert written.run in path.read_text()
    page.goto("about:blank")
    lab.open(page, "widget.ipynb")
    expect(card).to_contain_text(written.run)
    assert not ERROR_WORDS.search(page.locator(".jp-Notebook").inner_text())


@pytest.mark.slow
def test_a_real_sweep_is_drawn_to_its_end(lab: Lab, page: Page) -> None:
    reviews = "[(f'film {i} is ' + ('good and fine' if i % 2 else 'bad and dull'), 'pos' if i % 2 else 'neg')"
    lab.write_notebook(
        "search.ipynb",
        f"import pandas as pd\nreviews = pd.DataFrame({reviews} for i in range(120)], columns=['text', 'label'])",
        "%load_ext lepton_lab",
        "%lepton sweep --task text-classification --model sample:minilm --dataset reviews --max-steps 4 "
        "--batch-size 8 --max-length 16 --search lr=1e-5..1e-3:log --search seed=1,2 --trials 3",
        "%lepton cluster stop --force",
    )
    lab.open(page, "search.ipynb")
    for number in range(3):
        run_cell(page, number)
    try:
        trials = page.locator(f"{DASHBOARD} .lepton-trials")
        expect(trials).to_contain_text("running", timeout=60_000)
        expect(trials.locator("caption")).to_contain_text("so far", timeout=120_000)
        expect(page.locator(DASHBOARD)).to_contain_text("Succeeded", timeout=240_000)
        expect(trials.locator("tbody tr")).to_have_count(3)
        expect(page.locator(DASHBOARD)).to_contain_text("best run")
    finally:
        run_cell(page, 3)
        page.wait_for_timeout(3000)


@pytest.mark.slow
def test_real_training_is_drawn_while_the_cell_is_free(lab: Lab, page: Page) -> None:
    reviews = "[(f'film {i} is ' + ('good and fine' if i % 2 else 'bad and dull'), 'pos' if i % 2 else 'neg')"
    lab.write_notebook(
        "real.ipynb",
        f"import pandas as pd\nreviews = pd.DataFrame({reviews} for i in range(400)], columns=['text', 'label'])",
        "%load_ext lepton_lab",
        "%lepton train --task text-classification --model sample:minilm --dataset reviews --max-steps 12 "
        "--batch-size 8 --logging-steps 1",
        "%lepton cluster stop --force",
    )
    lab.open(page, "real.ipynb")
    for number in range(3):
        run_cell(page, number)
    try:
        assert wait_for_points(page, 3, seconds=90)[:3] == [1, 2, 3]
        expect(page.locator(DASHBOARD)).to_contain_text("Succeeded", timeout=90_000)
        assert len(points(page)) == 12
    finally:
        run_cell(page, 3)
        page.wait_for_timeout(3000)
