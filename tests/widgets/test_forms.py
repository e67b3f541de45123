"""Forms, driven without a browser: what a field shows, what it says, what comes out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import lepton_lab
from lepton_lab import lab
from lepton_lab.commands.drafts import RecipeDraft
from lepton_lab.commands.form import FormAsked
from lepton_lab.errors import RequestError
from lepton_lab.recipe import Recipe, build_recipe
from lepton_lab.record import RunFolder
from lepton_lab.widgets.forms.looking import look_at
from lepton_lab.widgets.forms.pages import round_bytes, round_seconds
from lepton_lab.widgets.show import MEDIA_TYPE
from tests.commands.test_form import NEEDED, every_draft, read_magic
from tests.widgets.kernel import Kernel

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if a page with widgets was there."""
    monkeypatch.setenv("LEPTON_HOST", "jupyter-extension")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def reviews() -> pd.DataFrame:
    texts = [f"a {'fine' if row % 2 else 'dull'} film, number {row}" for row in range(60)]
    return pd.DataFrame({"id": range(60), "review": texts, "outcome": ["bad", "good"] * 30})


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch, new_run: Callable[..., RunFolder]) -> list[Recipe]:
    """Recipes that would have become runs."""
    found: list[Recipe] = []

    def take(recipe: Recipe, namespace: Any = None) -> lab.Run:
        found.append(recipe)
        return lab.Run(new_run())

    monkeypatch.setattr(lab, "submit", take)
    return found


def said(form: Any, path: str) -> str:
    """What stands below a field."""
    return "".join(each.value for each in form.controls[path].box.children[1:])


def test_every_field_of_every_kind_goes_in_and_comes_out() -> None:
    forms = {kind: lepton_lab.form(kind) for kind in NEEDED}
    for form in forms.values():
        form._later._function = lambda: None  # what is more than fields has tests of its own
        form._codes = dict
    for draft in every_draft():
        form = forms[draft.kind]
        for path, value in draft.values.items():
            form.controls[path].write(value)
            form._change(path, form.controls[path].read())
        wanted = {path: each for path, each in draft.values.items() if each != form.controls[path].flag.default}
        assert {**form.draft.values} == wanted
        assert not [path for path in form.controls if said(form, path)]
        for path in draft.values:
            form.set(path, None)
        assert not form.draft.values


def test_a_control_is_made_of_what_the_schema_says() -> None:
    form = lepton_lab.form("train")
    widgets = {path: each.widget for path, each in form.controls.items()}
    assert "Step size." in widgets["train.learning_rate"].tooltip
    assert "Bounds: > 0. In code: learning-rate, lr." in widgets["train.learning_rate"].tooltip
    assert widgets["train.num_train_epochs"].placeholder == "3.0 (> 0)"
    assert [each[0] for each in widgets["train.eval_strategy"].options] == ["no", "steps", "epoch"]
    assert widgets["train.group_by_length"].value is True
    assert "text-classification" in dict(widgets["task"].options)
    assert "sample:minilm" in widgets["model"].options
    assert "local" in widgets["resources.cluster"].options
    folded = {path for path, each in form.controls.items() if each.flag.advanced}
    _, fields, fold = form._sections[2]
    assert fold.selected_index is None
    assert {each.path for each in fields} & folded == {"train." + name for name in _advanced_of_train()}
    assert len(fold.children[0].children) == len(_advanced_of_train())


def _advanced_of_train() -> list[str]:
    names = ["optim", "gradient_checkpointing", "group_by_length", "metric_for_best_model"]
    return [*names, "load_best_model_at_end", "resume_from_checkpoint"]


def test_bounds_are_said_beside_the_field_and_in_its_tab() -> None:
    form = lepton_lab.form("train", lr=-1, optim="sdg")
    assert "learning_rate must be &gt; 0, got -1" in said(form, "train.learning_rate")
    assert "Did you mean sgd?" in said(form, "train.optim")
    assert form._sections[2][2].selected_index == 0, "a rare field that is wrong is seen"
    assert form.tabs.titles[2] == "Training (2 wrong)"
    form.set("train.learning_rate", "1e-4")
    assert said(form, "train.learning_rate") == ""
    assert form.tabs.titles[2] == "Training (1 wrong)"
    assert said(form, "task") == "", "what was not filled in yet is not wrong yet"


