"""A comparison as it is looked at: static HTML, and figures with all runs in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import lepton_lab
from lepton_lab.comparison import Comparison
from lepton_lab.errors import RequestError
from lepton_lab.record import RunFolder

from .test_card import EVIL, check

NewRun = Callable[..., RunFolder]


def learn(new_run: NewRun, accuracy: float, **options: object) -> RunFolder:
    """A training of 40 steps."""
    folder = new_run(**options)
    attempt = folder.take_lease(1)
    attempt.writer("supervisor").status(status="running")
    trainer = attempt.writer("trainer")
    trainer.report("batch", {"effective": 8})
    for step in range(1, 41):
        rates = {"samples_per_second": 50.0, "tokens_per_second": 1000.0}
        trainer.metric(step, {"loss": 2 / step, "grad_norm": 1.0, **rates})
        if step % 10 == 0:
            trainer.metric(step, {"eval_loss": 3 / step, "eval_accuracy": accuracy * step / 40})
    trainer.report("metrics", {"test_accuracy": accuracy})
    folder.finish("succeeded", attempt=1)
    return folder


@pytest.fixture
def compared(new_run: NewRun) -> Comparison:
    """Three runs that differ in learning rate and method."""
    runs = [
        learn(new_run, 0.7, lr=1e-5, name="slow"),
        learn(new_run, 0.9, lr=1e-3, peft="lora"),
        learn(new_run, 0.8, lr=1e-2),
    ]
    return lepton_lab.compare(*(folder.run for folder in runs))


def test_the_html_needs_no_script_and_holds_tables_and_curves(compared: Comparison) -> None:
    html = compared._repr_html_()
    words = check(html).words
    for expected in ("3 runs compared", "learning_rate", "method", "* 0.9", "the best", "slow", "Eval loss by step"):
        assert expected in words
    assert html.count("<svg") == 3
    assert html.count("<polyline") == 9


def test_planted_markup_stays_text(new_run: NewRun) -> None:
    runs = [learn(new_run, 0.5, name=EVIL, notes=EVIL), learn(new_run, 0.6, model=EVIL)]
    found = lepton_lab.compare(*(folder.run for folder in runs))
    check(found._repr_html_())
    assert "<img" not in found.figure("loss").to_json()
    assert "<img" not in found.figure("parallel").to_json()


def test_overlaid_curves_toggle_by_run_and_say_the_settings(compared: Comparison) -> None:
    made = compared.figure("loss")
    assert made.layout.title.text == "Loss of 3 runs"
    names = ["slow", *(view.run for view in compared.views[1:])]
    assert [trace.name for trace in made.data if trace.showlegend] == names
    assert [trace.legendgroup for trace in made.data] == [view.run for view in compared.views for _ in range(2)]
    assert len({trace.line.color for trace in made.data}) == 3
    assert "learning_rate 1e-05" in made.data[0].hovertemplate


def test_parallel_coordinates(compared: Comparison) -> None:
    made = compared.figure("parallel")
    ticks = made.layout.xaxis.ticktext
    assert ticks[-1] == "test accuracy"
    assert "learning_rate" in ticks
    assert "method" in ticks
    lines = {trace.name: trace for trace in made.data}
    best = compared.views[1].run
    assert made.data[-1].name == best
    assert lines[best].line.width > lines["slow"].line.width
    rate = ticks.index("learning_rate")
    # 1e-5, 1e-3 and 1e-2 on a logarithmic axis.
    assert [lines[name].y[rate] for name in ("slow", best)] == pytest.approx([0, 2 / 3])


def test_a_metric_by_its_name_and_names_that_are_none(compared: Comparison) -> None:
    assert len(compared.figure("eval_accuracy").data) == 3
    with pytest.raises(RequestError, match=r"Did you mean parallel\?"):
        compared.figure("paralel")
    with pytest.raises(RequestError, match="for curves, got parallel"):
        compared.figure("parallel", log=True)
    with pytest.raises(RequestError, match=r"must be one of loss, (?!.*parallel,).*got 'parallel'"):
        lepton_lab.attach(compared.views[0].run).figure("parallel")


def test_axes(compared: Comparison) -> None:
    by_tokens = compared.figure("loss", x="tokens")
    # 20 tokens a row, 8 rows an update.
    assert list(by_tokens.data[0].x[:3]) == [160, 320, 480]
    assert list(by_tokens.data[1].x) == [1600, 3200, 4800, 6400]
    by_time = compared.figure("loss", x="time", log=True)
    assert by_time.layout.xaxis.title.text == "time since the start, s"
    assert by_time.layout.yaxis.type == "log"
    assert min(by_time.data[0].x) >= 0
    with pytest.raises(RequestError) as caught:
        compared.figure("loss", x="steps", smoothing=1)
    assert len(caught.value.problems) == 2


def test_a_notebook_shows_it_in_every_export(compared: Comparison, tmp_path: Path) -> None:
    import nbformat
    from IPython.core.interactiveshell import InteractiveShell
    from nbconvert import HTMLExporter

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "lepton_lab")
    found = shell.run_line_magic("lepton", f"compare {' '.join(view.run for view in compared.views)}")
    assert isinstance(found, Comparison)
    data, _ = shell.display_formatter.format(found)  # type: ignore[union-attr]
    assert set(data) == {"text/html", "text/plain"}
    assert data["text/plain"].startswith("Settings\n")
    output = nbformat.v4.new_output("execute_result", data)
    page, _ = HTMLExporter().from_notebook_node(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%lepton compare", outputs=[output])])
    )
    assert "3 runs compared" in page
    assert "<polyline" in page
