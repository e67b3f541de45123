"""A form in a real JupyterLab: filled in, submitted, and given back as code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from .lab import Lab, run_cell

pytestmark = [pytest.mark.ui, pytest.mark.slow]

Shoot = Callable[..., None]
FORM = ".lepton-form"
SET_UP = """import pandas
%load_ext lepton_lab
texts = [f"a {'fine' if n % 2 else 'dull'} film, the {n}th that I saw" for n in range(80)]
reviews = pandas.DataFrame({"id": range(80), "review": texts, "outcome": ["bad", "good"] * 40})"""


def field(page: Page, title: str) -> Locator:
    """The control of the field of this title."""
    return page.locator(FORM).first.get_by_label(title, exact=True)


def fill(page: Page, title: str, text: str) -> None:
    """Type into a field and leave it."""
    field(page, title).fill(text)
    field(page, title).press("Tab")


def open_tab(page: Page, title: str) -> None:
    """Click on a section."""
    page.locator(f"{FORM} .lm-TabBar-tabLabel").filter(has_text=title).first.click()


def test_a_form_is_filled_in_submitted_and_given_back_as_code(lab: Lab, page: Page, shoot: Shoot) -> None:
    lab.write_notebook("form.ipynb", SET_UP, "%lepton form train --task text-classification --lr -1", "print('free')")
    lab.open(page, "form.ipynb")
    run_cell(page, 0)
    run_cell(page, 1)
    form = page.locator(FORM).first
    expect(form).to_contain_text("Fine-tune a model", timeout=30_000)
    expect(field(page, "task")).to_have_value("text-classification")

    open_tab(page, "Training (1 wrong)")
    expect(form.get_by_role("alert").filter(visible=True)).to_contain_text("learning_rate must be > 0")
    fill(page, "learning rate", "0.0005")
    expect(form.get_by_role("alert").filter(visible=True)).to_have_count(0)
    fill(page, "max steps", "3")
    help_text = page.locator(f"{FORM} .widget-label span").filter(has_text="learning rate").first.get_attribute("title")
    assert "Step size." in str(help_text)

    open_tab(page, "Data")
    fill(page, "dataset", "reviews")
    expect(form.get_by_role("alert").filter(visible=True)).to_contain_text("Set --label-column outcome")
    field(page, "label column").select_option("outcome")
    expect(form.locator("th").filter(has_text="outcome")).to_contain_text("→ label")

    open_tab(page, "The run")
    fill(page, "model", "sample:minilm")
    open_tab(page, "Data")
    expect(form).to_contain_text("text ← review, label ← outcome")
    expect(form).to_contain_text("of memory")
    shoot("form", FORM)

    for title, words in (
        ("Python", ["lepton_lab.train(", "learning_rate=0.0005", "dataset=reviews"]),
        ("YAML", ["learning_rate: 0.0005", "label_column: outcome"]),
        ("Magic", ["%lepton train --task text-classification --model sample:minilm", "--learning-rate 0.0005"]),
    ):
        form.get_by_role("button", name=title, exact=True).click()
        for word in words:
            expect(form.locator(".lepton-form-code pre")).to_contain_text(word)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    form.get_by_role("button", name="Copy").click()
    expect(form.get_by_role("button", name="Copied")).to_be_visible()
    magic = str(page.evaluate("navigator.clipboard.readText()"))

    form.get_by_role("button", name="Start the training").click()
    run = page.locator(".lepton-run[data-kind]").first
    expect(run).to_be_visible(timeout=60_000)
    expect(run).to_contain_text("Succeeded", timeout=180_000)
    page.set_viewport_size({"width": 1280, "height": 2000})
    shoot("form-run", ".jp-Cell:has(.lepton-form) .jp-Cell-outputWrapper")

    page.locator(".jp-Notebook .jp-CodeCell").nth(2).locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(magic.replace("%lepton train", "%lepton form train"))
    page.keyboard.press("Control+Enter")
    again = page.locator(FORM).nth(1)
    expect(again).to_contain_text("Fine-tune a model")
    again.get_by_role("button", name="Magic", exact=True).click()
    expect(again.locator(".lepton-form-code pre")).to_have_text(magic)


def test_in_the_dark(lab: Lab, page: Page, shoot: Shoot) -> None:
    lab.write_notebook(
        "dark.ipynb", SET_UP, "%lepton form sweep --task text-classification --dataset reviews --trials 0"
    )
    lab.open(page, "dark.ipynb")
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_text("Theme", exact=True).hover()
    page.get_by_text("JupyterLab Dark", exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    run_cell(page, 0)
    run_cell(page, 1)
    form = page.locator(FORM).first
    open_tab(page, "Search (1 wrong)")
    expect(form.get_by_role("alert").filter(visible=True)).to_contain_text("trials must be ≥ 1")
    shoot("form-dark", FORM)
    open_tab(page, "Data")
    expect(form.locator("th").filter(has_text="outcome")).to_be_visible()