def test_columns_of_a_frame_are_mapped_with_a_preview(reviews: pd.DataFrame) -> None:
    form = lepton_lab.form("train", task="text-classification", model="sample:minilm", dataset=reviews)
    column = form.controls["data.label_column"]
    assert [each[1] for each in column.widget.options] == ["", "id", "review", "outcome"]
    assert "<th>outcome</th>" in form.beside["data"].value
    assert form.controls["data.tokens_column"].box.layout.display == "none", "this task has no use for it"
    assert "no column for the label was found" in said(form, "data.dataset")
    form.set("data.label_column", "outcome")
    assert "outcome<br><span>→ label</span>" in form.beside["data"].value
    assert "number 0" in form.beside["data"].value
    assert "bad 24, good 24" in form.beside["data"].value, "the preflight"
    assert form.wrong.value == ""
    assert "of memory" in form.state.value
    assert not list((Path(os.environ["LEPTON_HOME"]) / "data").glob("*")), "a look leaves no frame behind"


def test_a_long_frame_is_read_in_part_and_a_file_that_is_far_not_at_all(reviews: pd.DataFrame) -> None:
    many = pd.concat([reviews] * 100, ignore_index=True)
    values = {**NEEDED["train"], "data.dataset": "var:many", "data.label_column": "outcome"}
    look = look_at(RecipeDraft("train", values), {"many": many})
    assert look.is_part
    assert sum(look.report["rows"].values()) == 2000
    form = lepton_lab.form("train", **{**NEEDED["train"], "data.dataset": "https://example.org/a.csv"})
    assert "looked at when you start" in form.state.value


def test_an_earlier_run_tells_the_speed(reviews: pd.DataFrame, trained: RunFolder) -> None:
    values = {"task": "text-classification", "model": "sample:minilm", "data.label_column": "outcome"}
    reviews.to_csv("reviews.csv", index=False)
    draft = RecipeDraft("train", {**values, "data.dataset": "reviews.csv"})
    first = look_at(draft, {})
    assert first.estimate is not None
    assert first.estimate.seconds is not None
    assert "GFLOP/s" in first.basis
    recipe = lab.plan("train", draft.options())
    trainer = RunFolder.create(recipe).take_lease(1).writer("trainer")
    trainer.metric(1, {"samples_per_second": 2.0})
    second = look_at(draft, {})
    assert "2 rows/s in run" in second.basis
    assert second.estimate is not None
    assert second.estimate.seconds is not None
    assert second.estimate.seconds[0] < 48 * 3 / 2 * 1.25 < second.estimate.seconds[1]


