"""Intervals of measured shares."""

from __future__ import annotations

import math


def wilson(share: float, rows: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share measured on ``rows`` rows (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    if rows == 0:
        return 0.0, 1.0
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return max(0.0, middle - half), min(1.0, middle + half)
