"""How good scores of pairs are: AUC, hit rate at a precision, and what a bar serves. Pure functions of scores and labels.

precision: share of served pairs that are the same question. hit rate: share of the same that are served. wrong: share of
the served that are not the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Z: Final = 1.96
SERVED_MIN: Final = 20

Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Share:
    """part of whole, with its 95 % interval (Wilson 1927)."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        return self.part / self.whole if self.whole else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        n, p = max(self.whole, 1), self.value if self.whole else 0.0
        middle, width = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return max((middle - width) / (1 + Z * Z / n), 0.0), min((middle + width) / (1 + Z * Z / n), 1.0)

    def __str__(self) -> str:
        if not self.whole:
            return "none"
        low, high = self.interval
        return f"{self.value:.1%} [{low:.1%}, {high:.1%}] of {self.whole:,}"


@dataclass(frozen=True, slots=True)
class Served:
    """What a bar serves: wrong ones among the hits, the same-meaning pairs hit, the different-meaning ones hit."""

    wrong: Share
    right: Share
    false: Share


def served(scores: Numbers, labels: Labels, bar: float) -> Served:
    """What is served at `bar` or above."""
    hit, same = scores >= bar, labels == 1
    wrong, right = int((hit & ~same).sum()), int((hit & same).sum())
    return Served(Share(wrong, int(hit.sum())), Share(right, int(same.sum())), Share(wrong, int((~same).sum())))


def auc(scores: Numbers, labels: Labels) -> float:
    """The chance that a pair of the same meaning scores above one that is not, ties half; NaN without both kinds."""
    _, at, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[at]
    same = int((labels == 1).sum())
    different = len(labels) - same
    if not same or not different:
        return math.nan
    return float((ranks[labels == 1].sum() - same * (same + 1) / 2) / (same * different))


def hit_rate_at(scores: Numbers, labels: Labels, precision: float) -> float:
    """The most that can be hit where precision is at least so much, the bar chosen on these very pairs."""
    bar = bar_at(scores, labels, precision)
    return float((scores[labels == 1] >= bar).mean()) if (labels == 1).any() else math.nan


def bar_at(scores: Numbers, labels: Labels, precision: float) -> float:
    """The lowest bar with that precision and SERVED_MIN pairs over it; infinite if there is none."""
    order = np.argsort(-scores, kind="stable")
    falling, right = scores[order], np.cumsum(labels[order] == 1)
    last = np.flatnonzero(np.append(np.diff(falling) != 0, True))
    good = last[(right[last] / (last + 1) >= precision) & (last + 1 >= SERVED_MIN)]
    return float(falling[good[-1]]) if len(good) else math.inf


def auc_interval(scores: Numbers, labels: Labels) -> tuple[float, float]:
    """95 % interval of the AUC (Hanley and McNeil 1982)."""
    a = auc(scores, labels)
    same = int((labels == 1).sum())
    different = len(labels) - same
    if math.isnan(a):
        return a, a
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + (same - 1) * (q1 - a * a) + (different - 1) * (q2 - a * a)) / (same * different)
    return max(a - Z * math.sqrt(variance), 0.0), min(a + Z * math.sqrt(variance), 1.0)


def stream_hit_rate(best: Numbers, is_right: Labels, should_hit: Labels, precision: float) -> float:
    """Of the questions with a counterpart in store, the share answered by it at that precision.

    best: of each question, the score of the stored one that scores best. is_right: (n,) bool, whether that is its
    counterpart. should_hit: (n,) bool, whether it has one.
    """
    bar = bar_at(best, is_right.astype(int), precision)
    return float(((best >= bar) & is_right)[should_hit].mean()) if should_hit.any() else math.nan
