"""From scores to probabilities, and how far a standardised feature may speak. numpy only."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Probabilities

# A standardised feature beyond this is an odd text, not a stronger signal: logarithms and shares have thin tails.
CLIP: Final = 4.0


def softmax(logits: npt.NDArray[np.float64]) -> Probabilities:
    """Over the last axis, safe for large values."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Probabilities = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def softmax_of(logits: Sequence[float]) -> list[float]:
    """`softmax` of a few numbers."""
    highest = max(logits)
    powers = [math.exp(logit - highest) for logit in logits]
    total = sum(powers)
    return [power / total for power in powers]