def test_submitting_shows_problems_and_then_the_run(
    reviews: pd.DataFrame, submitted: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("lepton_lab.widgets.forms.recipe_form.show_run", lambda run, **how: shown.append((run, how)))
    form = lepton_lab.form("train", dataset=reviews, label_column="outcome", epochs="2")
    form.button.click()
    assert not submitted
    assert "a task is needed" in said(form, "task")
    assert "a model is needed" in said(form, "model")
    assert form.tabs.selected_index == 0
    form.set("task", "text-classification")
    form.set("model", "sample:minilm")
    form.button.click()
    assert form.wrong.value == ""
    assert (form.run, {"wait": False, "place": form.place}) == shown[0]
    assert submitted[0].train.num_train_epochs == 2
    assert submitted[0] == build_recipe("train", form.draft.options())
    assert form.button.description == "Start the training"


def test_a_line_opens_as_a_form_and_the_form_gives_the_line_back() -> None:
    line = "%lepton train --task text-classification --model m --dataset d.csv --learning-rate 0.0001 --packing"
    form = lepton_lab.form(build_recipe("train", read_magic(line).options()))
    assert form.controls["train.learning_rate"].widget.value == "0.0001"
    assert form.controls["train.packing"].widget.value is True
    assert form.codes.codes["Magic"] == line
    assert "lepton_lab.train(" in form.codes.codes["Python"]
    assert "learning_rate: 0.0001" in form.codes.codes["YAML"]


def test_another_provider_has_other_fields(tmp_path: Path) -> None:
    form = lepton_lab.form("cluster")
    assert "SSH needs a host" not in form.wrong.value
    form.set("provider", "ssh")
    assert "SSH needs a host" in form.wrong.value
    form.set("hosts", ["gpu1", "gpu2"])
    form.set("saved_name", "lab")
    assert form.wrong.value == ""
    assert "SSHCluster" in form.beside[""].value
    assert form.codes.codes["Magic"] == "%lepton cluster use ssh --name lab --host gpu1 --host gpu2"
    form.button.click()
    assert "cluster   lab" in form.state.value
    form.set("provider", "local")
    assert "hosts" not in form.controls


def test_where_no_form_can_open_it_is_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("colab", "ipython", "headless", "script"):
        monkeypatch.setenv("LEPTON_HOST", host)
        found = lepton_lab.form("train", lr=1e-4)
        assert isinstance(found, FormAsked)
        assert f"Here is none: {host}, because LEPTON_HOST says so" in found.text()
        assert "lepton_lab.train(learning_rate=0.0001)" in found.text()
    with pytest.raises(RequestError, match="a form is for train, compile, benchmark, sweep or cluster"):
        lepton_lab.form("predict")


def test_widgets_are_loaded_when_a_form_opens() -> None:
    code = (
        "import sys, lepton_lab\nfrom lepton_lab.cli import main\nmain(['form', 'train'])\nlepton_lab.form\n"
        "print('ipywidgets' in sys.modules, 'torch' in sys.modules)\nlepton_lab.form('train')\n"
        "print('ipywidgets' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-2:] == ["False False", "True False"], done.stderr


def test_numbers_are_as_coarse_as_the_estimate() -> None:
    assert [round_bytes(each) for each in (954_963_000, 1_221_694_848, 41.6e6)] == ["950 MB", "1.2 GB", "42 MB"]
    assert [round_seconds(each) for each in (1, 33, 100, 5000, 100_000)] == [
        *("5 s", "35 s", "2 min", "1 h 20 min", "27 h 50 min"),
    ]


IN_KERNEL = """
import pandas, lepton_lab
from lepton_lab import lab
from lepton_lab.record import RunFolder
def submit(recipe, namespace=None):
    folder = RunFolder.create(recipe)
    folder.take_lease(1).writer("supervisor").status(status="running")
    return lab.Run(folder)
lab.submit = submit
reviews = pandas.DataFrame({"review": [f"film {n}" for n in range(60)], "outcome": ["bad", "good"] * 30})
%load_ext lepton_lab
"""
LINE = "%lepton form train --task text-classification --model sample:minilm --dataset reviews --label-column outcome"


def test_in_a_real_kernel_a_magic_opens_it_the_page_fills_it_in_and_the_run_is_shown_below() -> None:
    kernel = Kernel({"LEPTON_HOST": "jupyter-extension"})
    try:
        assert kernel.run(IN_KERNEL)["status"] == "ok"
        assert kernel.run(LINE)["status"] == "ok"
        form = kernel.until(lambda each: _data(each, "display_data", "application/vnd.jupyter.widget-view+json"))
        assert "The same as a line:\n%lepton train" in form["content"]["data"]["text/plain"]
        place = kernel.until(lambda each: each["msg_type"] == "display_data" and each["content"]["transient"])
        rate, button = (
            _comm(kernel, "TextModel", description=">learning rate<"),
            _comm(kernel, "ButtonModel", description="Start the training"),
        )
        kernel.update(rate, value="-1")
        kernel.until(lambda each: "learning_rate must be" in str(each["content"].get("data", {}).get("state", "")))
        kernel.update(rate, value="1e-4")
        kernel.until(lambda each: "--learning-rate 0.0001" in str(each["content"].get("data", {}).get("state", "")))
        kernel.send(button, {"event": "click"})
        run = kernel.until(lambda each: _data(each, "update_display_data", MEDIA_TYPE))
        assert run["content"]["transient"] == place["content"]["transient"], "where the cell left room for it"
        recipe = RunFolder.named(run["content"]["data"][MEDIA_TYPE]["run"]).recipe()
        assert (recipe.train.learning_rate, recipe.data.label_column) == (1e-4, "outcome")
    finally:
        kernel.stop()


def test_over_the_comm_the_live_view_is_put_under_the_form() -> None:
    kernel = Kernel({"LEPTON_HOST": "jupyter"})
    try:
        assert kernel.run(IN_KERNEL)["status"] == "ok"
        assert kernel.run(LINE)["status"] == "ok"
        kernel.send(_comm(kernel, "ButtonModel", description="Start the training"), {"event": "click"})
        live = _comm(kernel, "AnyModel", home="/")
        kernel.until(lambda each: f"IPY_MODEL_{live}" in str(each["content"].get("data", {}).get("state", "")))
        kernel.until(lambda each: each["msg_type"] == "update_display_data")
    finally:
        kernel.stop()


def _data(message: dict[str, Any], kind: str, media_type: str) -> bool:
    return message["msg_type"] == kind and media_type in message["content"]["data"]


def _comm(kernel: Kernel, model: str, **state: Any) -> str:
    """The comm of the widget with this state."""

    def fits(message: dict[str, Any]) -> bool:
        found = message["content"].get("data", {}).get("state", {}) if message["msg_type"] == "comm_open" else {}
        return found.get("_model_name") == model and all(each in found.get(name, "") for name, each in state.items())

    return str(kernel.until(fits)["content"]["comm_id"])
