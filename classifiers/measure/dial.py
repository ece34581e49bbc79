"""From what an operator wants (quality, share of strong calls, money) to the threshold on P(strong) that gives it.

The interval printed beside a number is one for as many *new* rows: in each draw the threshold is chosen on one resample
and measured on it and on another, and the difference of the two is what new rows may differ by. So it covers the luck of
the rows at hand, of the new rows, and of having chosen.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.errors import DataError
from classifiers.measure.routing_metrics import DRAWS, percentiles

Floats = npt.NDArray[np.float64]
DECIMALS: Final = 6  # of a threshold; the numbers beside it are those of the rounded one, which is what a policy holds
ROWS_MIN: Final = 50  # under this an interval would be as wide as the scale


@dataclass(frozen=True, slots=True)
class Setting:
    """A threshold with what it gives on the rows it was chosen on, and the interval for as many new ones.

    threshold: send to the strong model what scores at least this. quality: mean, of the models' own scale. kept: quality
    in shares of the strong model's. strong_share: of calls.
    """

    threshold: float
    quality: float
    kept: float
    strong_share: float
    quality_interval: tuple[float, float]
    kept_interval: tuple[float, float]
    strong_share_interval: tuple[float, float]
    rows: int


Choose = Callable[[Floats, Floats, Floats], float]
"""(score, weak, strong), all (n,), to a threshold."""


def for_quality(target: float) -> Choose:
    """The highest threshold that keeps `target` of the strong model's mean quality: the fewest strong calls."""

    def choose(score: Floats, weak: Floats, strong: Floats) -> float:
        levels, quality, _ = _levels(score, weak, strong)
        enough = np.flatnonzero(quality >= target * strong.mean() - 1e-12)
        return float(levels[enough[0]]) if len(enough) else 0.0

    return choose


def for_share(target: float) -> Choose:
    """The threshold at which at most a share `target` of the calls goes to the strong model."""

    def choose(score: Floats, weak: Floats, strong: Floats) -> float:
        levels, _, share = _levels(score, weak, strong)
        return float(levels[np.flatnonzero(share <= target + 1e-12)[-1]])

    return choose


def settle(choose: Choose, score: Floats, weak: Floats, strong: Floats, seed: int = 0) -> Setting:
    """The setting for these graded rows. score: P(strong), (n,). Raises DataError if there are too few rows."""
    n = len(score)
    if n < ROWS_MIN:
        raise DataError(f"{n} graded rows that were not trained on are too few to set a threshold by; give {ROWS_MIN} or more")
    rng = np.random.default_rng(seed)
    threshold = _rounded(choose(score, weak, strong))
    at_hand = np.array(_outcome(threshold, score, weak, strong))
    differences = np.empty((DRAWS, 3))
    for difference in differences:
        chosen, fresh = rng.integers(0, n, n), rng.integers(0, n, n)
        found = choose(score[chosen], weak[chosen], strong[chosen])
        seen = _outcome(found, score[chosen], weak[chosen], strong[chosen])
        difference[:] = np.subtract(_outcome(found, score[fresh], weak[fresh], strong[fresh]), seen)
    quality, kept, share = at_hand.tolist()
    bounds = [percentiles(column) for column in (at_hand + differences).T]
    whole = [(min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)) for low, high in (bounds[0], bounds[2])]
    return Setting(threshold, quality, kept, share, whole[0], bounds[1], whole[1], rows=n)


def _rounded(threshold: float) -> float:
    """Down: what scored just the threshold, maybe many prompts alike, is to reach it still. Above 1, which none does, stays."""
    return threshold if threshold > 1 else math.floor(threshold * 10**DECIMALS) / 10**DECIMALS


def _levels(score: Floats, weak: Floats, strong: Floats) -> tuple[Floats, Floats, Floats]:
    """Every threshold worth trying, falling, from nothing strong (above 1) on; with quality and share, each (m,)."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    gain = np.cumsum((strong - weak)[order])[last] / len(score)
    levels = np.append(np.nextafter(max(float(score.max()), 1.0), 2.0), score[order][last])
    return levels, weak.mean() + np.append(0.0, gain), np.append(0.0, (last + 1) / len(score))


def _outcome(threshold: float, score: Floats, weak: Floats, strong: Floats) -> tuple[float, float, float]:
    is_strong = score >= threshold
    quality = float(np.where(is_strong, strong, weak).mean())
    best = float(strong.mean())
    return quality, quality / best if best > 0 else float("nan"), float(is_strong.mean())
