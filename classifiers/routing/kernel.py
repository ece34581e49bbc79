"""Kernel ridge regression on a few landmarks, by likeness of their hand features. numpy only.

Nyström's method (Williams and Seeger, "Using the Nyström Method to Speed Up Kernel Machines", 2000): the answer is a
weighted sum of likenesses to at most a thousand training texts, kept as vectors. No text is kept.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.shipped.softmax import CLIP

Singles = npt.NDArray[np.float32]

ITSELF: Final = 0.98  # likeness of a text to its own landmark, which is stored in half precision


@dataclass(frozen=True, slots=True)
class Kernel:
    """m landmarks, f hand features, d embedding dimensions, k outputs; all float32."""

    feature_mean: Singles  # (f,)
    feature_scale: Singles  # (f,), 0 for a feature that never varied: it is left out
    embedding_mean: Singles  # (d,)
    landmark_features: Singles  # (m, f), standardised
    landmark_embeddings: Singles  # (m, d), centred, of length 1
    weights: Singles  # (m, k)
    bias: Singles  # (k,)
    # Made of the above.
    _divisor: Singles = field(init=False, repr=False)  # (f,)
    _bound: Singles = field(init=False, repr=False)  # (f,) how far a standardised feature may be from 0
    _squares: Singles = field(init=False, repr=False)  # (m,) of the landmarks' features, summed

    def __post_init__(self) -> None:
        varies = self.feature_scale > 0
        object.__setattr__(self, "_divisor", np.where(varies, self.feature_scale, 1).astype(np.float32))
        object.__setattr__(self, "_bound", np.where(varies, CLIP, 0).astype(np.float32))
        object.__setattr__(self, "_squares", _squares(self.landmark_features))

    def standardised(self, features: Singles) -> Singles:
        """(..., f) raw features to deviations from the training rows' mean, cut at CLIP."""
        deviations = (features - self.feature_mean) / self._divisor
        cut: Singles = np.minimum(np.maximum(deviations, -self._bound), self._bound)
        return cut

    def centred(self, embeddings: Singles) -> Singles:
        """(..., d) embeddings to unit vectors around the training rows' mean; all zero stays as near to it as it is."""
        moved = embeddings - self.embedding_mean
        length = np.sqrt((moved * moved).sum(axis=-1, keepdims=True))
        unit: Singles = moved / np.maximum(length, np.float32(1e-6))
        return unit

    def likeness(self, features: Singles) -> Singles:
        """(..., f) standardised to (..., m) likeness in shape to each landmark, in [0, 1]."""
        return _likeness(features, self.landmark_features, self._squares)

    def predict(self, likeness: Singles) -> Singles:
        """(..., m) likeness in shape to (..., k) outputs."""
        outputs: Singles = likeness @ self.weights + self.bias
        return outputs

    def nearest(self, likeness: Singles, embedding: Singles) -> float:
        """How like the nearest landmark a text is in shape and meaning, in [0, 1]. (m,) in shape, (d,) centred."""
        return float(self._alike(likeness, embedding).max())

    def nearest_to_others(self, features: Singles, embedding: Singles) -> float:
        """`nearest`, but for a training text: landmarks that are the text itself do not count. (f,) standardised."""
        alike = self._alike(self.likeness(features), embedding)
        return float(alike[alike < ITSELF].max(initial=0))

    def _alike(self, likeness: Singles, embedding: Singles) -> Singles:
        alike: Singles = likeness * (1 + self.landmark_embeddings @ embedding) * np.float32(0.5)
        return alike


def likeness(features: Singles, to: Singles) -> Singles:
    """(..., f) against (m, f), both standardised, to (..., m): a Laplacian kernel, its width the root of f.

    Against a Gaussian one it is less sure of texts between landmarks and forgives single odd features.
    """
    return _likeness(features, to, _squares(to))


def _likeness(features: Singles, to: Singles, squares_of_to: Singles) -> Singles:
    own = _squares(features)[..., np.newaxis]
    squares = np.maximum(own + squares_of_to - 2 * (features @ to.T), 0)
    near: Singles = np.exp(-np.sqrt(squares / max(features.shape[-1], 1)))
    return near


def _squares(rows: Singles) -> Singles:
    """(..., f) to (...): the sum of the squares."""
    sums: Singles = (rows * rows).sum(axis=-1)
    return sums
