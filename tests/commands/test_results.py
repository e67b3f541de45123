"""How results look."""

from __future__ import annotations

from lepton_lab.commands.findings import findings_text
from lepton_lab.commands.preflight import preflight_text
from lepton_lab.commands.results import Answers, Column, Rows, bytes_text, seconds_text, table_text


def test_tables_align_wide_characters() -> None:
    lines = table_text(["a", "b"], [["猫猫", "x"], ["cat", "y"]]).splitlines()
    assert lines == ["a     b", "猫猫  x", "cat   y"]


def test_answers_of_every_task() -> None:
    answers = [
        {"label": "good", "score": 0.98765, "scores": {}},
        {"labels": [], "scores": {}},
        {"score": 3.5},
        {"entities": [{"label": "Place", "text": "Main Street", "score": 1.0}], "tokens": [], "tags": []},
    ]
    text = Answers(answers, ["one", "two", ["three"], "four"]).text()
    for part in ("good", "0.9877", "none", "3.5", "Main Street = Place"):
        assert part in text
    assert Answers([{"text": "Paris."}], ["Capital of France?"]).text() == "> Capital of France?\nParis."
    html = Answers([{"text": "<script>"}], ["<b>"])._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html


def test_long_lists_show_their_end() -> None:
    rows = Rows([{"n": index} for index in range(10)], [Column("n", "n")], below="8 more", most_shown=2)
    assert rows.text().split() == ["n", "8", "9", "8", "more"]
    assert len(rows) == 10


def test_units() -> None:
    assert [bytes_text(count) for count in (5, 1500, 2.5e6, 3e9)] == ["5 B", "1.5 kB", "2.5 MB", "3.0 GB"]
    assert [seconds_text(each) for each in (None, 3.21, 75, 7260)] == ["–", "3.2 s", "1 min 15 s", "2 h 01 min"]


def test_preflight_shows_what_it_has() -> None:
    text = preflight_text(
        {
            "rows": {"train": 4000, "validation": 500},
            "cut": ["validation"],
            "mapping": {"text": "body", "label": "stars"},
            "label_counts": {"train": {"good": 2500, "bad": 1500}},
            "duplicate_rows": {"train": 3, "test": 0},
            "empty_rows": {"train": {"text": 2}},
            "tokens": {"max_length": 128, "truncated_rows": 7, "quantiles": {"p50": 20, "p95": 60, "max": 200}},
            "example": {"text": "x", "segments": [{"text": "Q ", "learnt": False}, {"text": "A", "learnt": True}]},
            "warnings": [{"what": "3 rows are there twice", "got": "", "do": "Drop them.", "where": ""}],
        }
    )
    for part in (
        *("train 4,000", "validation 500 (cut off)", "text ← body", "good 2,500", "train 3", "train text 2"),
        *("half of the rows up to 20", "cut at 128: 7 rows", "Q ⟦A⟧", "Warning: 3 rows are there twice. Drop them."),
    ):
        assert part in text, part
    assert preflight_text({}).startswith("Preflight")


def test_a_compilation_shows_every_candidate_and_why_others_do_not_answer() -> None:
    fine = {"status": "ok", "verdict": "pass", "latency_ms": 12.0, "speedup": 1.0, "metric": 0.9, "reason": "the same"}
    report = {
        "candidates": [
            {"backend": "eager", "precision": "fp32", **fine, "difference_points": -0.0},
            {"backend": "onnxruntime", "precision": "int8", **fine, "verdict": "fail", "difference_points": 2.5},
            {"backend": "openvino", "precision": "auto", "status": "missing", "reason": "needs openvino"},
        ],
        "pick": {"backend": "eager", "precision": "fp32", "reason": "the same"},
        "test": {"rows": 2000, "verdict": "pass", "reason": "at most 0.2 points worse"},
        "main_metric": "accuracy",
    }
    lines = findings_text({"compile": report, "metrics": {}}).splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["eager", "fp32", "*", "pass", "12", "1", "0.9", "0"],
        ["onnxruntime", "int8", "fail", "12", "1", "0.9", "2.5"],
        ["openvino", "missing"],
    ]
    assert "accuracy" in lines[0]
    assert "bound" not in lines[0]
    assert lines[4:] == [
        "openvino: needs openvino",
        "Picked eager fp32: the same",
        "On 2,000 test rows: pass, at most 0.2 points worse",
    ]


def test_a_benchmark_shows_every_case() -> None:
    results = [
        {"model": "compiled", "batch_size": 1, "length": 32, "speedup": 2.5, "p50_ms": 4.0},
        {"model": "eager", "batch_size": 1, "length": 32, "speedup": None, "p50_ms": 10.0},
    ]
    lines = findings_text({"benchmark": {"results": results}}).splitlines()
    assert [line.split() for line in lines[1:]] == [["compiled", "1", "32", "2.5", "4"], ["eager", "1", "32", "10"]]
    assert findings_text({"preflight": {}}) == ""
