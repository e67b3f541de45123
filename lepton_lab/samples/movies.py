"""``sample:movie-sentiment``: is a sentence from a film review positive or negative?

The source holds 10,605 sentences, each with the mean of about twenty people's ratings from
-4 (extremely negative) to 4 (extremely positive). A mean within half a point of zero says
that people do not agree or do not care; those 533 sentences are left out, because no label
would be right for them. The sign of the others is the label: 5,076 negative, 4,996 positive.
Of these, 7,000 are used, with the same share of labels in each split.

The file is UTF-8, tab-separated, without header, and quotation marks mean nothing in it.
"""

from __future__ import annotations

from .splitting import plain, unique

NEUTRAL = 0.5


def read_movies(files: dict[str, bytes]) -> list[dict[str, object]]:
    """Rows of ``text`` and ``label`` ('negative' or 'positive')."""
    rows: list[dict[str, object]] = []
    for line in files["movies.txt"].decode("utf-8").split("\n"):
        if not line.strip():
            continue
        _, mean, text = line.split("\t")
        rating = float(mean)
        if abs(rating) >= NEUTRAL:
            rows.append({"text": text.strip(), "label": "positive" if rating > 0 else "negative"})
    return unique(rows, lambda row: plain(str(row["text"])))
