"""The learners that are compared. Each takes an (n, d) matrix: embedding columns first, then hand features.

Imported by training only: scikit-learn is no part of serving.
"""

from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from classifiers.base import Matrix, Probabilities, Vector, Weights
from classifiers.shipped.softmax import CLIP
from classifiers.text.embed import DIM

# Unit vectors of 256 dimensions have entries near 1/16: times 16 they weigh as much as a standardised feature.
EMBEDDING_GAIN: Final = float(np.sqrt(DIM))


class Scaling:
    """Puts embedding and hand features on one scale."""

    def __init__(self, X: Matrix, weights: Weights) -> None:
        raw = X[:, DIM:].astype(np.float64)
        mean = np.average(raw, axis=0, weights=weights)
        deviation = np.sqrt(np.average((raw - mean) ** 2, axis=0, weights=weights))
        self.mean: Final[Vector] = mean.astype(np.float32)
        self.scale: Final[Vector] = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)

    def apply(self, X: Matrix) -> Matrix:
        """(n, d) to (n, d), both parts with entries of about unit size."""
        hand = np.clip((X[:, DIM:] - self.mean) / self.scale, -CLIP, CLIP)
        return np.hstack([X[:, :DIM] * np.float32(EMBEDDING_GAIN), hand])


class _Learner:
    """What the learners share: weights default to 1, columns come in the order of scikit-learn's classes."""

    name: str

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    def classes_(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.model.classes_)

    def fit(self, X: Matrix, y: Sequence[str], sample_weight: Weights | None = None) -> Self:
        weights = np.ones(len(X)) if sample_weight is None else sample_weight
        self.scaling = Scaling(X, weights)
        self._fit(self.scaling.apply(X), np.array(y), weights * len(X) / weights.sum())
        return self

    def predict_proba(self, X: Matrix) -> Probabilities:
        probabilities: Probabilities = np.asarray(self.model.predict_proba(self.scaling.apply(X)), np.float64)
        return probabilities

    def _fit(self, scaled: Matrix, y: npt.NDArray[np.str_], weights: Weights) -> None:
        self.model.fit(scaled, y, sample_weight=weights)


class Logistic(_Learner):
    """Multinomial logistic regression."""

    name = "logistic regression"

    def __init__(self, C: float, seed: int) -> None:
        super().__init__(LogisticRegression(C=C, tol=1e-3, max_iter=400, random_state=seed))


class Boosting(_Learner):
    """Histogram gradient boosting on the same columns, of as many rows drawn by weight.

    Not fitted with sample weights: scikit-learn 1.9 then takes over a minute a fit to find the bins of 327 columns.
    """

    name = "gradient boosting"

    def __init__(self, trees_max: int, seed: int) -> None:
        super().__init__(
            HistGradientBoostingClassifier(
                max_iter=trees_max,
                learning_rate=0.15,
                max_leaf_nodes=15,
                max_bins=63,
                l2_regularization=1.0,
                early_stopping=False,
                random_state=seed,
            )
        )
        self._seed = seed

    def _fit(self, scaled: Matrix, y: npt.NDArray[np.str_], weights: Weights) -> None:
        drawn = np.random.default_rng(self._seed).choice(len(y), len(y), p=weights / weights.sum())
        self.model.fit(scaled[drawn], y[drawn])


class Neighbours(_Learner):
    """Nearest neighbours on the same columns; each neighbour votes with its sample weight."""

    name = "nearest neighbours"

    def __init__(self, neighbours: int) -> None:
        super().__init__(KNeighborsClassifier(neighbours, algorithm="brute"))

    def _fit(self, scaled: Matrix, y: npt.NDArray[np.str_], weights: Weights) -> None:
        self.model.n_neighbors = min(self.model.n_neighbors, len(y))
        self.model.fit(scaled, y)
        self._votes = weights[:, None] * (y[:, None] == self.model.classes_)  # (n, k)

    def predict_proba(self, X: Matrix) -> Probabilities:
        nearest = self.model.kneighbors(self.scaling.apply(X), return_distance=False)
        votes = self._votes[nearest].sum(axis=1) + 1e-3
        shares: Probabilities = votes / votes.sum(axis=1, keepdims=True)
        return shares
