"""Fits the head of the shipped classifier: softmax regression on n-grams, embedding and hand features. Training only: scipy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse  # type: ignore[import-untyped]
from scipy.optimize import minimize  # type: ignore[import-untyped]

from classifiers.base import Matrix, Probabilities, Vector, Weights
from classifiers.shipped.calibrate import Calibration
from classifiers.shipped.head import BITS, CLASSES, MEMBERSHIP, PARTS, Head, HeadView, TokenEmbedder
from classifiers.shipped.softmax import CLIP, softmax
from classifiers.text.ngrams import Buckets

# Beside n-gram weights of length 1 and an embedding of length 1, 71 standardised features would drown both.
HAND_GAIN: Final = 0.1
PART_NAMES: Final = tuple(PARTS)
STEPS_MAX: Final = 150
TOLERANCE: Final = 1e-4  # of the mean loss, relative


@dataclass(frozen=True, slots=True)
class Table:
    """n views as matrices. embeddings: (n, d); hand: (n, f); ngrams: sparse (n, 2 * 2**BITS), characters first."""

    embeddings: Matrix
    hand: Matrix
    ngrams: sparse.csr_matrix

    @classmethod
    def of(cls, views: Sequence[HeadView]) -> "Table":
        return cls(
            embeddings=np.stack([seen.embedding for seen in views]),
            hand=np.stack([seen.hand for seen in views]),
            ngrams=_sparse([seen.ngrams for seen in views]),
        )

    def __len__(self) -> int:
        return len(self.hand)

    def take(self, rows: npt.NDArray[np.intp]) -> "Table":
        """The rows of these numbers."""
        return Table(self.embeddings[rows], self.hand[rows], self.ngrams[rows])

    def dense(self) -> Matrix:
        """(n, d + f) without the n-grams."""
        return np.hstack([self.embeddings, self.hand])


class HashedLogistic:
    """Multinomial logistic regression on all of a Table; `head` exports it to numpy."""

    name = "logistic regression with n-grams"
    classes_ = CLASSES

    def __init__(self, C: float) -> None:
        """C: inverse strength of regularisation, as in scikit-learn: per row of mean weight."""
        self._C = C

    def fit(self, X: Table, y: Sequence[str], sample_weight: Weights | None = None) -> Self:
        """y: (n,) names of parts, the keys of `head.PARTS`. sample_weight: (n,), all 1 if None. Returns itself."""
        weights = np.ones(len(X)) if sample_weight is None else sample_weight
        share = (weights / weights.sum()).astype(np.float32)
        self._mean = np.average(X.hand, axis=0, weights=share).astype(np.float32)
        deviation = np.sqrt(np.average((X.hand - self._mean) ** 2, axis=0, weights=share))
        self._scale: Vector = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)
        dense = self._dense(X)
        target = np.eye(len(PARTS), dtype=np.float32)[[PART_NAMES.index(name) for name in y]]
        across = X.ngrams.T.tocsr()
        penalty = 1 / (self._C * len(X))
        split, k = dense.shape[1], len(PARTS)

        def loss(theta: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            weight = theta.reshape(-1, k).astype(np.float32)
            logits = dense @ weight[:split] + X.ngrams @ weight[split:]
            p = softmax(logits.astype(np.float64))
            error = (share[:, None] * (p - target)).astype(np.float32)
            slope = np.concatenate([dense.T @ error, across @ error]).astype(np.float64)
            decayed = theta.reshape(-1, k).copy()
            decayed[split - 1] = 0  # the bias is free
            value = -float(share @ np.log(np.maximum((p * target).sum(axis=1), 1e-12)))
            return value + penalty / 2 * float((decayed * decayed).sum()), (slope + penalty * decayed).ravel()

        begin = np.zeros((split + X.ngrams.shape[1]) * k)
        found = minimize(
            loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": STEPS_MAX, "ftol": TOLERANCE, "gtol": 1e-6}
        )
        self._weight: Matrix = found.x.reshape(-1, k).astype(np.float32)
        return self

    def predict_proba(self, X: Table) -> Probabilities:
        """n rows to (n, 3) probabilities; rows sum to 1, columns as `classes_`."""
        dense = self._dense(X)
        split = dense.shape[1]
        logits = dense @ self._weight[:split] + X.ngrams @ self._weight[split:]
        shares: Probabilities = softmax(logits.astype(np.float64)) @ MEMBERSHIP
        return shares

    def head(self, calibration: Calibration, embedder: TokenEmbedder) -> Head:
        """The fitted model with its calibration, the weights rounded as they are stored."""
        weight = self._weight
        d, f = embedder.dim, len(self._mean)
        chars, tokens = np.split(weight[d + f + 1 :], [2**BITS])
        arrays = {
            "embedding_weight": weight[:d],
            "feature_weight": weight[d : d + f] * np.float32(HAND_GAIN),
            "char_weight": chars,
            "token_weight": tokens,
        }
        return Head.from_arrays(
            {
                **{name: array.astype(np.float16) for name, array in arrays.items()},
                "bias": weight[d + f],
                "feature_mean": self._mean,
                "feature_scale": self._scale,
                "sharpness": np.array([calibration.scale], np.float32),
                "class_bias": calibration.bias.astype(np.float32),
            },
            embedder,
        )

    def _dense(self, X: Table) -> Matrix:
        """(n, d + f + 1): embedding, scaled hand features, ones."""
        hand = np.clip((X.hand - self._mean) / self._scale, -CLIP, CLIP) * np.float32(HAND_GAIN)
        return np.hstack([X.embeddings, hand, np.ones((len(X), 1), np.float32)])


def _sparse(ngrams: Sequence[tuple[Buckets, Vector]]) -> sparse.csr_matrix:
    starts = np.concatenate(([0], np.cumsum([len(places) for places, _ in ngrams])))
    places = np.concatenate([places for places, _ in ngrams]).astype(np.int32)
    weights = np.concatenate([weights for _, weights in ngrams])
    return sparse.csr_matrix((weights, places, starts), shape=(len(ngrams), 2 ** (BITS + 1)))
