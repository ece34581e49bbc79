"""The model that is served: a softmax over one linear layer on embedding and hand features. numpy only."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Matrix, Probabilities, Vector

# A standardised feature beyond this is an odd text, not a stronger signal: logarithms and shares have thin tails.
CLIP: Final = 4.0


@dataclass(frozen=True, slots=True)
class LinearModel:
    """k classes, d embedding dimensions, f hand features; all arrays float32."""

    embedding_weight: Matrix  # (d, k)
    feature_weight: Matrix  # (f, k)
    bias: Vector  # (k,)
    feature_mean: Vector  # (f,)
    feature_scale: Vector  # (f,), all above 0

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float32]]) -> "LinearModel":
        """The model of the arrays of these names. Raises ValueError if one is missing, misshapen or not finite."""
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in arrays]:
            raise ValueError(f"arrays missing: {', '.join(missing)}")
        model = cls(**{name: np.ascontiguousarray(arrays[name], np.float32) for name in names})
        (k,), f = model.bias.shape, len(model.feature_mean)
        expected = {"feature_weight": (f, k), "feature_mean": (f,), "feature_scale": (f,)}
        expected["embedding_weight"] = (len(model.embedding_weight), k)
        for name in names:
            array = getattr(model, name)
            if array.shape != expected.get(name, array.shape):
                raise ValueError(f"array {name} has shape {array.shape}, expected {expected[name]}")
            if not np.isfinite(array).all():
                raise ValueError(f"array {name} holds numbers that are not finite")
        if not (model.feature_scale > 0).all():
            raise ValueError("array feature_scale must be above 0")
        return model

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """What `from_arrays` takes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def standardised(self, features: Matrix) -> Matrix:
        """(..., f) raw features to what the feature weights multiply."""
        clipped: Matrix = np.clip((features - self.feature_mean) / self.feature_scale, -CLIP, CLIP)
        return clipped

    def probabilities(self, embeddings: Matrix, features: Matrix) -> Probabilities:
        """(..., d) and (..., f) to (..., k) float64; the last axis sums to 1."""
        logits = embeddings @ self.embedding_weight + self.standardised(features) @ self.feature_weight + self.bias
        return softmax(logits.astype(np.float64))


def softmax(logits: npt.NDArray[np.float64]) -> Probabilities:
    """Over the last axis, safe for large values."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Probabilities = powers / powers.sum(axis=-1, keepdims=True)
    return shares
