"""From the columns of a pair to the probability that both texts are the same question, and what may be served at which share
of wrong hits. numpy only; classifiers/pairs/fit.py makes these values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Matrix
from classifiers.routing.forest import Forest

Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

NEVER: Final = 1.01
"""A bar that no score reaches."""
FOREST_ARRAYS: Final = ("feature", "threshold", "left", "right", "value", "roots")
HITS_MIN: Final = 20
POINTS: Final = 1_000
NOISE_MARGIN: Final = 0.015
SURE: Final = 1.645  # one-sided 95 %


@dataclass(frozen=True, slots=True)
class PairModel:
    """Boosted trees beside a straight line, and a logistic curve over their sum.

    trees: the mean leaf times `scale` is the trees' log-odds. line: (d,) float64, a weight a column: what transfers to texts of
    another kind, where the trees know the habits of those they were grown on. slope, offset: the calibration.
    """

    trees: Forest
    scale: float
    line: Numbers
    slope: float
    offset: float

    def margin(self, rows: Matrix) -> Numbers:
        """(n, d) columns to (n,) log-odds before calibration."""
        leaves: Numbers = self.trees.predict_rows(rows)[:, 0].astype(np.float64)
        out: Numbers = self.scale * leaves + (rows * self.line).sum(axis=1)  # not @: it adds up otherwise for other n
        return out

    def probability(self, rows: Matrix) -> Numbers:
        """(n, d) columns to (n,) from 0 to 1, rising strictly with the margin."""
        return logistic(self.slope * self.margin(rows) + self.offset)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For an .npz; `from_arrays` is the way back."""
        out: dict[str, npt.NDArray[Any]] = {f"tree_{name}": getattr(self.trees, name) for name in FOREST_ARRAYS}
        return out | {"line": self.line, "calibration": np.array([self.scale, self.slope, self.offset])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> PairModel:
        """Raises KeyError, ValueError or TypeError if they are not what `arrays` gave."""
        scale, slope, offset = (float(value) for value in arrays["calibration"])
        return cls(Forest(**{name: arrays[f"tree_{name}"] for name in FOREST_ARRAYS}), scale, arrays["line"], slope, offset)


def logistic(x: Numbers) -> Numbers:
    """1 / (1 + e^-x), without overflow."""
    out: Numbers = 0.5 * (1 + np.tanh(0.5 * x))
    return out


@dataclass(frozen=True, slots=True)
class Curve:
    """What pairs with known labels say of a bar: at scores[i] or more, hits[i] pairs were served and wrong[i] of them wrong.

    scores: falling. noise: the share of labels that are wrong themselves where two texts are the same but for their form.
    """

    scores: Numbers
    hits: Numbers
    wrong: Numbers
    noise: float = 0.0

    def bar(self, budget: float) -> float:
        """The lowest score at which wrong hits are no more than the budget's share of all hits; NEVER if none is.

        Sure of it by an interval where the labels can be trusted. Where they are noisy, what the noise explains does not
        count as wrong, or no budget below it could be kept by anyone; an interval on top would be sure of what the noise
        leaves open. The margin there is that wrong hits as labelled stay within the budget or, where that is less, close
        to the noise.
        """
        if self.noise:
            beyond = np.maximum(self.wrong - self.noise * self.hits, 0.0)
            enough = (beyond <= budget * self.hits) & (self.wrong <= max(budget, self.noise + NOISE_MARGIN) * self.hits)
        else:
            enough = wilson_upper(self.wrong, self.hits) <= budget
        enough &= self.hits >= HITS_MIN
        return float(self.scores[enough].min(initial=NEVER))

    def arrays(self) -> npt.NDArray[np.float64]:
        """(4, n); the noise fills the last row."""
        return np.stack([self.scores, self.hits, self.wrong, np.full(len(self.scores), self.noise)])

    @classmethod
    def from_arrays(cls, array: npt.NDArray[np.float64]) -> Curve:
        """Raises ValueError if it is not what `arrays` gave."""
        scores, hits, wrong, noise = array
        return cls(scores, hits, wrong, float(noise[0]) if len(noise) else 0.0)


def curve_of(scores: Numbers, labels: npt.NDArray[Any], noise: float = 0.0) -> Curve:
    """The curve of pairs that the model had not seen, scored above one half. labels: 1 where both are the same question."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    wrong: Numbers = np.cumsum(1.0 - labels[order], dtype=np.float64)
    last = np.flatnonzero(np.append(np.diff(falling) != 0, True))
    last = last[falling[last] > 0.5]
    if len(last) > POINTS:  # more of them where few are served, for the bar is there
        last = last[np.unique(np.geomspace(1, len(last), POINTS).round().astype(int) - 1)]
    return Curve(falling[last], (last + 1).astype(np.float64), wrong[last], noise)


def curves_of(arrays: Mapping[str, npt.NDArray[Any]]) -> list[Curve]:
    """The curves among the arrays of a verifier. Raises ValueError."""
    return [Curve.from_arrays(arrays[name]) for name in sorted(arrays) if name.startswith("curve_")]


def bar_of(curves: Sequence[Curve], budget: float) -> float:
    """The lowest score that every curve allows; NEVER if one allows none."""
    if math.isnan(budget):
        return NEVER
    return max((curve.bar(budget) for curve in curves), default=NEVER)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A verifier's arrays, and for each pair the probability that models gave it that had not seen its group."""

    kind: str
    names: tuple[str, ...]
    arrays: dict[str, npt.NDArray[Any]]
    held_out: Numbers


def wilson_upper(wrong: Numbers, hits: Numbers) -> Numbers:
    """The upper end of Wilson's interval of a share (1927); one-sided 95 %."""
    n = np.maximum(hits, 1.0)
    share, z = wrong / n, SURE
    out: Numbers = (share + z * z / (2 * n) + z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n)
    return out
