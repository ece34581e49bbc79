"""What a ranking of prompts is worth to a router between a weak and a strong model, with intervals.

Definitions: Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data" (arXiv 2406.18665), 3.2. A router that
sends a share c of the prompts to the strong model reaches mean quality r(c):
    PGR(c) = (r(c) - r(0)) / (r(1) - r(0))    performance gap recovered
    APGR   = integral of PGR over c           random routing 0.5
    CPT(x) = least c with PGR(c) >= x
Where the paper takes ten thresholds the curve is integrated exactly; prompts of equal score are taken in random order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

QUALITY: Final = 0.95  # of the strong model's
COST_RATIO: Final = 0.24 / 24.7  # a weak call's price in strong calls: Mixtral 8x7B and GPT-4 as in the paper, 5.4
DRAWS: Final = 400
COVERED: Final = (2.5, 97.5)  # percentiles of a 95 % interval


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean quality over the share of strong calls, piecewise linear, from all weak to all strong. Both (m,)."""

    share: Floats
    quality: Floats

    def recovered(self) -> Floats:
        """(m,) PGR; nan where the strong model is no better."""
        gap = self.quality[-1] - self.quality[0]
        values: Floats = (self.quality - self.quality[0]) / (gap if gap > 0 else np.nan)
        return values

    def share_for(self, quality: float) -> float:
        """The least share of strong calls with that mean quality; nan if it is never reached."""
        return _first(self.share, self.quality, quality)


def curve(score: Floats, weak: Floats, strong: Floats) -> Curve:
    """All (n,). score: higher means the strong model. weak, strong: each model's quality on the prompt."""
    order = np.argsort(-score, kind="stable")
    gain = (strong - weak)[order]
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))  # the end of each run of equal scores
    share = np.append(0.0, last + 1.0) / len(gain)
    quality = weak.mean() + np.append(0.0, np.cumsum(gain)[last]) / len(gain)
    return Curve(share, quality)


def apgr(score: Floats, weak: Floats, strong: Floats) -> float:
    """Average performance gap recovered; random routing 0.5, higher is better. All (n,). nan without a gap."""
    return _area(curve(score, weak, strong))


def routing_metrics(score: Floats, weak: Floats, strong: Floats, cost_ratio: float = COST_RATIO) -> dict[str, float]:
    """`apgr`, `cpt50`, `cpt80`, and at 95 % of the strong model's quality `strong_calls_at_q` and `cost_saved_at_q`.

    nan where a number has no meaning: the strong model is no better, or the quality is never reached.
    """
    found = curve(score, weak, strong)
    recovered = found.recovered()
    strong_calls = found.share_for(QUALITY * float(found.quality[-1]))
    return {
        "apgr": _area(found),
        "cpt50": _first(found.share, recovered, 0.5),
        "cpt80": _first(found.share, recovered, 0.8),
        "strong_calls_at_q": strong_calls,
        "cost_saved_at_q": 1 - (strong_calls + (1 - strong_calls) * cost_ratio),
    }


def interval(of: Callable[[npt.NDArray[np.intp]], Mapping[str, float]], n: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap over n rows of each number that `of` gives for drawn row numbers."""
    rng = np.random.default_rng(seed)
    draws = [of(rng.integers(0, n, n)) for _ in range(DRAWS)]
    return {name: percentiles(np.array([draw[name] for draw in draws])) for name in draws[0]}


def percentiles(values: Floats) -> tuple[float, float]:
    """The bounds of a 95 % interval; nan if there is no number among the values."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, COVERED)
    return float(low), float(high)


def _area(found: Curve) -> float:
    """Of the recovered gap over the share of strong calls."""
    recovered = found.recovered()
    return float(np.sum(np.diff(found.share) * (recovered[1:] + recovered[:-1]) / 2))


def _first(share: Floats, values: Floats, level: float) -> float:
    """The least share at which the piecewise linear values reach the level; nan if they never do."""
    reached = np.flatnonzero(values >= level - 1e-12)
    if not len(reached):
        return float("nan")
    i = int(reached[0])
    if i == 0:
        return 0.0
    rise = values[i] - values[i - 1]
    return float(share[i - 1] + (level - values[i - 1]) / rise * (share[i] - share[i - 1]))
