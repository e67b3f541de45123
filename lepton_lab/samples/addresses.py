"""``sample:addresses``: which part of a United States address is each word?

The source is the training set of usaddress: 1,513 addresses, 10,722 words, 29 tags
(``AddressNumber``, ``StreetName``, …; one tag a word, without B- and I-). White space around
words is cut off. Addresses that differ only in case or punctuation count once, with the tags
that come first: 1,470 are left. Each split holds its share of those with rare tags, and
every tag occurs in ``train``.
"""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from .splitting import plain, unique


def read_addresses(files: dict[str, bytes]) -> list[dict[str, object]]:
    """Rows of ``tokens`` and ``tags``, lists of the same length.

    Raises :class:`ValueError` for a document with a type declaration.
    """
    text = files["labeled.xml"].decode("utf-8")
    # An entity can only be declared in a document type declaration. Without one there is nothing to
    # expand and nothing outside to fetch, so the plain parser is safe. Searching the decoded text
    # finds every spelling, because the parser is given that same text and not the bytes.
    if "<!DOCTYPE" in text:
        raise ValueError("labeled.xml has a document type declaration")
    rows: list[dict[str, object]] = []
    for address in ElementTree.fromstring(text):  # noqa: S314
        words = [((word.text or "").strip(), word.tag) for word in address]
        words = [(token, tag) for token, tag in words if token]
        rows.append({"tokens": [token for token, _ in words], "tags": [tag for _, tag in words]})
    return _with_rarest_tag(unique((row for row in rows if row["tokens"]), lambda row: plain(address_text(row))))


def address_text(row: dict[str, object]) -> str:
    """The address in one line."""
    tokens = row["tokens"]
    return " ".join(tokens) if isinstance(tokens, list) else ""


def _with_rarest_tag(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Each row with its rarest tag as ``stratum``, which is not a column of the sample."""
    counts = Counter(tag for row in rows for tag in set(_tags(row)))
    return [row | {"stratum": min(_tags(row), key=lambda tag: (counts[tag], tag))} for row in rows]


def _tags(row: dict[str, object]) -> list[str]:
    tags = row["tags"]
    return tags if isinstance(tags, list) else []
