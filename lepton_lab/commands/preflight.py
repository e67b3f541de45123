"""The preflight report as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Problem
from .results import number_text, pairs_text, shorten

_LABELS_SHOWN = 8


def preflight_text(report: Mapping[str, Any]) -> str:
    """The report as a small table, its example and its warnings; parts that are missing are left out."""
    rows = report.get("rows") or {}
    cut = report.get("cut") or []
    facts = {
        "rows": ", ".join(f"{name} {count:,}{' (cut off)' if name in cut else ''}" for name, count in rows.items()),
        "columns": ", ".join(f"{name} ← {column}" for name, column in (report.get("mapping") or {}).items()),
        "labels": _labels((report.get("label_counts") or {}).get("train") or {}),
        "left out": _counts(report.get("empty_rows") or {}),
        "duplicates": _counts(report.get("duplicate_rows") or {}),
        "shared rows": _counts(report.get("shared_rows") or {}),
        "tokens": _tokens(report),
        "licence": report.get("licence"),
    }
    parts = ["Preflight\n" + _indented(pairs_text(facts.items()))]
    example = report.get("example")
    if example:
        parts.append("Example\n" + _indented(_example(example)))
    parts += [f"Warning: {_problem(warning)}" for warning in report.get("warnings") or ()]
    return "\n".join(parts)


def _labels(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    shown = [f"{shorten(str(label), 24)} {count:,}" for label, count in ordered[:_LABELS_SHOWN]]
    if len(ordered) > _LABELS_SHOWN:
        shown.append(f"and {len(ordered) - _LABELS_SHOWN} more")
    return ", ".join(shown)


def _counts(counts: Mapping[str, Any]) -> str:
    flat: dict[str, Any] = {}
    for name, value in counts.items():
        if isinstance(value, Mapping):
            flat |= {f"{name} {inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return ", ".join(f"{name} {number_text(value)}" for name, value in flat.items() if value)


def _tokens(report: Mapping[str, Any]) -> str:
    tokens = report.get("tokens") or {}
    quantiles = tokens.get("quantiles") or {}
    titles = {"p50": "half of the rows up to", "p95": "95 % up to", "max": "longest"}
    parts = [f"{title} {quantiles[name]:,}" for name, title in titles.items() if name in quantiles]
    if tokens.get("max_length"):
        parts.append(f"cut at {tokens['max_length']:,}: {tokens.get('truncated_rows', 0):,} rows")
    return ", ".join(parts)


def _example(example: Any) -> str:
    if isinstance(example, Mapping):
        example = dict(example)
        segments = example.pop("segments", None)
        if segments:  # what the loss is computed on stands in brackets
            pieces = (f"⟦{each['text']}⟧" if each.get("learnt") else str(each["text"]) for each in segments)
            example["text"] = "".join(pieces) + "   (⟦learnt⟧)"
        return pairs_text((str(name), shorten(str(value), 300)) for name, value in example.items())
    return shorten(str(example), 600)


def _problem(warning: Any) -> str:
    if isinstance(warning, Mapping):
        known = {key: str(warning.get(key, "")) for key in ("what", "got", "do", "where")}
        return str(Problem(**known))
    return str(warning)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
