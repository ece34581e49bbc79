"""How likely an answer is right, from the log-probabilities of its tokens. Plain Python: a request runs this.

The measures are what a policy may bound; `ConfidenceModel` makes one calibrated probability of them. Fitted by
classifiers/cascade/confidence_fit.py; the shipped one is confidence.json, whose card says on what.
"""

from __future__ import annotations

import bisect
import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from typing import Any, Final

from classifiers.errors import ArtifactError

WINDOW: Final = 5  # tokens
LOGPROB_MIN: Final = -20.0  # servers write -9999 or the lowest float for "no chance"; one such must not drown the mean
TOKENS_MAX: Final = 128  # a longer answer counts as so long: the shipped model was fitted on none
FEATURES: Final = ("mean_logprob", "lowest_window", "margin", "log_tokens")


@dataclass(frozen=True, slots=True)
class TokenChance:
    """One token of an answer: its natural log-probability, and by how much the likeliest token was ahead of the next.

    lead: None where the model did not name two.
    """

    logprob: float
    lead: float | None = None


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one answer, over its content tokens, all in nats.

    mean_logprob: at most 0. lowest_window: the lowest mean over WINDOW tokens in a row (over all, if there are fewer):
    one wrong name in a fluent sentence shows here and not in the mean. margin: mean lead of the likeliest token over
    the next, 0 or more; None where fewer than two were named.
    """

    mean_logprob: float
    lowest_window: float
    margin: float | None
    tokens: int


def measure(chances: Sequence[TokenChance]) -> Measures | None:
    """The measures of an answer's tokens in their order; None if there are none."""
    if not chances:
        return None
    logprobs = [bounded(chance.logprob) for chance in chances]
    width = min(WINDOW, len(logprobs))
    windows = (math.fsum(logprobs[i : i + width]) / width for i in range(len(logprobs) - width + 1))
    leads = [max(chance.lead, 0.0) for chance in chances if chance.lead is not None]
    return Measures(
        mean_logprob=math.fsum(logprobs) / len(logprobs),
        lowest_window=min(windows),
        margin=math.fsum(leads) / len(leads) if leads else None,
        tokens=len(logprobs),
    )


def bounded(logprob: float) -> float:
    """A server's log-probability as one that can be reckoned with: in [LOGPROB_MIN, 0]."""
    return min(max(logprob, LOGPROB_MIN), 0.0) if not math.isnan(logprob) else LOGPROB_MIN


@dataclass(frozen=True, slots=True)
class ConfidenceModel:
    """A logistic model over FEATURES, straightened where there was enough to learn that from.

    weights: in the order of FEATURES; bias: both in nats of log-odds. curve: (log-odds, probability), both rising, read
    off in between on straight lines and level beyond its ends; without one, the log-odds are taken at their word.
    """

    weights: tuple[float, ...]
    bias: float
    curve: tuple[tuple[float, float], ...] = ()

    def confidence(self, measures: Measures) -> float | None:
        """The probability in [0, 1] that the answer is right; None without a margin."""
        row = features(measures)
        if row is None:
            return None
        z = math.fsum(w * x for w, x in zip(self.weights, row, strict=True)) + self.bias
        if self.curve:
            return read_off(self.curve, z)
        return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def read_off(curve: Sequence[tuple[float, float]], z: float) -> float:
    """The curve's value at z. curve: at least one point, in rising order."""
    above = bisect.bisect_right(curve, z, key=lambda point: point[0])
    if above == 0:
        return curve[0][1]
    if above == len(curve):
        return curve[-1][1]
    (z0, p0), (z1, p1) = curve[above - 1], curve[above]
    return p0 + (p1 - p0) * (z - z0) / (z1 - z0)


def features(measures: Measures) -> tuple[float, ...] | None:
    """The row of FEATURES that a model sees; None without a margin."""
    if measures.margin is None:
        return None
    return measures.mean_logprob, measures.lowest_window, measures.margin, math.log(min(measures.tokens, TOKENS_MAX))


def read_model(text: str, name: str) -> ConfidenceModel:
    """A model from its JSON. name: of the file, for messages. Raises ArtifactError."""
    try:
        fields: Mapping[str, Any] = json.loads(text)
        given = fields["weights"]
        weights = tuple(float(given[feature]) for feature in FEATURES)
        bias = float(fields["bias"])
        curve = tuple((float(z), float(p)) for z, p in fields.get("curve", ()))
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        known = ", ".join(FEATURES)
        message = (
            f"'{name}' is not a confidence model ({exc!r}): it is JSON with `bias` and `weights` of {known}, and maybe a `curve`"
        )
        raise ArtifactError(message) from exc
    if not all(map(math.isfinite, (*weights, bias))):
        raise ArtifactError(f"'{name}': weights and bias must be finite; fit it anew")
    if not is_rising(curve):
        raise ArtifactError(f"'{name}': the points of `curve` must rise, to probabilities in [0, 1]; fit it anew")
    return ConfidenceModel(weights, bias, curve)


def is_rising(curve: Sequence[tuple[float, float]]) -> bool:
    """Whether it can be read off: finite, from the left to the right and never down."""
    finite = all(math.isfinite(z) and 0 <= p <= 1 for z, p in curve)
    return finite and all(z0 < z1 and p0 <= p1 for (z0, p0), (z1, p1) in pairwise(curve))


@functools.cache
def shipped_model() -> ConfidenceModel:
    """The model that comes with the package. Raises ArtifactError."""
    try:
        text = resources.files("classifiers.cascade").joinpath("confidence.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ArtifactError(f"classifiers/cascade/confidence.json: {exc}; install the package anew") from exc
    return read_model(text, "classifiers/cascade/confidence.json")
