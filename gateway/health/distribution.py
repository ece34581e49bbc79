"""A distribution of positive numbers that slowly forgets: any quantile to about 5 %."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

GROWTH: Final = math.log(1.05)  # from one bin's edge to the next
LOWEST: Final = 1e-4
BINS: Final = 400  # up to LOWEST * 1.05 ** 400, some 30,000
EDGES: Final = [LOWEST * math.exp(n * GROWTH) for n in range(1, BINS)]  # between one bin and the next; the ends are open
RENEW_AT: Final = 1e12


class Histogram:
    """Bins that grow by 5 %, each observation's weight fading with time.

    A half-life of `half_life_s`, or of `half_life_count` observations where that is longer: rare traffic is remembered by
    number, else it would never be enough to say anything. Kept by raising the weight of what is new: O(1) an observation.
    `now` is in seconds of one clock throughout.
    """

    def __init__(self, now: float, half_life_s: float, half_life_count: int) -> None:
        self._half_life_s, self._fade_max = half_life_s, 1.0 / half_life_count
        self._bins = [0.0] * BINS
        self._sum = 0.0
        self._unit = 1.0  # of the bins: what one observation weighs now
        self._at = now

    @property
    def total(self) -> float:
        """How many observations of now all of them are worth."""
        return self._sum / self._unit

    def add(self, now: float, value: float, weight: float = 1.0) -> None:
        """value: > 0. weight: of an observation, below 1 for one that should count for less."""
        more = self._faded(now) * weight
        self._bins[bisect_right(EDGES, value)] += more
        self._sum += more

    def add_at_least(self, now: float, value: float, weight: float = 1.0) -> None:
        """An observation that was broken off: it would have been longer, as those are that were.

        Its weight goes to what lies above, as it lies there: the redistribution to the right of B. Efron, "The Two Sample
        Problem with Censored Data" (1967). Left out, whatever cuts the longest off would soon take the rest for long.
        """
        weight *= self._faded(now)
        first = bisect_right(EDGES, value)
        above = sum(self._bins[first + 1 :])
        if above <= 0.0:
            self._bins[first] += weight
        else:
            more = 1.0 + weight / above
            self._bins[first + 1 :] = [count * more for count in self._bins[first + 1 :]]
        self._sum += weight

    def _faded(self, now: float) -> float:
        """Whatever is there weighs less from now on: what an observation weighs beside it."""
        unit = self._unit * 2.0 ** min((now - self._at) / self._half_life_s, self._fade_max)
        self._unit, self._at = unit, now
        if unit > RENEW_AT:
            self._bins = self.weights()
            self._sum, self._unit = sum(self._bins), 1.0
        return self._unit

    def weights(self) -> list[float]:
        """By bin, in observations of now."""
        unit = self._unit
        return [count / unit if count else 0.0 for count in self._bins]


class Distribution:
    """One or several histograms as they stood, to be read. scale: what the values are multiplied by."""

    def __init__(self, histograms: Sequence[Histogram], scale: float = 1.0) -> None:
        """At least one of them is not empty."""
        self._below = list(accumulate(map(sum, zip(*(h.weights() for h in histograms), strict=True))))
        self._total = self._below[-1]
        self._scale = scale

    def quantile(self, q: float) -> float:
        """The value that the share q lies below, 0 < q < 1."""
        return LOWEST * math.exp((bisect_left(self._below, q * self._total) + 0.5) * GROWTH) * self._scale

    def share_over(self, value: float) -> float:
        """The share above a value, by a cautious count: one more than there were is taken to lie above."""
        over = self._total - self._below[bisect_right(EDGES, value / self._scale)]
        return (over + 1.0) / (self._total + 2.0)
