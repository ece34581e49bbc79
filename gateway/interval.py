"""How sure a measured share is."""

from __future__ import annotations

import math


def wilson(right: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share of `right` in `count`, (0, 1) for none. Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212."""
    if count == 0:
        return 0.0, 1.0
    share = right / count
    spread = 1.0 + z * z / count
    middle = (share + z * z / (2 * count)) / spread
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / spread
    return max(middle - half, 0.0), min(middle + half, 1.0)
