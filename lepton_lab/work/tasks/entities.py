"""Entities in tags: spans, and their precision, recall and F1. Plain Python."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

_PREFIXED = re.compile(r"[BIESLU]-.+")
_OUTSIDE = ("O", "")


class Entity(NamedTuple):
    """Words ``start`` to ``end`` (exclusive) with one label."""

    label: str
    start: int
    end: int


def uses_prefixes(tags: Collection[str]) -> bool:
    """Whether tags look like BIO (or BIOES, BILOU): every one is outside or has such a prefix."""
    inside = [tag for tag in tags if tag not in _OUTSIDE]
    return bool(inside) and all(_PREFIXED.fullmatch(tag) for tag in inside)


def find_entities(tags: Sequence[str], prefixed: bool) -> list[Entity]:
    """The entities of one row.

    Prefixed tags are read as ``conlleval`` does (an ``I-`` behind another label begins an entity);
    of plain labels, each longest run of one label is an entity.
    """
    found: list[Entity] = []
    label, start, closed = "", 0, True
    for place, tag in enumerate(tags):
        if tag in _OUTSIDE:
            prefix, kind = "O", ""
        elif prefixed:
            prefix, kind = tag[0], tag[2:]
        else:
            prefix, kind = "I", tag
        begins = bool(kind) and (closed or kind != label or prefix in "BSU")
        if label and (begins or not kind):
            found.append(Entity(label, start, place))
            label = ""
        if begins:
            label, start, closed = kind, place, False
        if prefix in "OELSU":
            closed = True
            if kind and label:
                found.append(Entity(label, start, place + 1))
                label = ""
    if label:
        found.append(Entity(label, start, len(tags)))
    return found


def entity_scores(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Micro ``precision``, ``recall`` and ``f1`` of whole entities, ``macro_f1`` over labels, tag ``accuracy``."""
    prefixed = uses_prefixes({tag for row in truth for tag in row})
    hits: dict[str, int] = {}
    said: dict[str, int] = {}
    there: dict[str, int] = {}
    right = total = 0
    for row, guess in zip(truth, predicted, strict=True):
        wanted, got = set(find_entities(row, prefixed)), set(find_entities(guess, prefixed))
        for counts, entities in ((hits, wanted & got), (said, got), (there, wanted)):
            for entity in entities:
                counts[entity.label] = counts.get(entity.label, 0) + 1
        right += sum(one == other for one, other in zip(row, guess, strict=True))
        total += len(row)
    labels = sorted({*said, *there})
    each = [2 * hits.get(label, 0) / (said.get(label, 0) + there.get(label, 0)) for label in labels]
    found, claimed, wanted_count = (sum(counts.values()) for counts in (hits, said, there))
    return {
        "f1": 2 * found / (claimed + wanted_count) if claimed + wanted_count else 0.0,
        "precision": found / claimed if claimed else 0.0,
        "recall": found / wanted_count if wanted_count else 0.0,
        "macro_f1": sum(each) / len(each) if each else 0.0,
        "accuracy": right / total if total else 0.0,
    }
