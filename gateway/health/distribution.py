"""A distribution of positive numbers that slowly forgets: any quantile to about 5 %."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

GROWTH: Final = math.log(1.05)  # from one bin's edge to the next
LOWEST: Final = 1e-4
BINS: Final = 400  # up to LOWEST * 1.05 ** 400, some 30,000
RENEW_AT: Final = 1e12


class Histogram:
    """Bins that grow by 5 %, each observation's weight fading with time.

    A half-life of `half_life_s`, or of `half_life_count` observations where that is longer: rare traffic is remembered by
    number, else it would never be enough to say anything. Kept by raising the weight of what is new: O(1) an observation.
    """

    def __init__(self, clock: Callable[[], float], half_life_s: float, half_life_count: int) -> None:
        self._clock, self._half_life_s, self._half_life_count = clock, half_life_s, half_life_count
        self._bins = [0.0] * BINS
        self._sum = 0.0
        self._unit = 1.0  # of the bins: what one observation weighs now
        self._at = clock()

    @property
    def total(self) -> float:
        """How many observations of now all of them are worth."""
        return self._sum / self._unit

    def add(self, value: float, weight: float = 1.0) -> None:
        """value: > 0. weight: of an observation, below 1 for one that should count for less."""
        self._fade()
        self._bins[_bin(value)] += self._unit * weight
        self._sum += self._unit * weight

    def add_at_least(self, value: float, weight: float = 1.0) -> None:
        """An observation that was broken off: it would have been longer, as those are that were.

        Its weight goes to what lies above, as it lies there: the redistribution to the right of B. Efron, "The Two Sample
        Problem with Censored Data" (1967). Left out, whatever cuts the longest off would soon take the rest for long.
        """
        self._fade()
        first = _bin(value)
        above = sum(self._bins[first + 1 :])
        if above <= 0.0:
            self._bins[first] += self._unit * weight
        else:
            more = 1.0 + self._unit * weight / above
            self._bins[first + 1 :] = [count * more for count in self._bins[first + 1 :]]
        self._sum += self._unit * weight

    def _fade(self) -> None:
        """Whatever is there weighs less from now on."""
        now = self._clock()
        self._unit *= 2.0 ** min((now - self._at) / self._half_life_s, 1.0 / self._half_life_count)
        self._at = now
        if self._unit > RENEW_AT:
            self._bins = self.weights()
            self._sum, self._unit = sum(self._bins), 1.0

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
        over = self._total - self._below[_bin(value / self._scale)]
        return (over + 1.0) / (self._total + 2.0)


def _bin(value: float) -> int:
    return min(max(int(math.log(max(value, LOWEST) / LOWEST) / GROWTH), 0), BINS - 1)
