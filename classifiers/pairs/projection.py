"""Which directions of an embedding matter for "same question?", learned from labelled pairs. numpy only, fitting too.

The cosine weighs all directions alike: a subject that differs counts as much as a tone that differs. One hidden layer over
u*v and |u-v| learns to weigh them, as Conneau et al. do with InferSent's sentence vectors (arXiv 1705.02364).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Embedder, Matrix, Vector
from classifiers.pairs.memo import Memo

HIDDEN: Final = 384
EPOCHS: Final = 14
BATCH: Final = 128
STEP: Final = 1e-3
WARM_UP_STEPS: Final = 200
STEP_LEFT: Final = 0.03  # share of the step that is left at the end
DECAY: Final = 3e-2
DROPPED: Final = (0.4, 0.5)  # shares of the inputs and of the hidden units left out at each step of training
MOMENTS: Final = (0.9, 0.999)
VECTORS_BYTES_MAX: Final = 4 * 1024 * 1024  # some 2,500 vectors of 256 dimensions with their texts
ARRAYS: Final = ("mean", "scale", "hidden", "hidden_bias", "output", "output_bias")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Projection:
    """A learned score of two vectors of d dimensions, the same whichever comes first.

    mean, scale: (2d,) of the inputs. hidden: (2d, h). hidden_bias: (h,). output: (h,). output_bias: (1,). All finite.
    """

    mean: Vector
    scale: Vector
    hidden: Matrix
    hidden_bias: Vector
    output: Vector
    output_bias: Vector

    @property
    def dim(self) -> int:
        return len(self.mean) // 2

    def score(self, u: Matrix, v: Matrix) -> Vector:
        """(n, d) and (n, d) vectors of length 1 to (n,) log-odds of "same"; (d,) and (n, d) will do."""
        return self._of(inputs(u, v))

    def _of(self, raw: Matrix) -> Vector:
        x = (raw - self.mean) / self.scale
        found: Vector = np.maximum(x @ self.hidden + self.hidden_bias, 0) @ self.output + self.output_bias[0]
        return found

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `from_arrays` takes: half precision, which `fit_projection` has rounded to already."""
        return {name: getattr(self, name).astype(np.float16 if name == "hidden" else np.float32) for name in ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], dim: int) -> Projection:
        """The projection for vectors of `dim` dimensions. Raises ValueError, naming the array, if one is missing or misshapen."""
        if missing := [name for name in ARRAYS if name not in arrays]:
            raise ValueError(f"arrays missing: {', '.join(missing)}")
        width = len(arrays["output"]) if arrays["output"].ndim == 1 else 0
        shapes = ((2 * dim,), (2 * dim,), (2 * dim, width), (width,), (width,), (1,))
        for name, shape in zip(ARRAYS, shapes, strict=True):
            found = arrays[name]
            if found.shape != shape or found.dtype.kind != "f" or not np.isfinite(found).all():
                raise ValueError(f"array {name} must be {shape} finite numbers, has {found.dtype} {found.shape}")
        if not width or not (arrays["scale"] > 0).all():
            raise ValueError("array scale must be above 0, array output not empty")
        return cls(*(np.ascontiguousarray(arrays[name], np.float32) for name in ARRAYS))


class ProjectedFeatures:
    """The learned score of an embedder's sentence vectors, as a column of pair features. Safe to share between threads."""

    def __init__(self, embedder: Embedder, projection: Projection, name: str) -> None:
        """name: of the column. Raises ValueError if the projection is for vectors of other dimensions."""
        if projection.dim != embedder.dim:
            raise ValueError(f"a projection of {projection.dim} dimensions does not fit {embedder.name}'s {embedder.dim}")
        self.names: Final = (name,)
        self._projection: Final = projection
        self._vector: Final = Memo(embedder.encode, lambda vector: vector.nbytes, VECTORS_BYTES_MAX)

    def rows(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> Matrix:
        """(len(kept), 1) log-odds. cosines: not looked at."""
        if not kept:
            return np.zeros((0, 1), np.float32)
        return self._projection.score(self._vector(asked), np.stack([self._vector(text) for text in kept]))[:, None]


def inputs(u: Matrix, v: Matrix) -> Matrix:
    """(…, d) vectors of length 1 to (…, 2d) products and distances, of the size of 1."""
    root = np.float32(np.sqrt(u.shape[-1]))
    found: Matrix = np.concatenate([u * v * (root * root), np.abs(u - v) * root], axis=-1, dtype=np.float32)
    return found


def fit_projection(u: Matrix, v: Matrix, labels: npt.NDArray[Any], weights: npt.NDArray[Any], seed: int = 0) -> Projection:
    """The projection learned from n pairs, the same for the same seed; 25 s for 35,000 pairs of 384 dimensions.

    u, v: (n, d) of length 1. labels: (n,) 1 same, 0 not. weights: (n,) of the pairs. Adam (arXiv 1412.6980) with decoupled
    weight decay (arXiv 1711.05101) and dropout.
    """
    raw = inputs(u, v)
    mean, scale = raw.mean(axis=0), raw.std(axis=0) + np.float32(1e-6)
    x = (raw - mean) / scale
    y, w = labels.astype(np.float32), (weights / weights.mean()).astype(np.float32)
    rng = np.random.default_rng(seed)
    d = x.shape[1]
    parameters = [
        rng.normal(0, np.sqrt(2 / d), (d, HIDDEN)).astype(np.float32),
        np.zeros(HIDDEN, np.float32),
        rng.normal(0, np.sqrt(1 / HIDDEN), HIDDEN).astype(np.float32),
        np.zeros(1, np.float32),
    ]
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    batches = max(EPOCHS * (len(x) // BATCH), 1)
    for t, rows in enumerate(_batches(len(x), rng), 1):
        step = STEP * min(1, t / WARM_UP_STEPS) * (1 - (1 - STEP_LEFT) * t / batches)
        for i, gradient in enumerate(_gradients(parameters, x[rows], y[rows], w[rows], rng)):
            first[i] += (1 - MOMENTS[0]) * (gradient - first[i])
            second[i] += (1 - MOMENTS[1]) * (gradient * gradient - second[i])
            move = first[i] / (1 - MOMENTS[0] ** t) / (np.sqrt(second[i] / (1 - MOMENTS[1] ** t)) + 1e-8)
            decay = DECAY * parameters[i] if parameters[i].ndim > 1 else 0
            parameters[i] -= (step * (move + decay)).astype(np.float32)
    hidden, hidden_bias, output, output_bias = parameters
    return Projection(mean, scale, hidden.astype(np.float16).astype(np.float32), hidden_bias, output, output_bias)


def out_of_fold(
    u: Matrix, v: Matrix, labels: npt.NDArray[Any], weights: npt.NDArray[Any], folds: npt.NDArray[Any], seed: int = 0
) -> Vector:
    """(n,) log-odds of each pair by a projection that learned from the other folds. folds: (n,), like texts in one fold.

    What the next learner is trained on: of pairs it has seen, a projection is too sure.
    """
    out = np.zeros(len(labels), np.float32)
    for fold in np.unique(folds):
        held = folds == fold
        out[held] = fit_projection(u[~held], v[~held], labels[~held], weights[~held], seed).score(u[held], v[held])
    return out


def _batches(n: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.intp]]:
    """Rows of each step: all in another order each epoch, what is left over at its end left out. Few rows are one batch."""
    for _ in range(EPOCHS):
        order = rng.permutation(n)
        for start in range(0, max(n - BATCH + 1, 1), BATCH):
            yield order[start : start + BATCH]


def _gradients(parameters: Sequence[Floats], x: Matrix, y: Vector, w: Vector, rng: np.random.Generator) -> list[Floats]:
    """Of the mean cross-entropy of a batch, for hidden, hidden_bias, output and output_bias."""
    hidden, hidden_bias, output, output_bias = parameters
    x = x * _kept(x.shape, DROPPED[0], rng)
    mask = _kept((len(x), hidden.shape[1]), DROPPED[1], rng)
    before = x @ hidden + hidden_bias
    after = np.maximum(before, 0) * mask
    odds = after @ output + output_bias[0]
    error = (w * (1 / (1 + np.exp(-np.clip(odds, -30, 30))) - y) / len(y)).astype(np.float32)
    back = error[:, None] * output * mask * (before > 0)
    return [x.T @ back, back.sum(axis=0), after.T @ error, error.sum(keepdims=True)]


def _kept(shape: tuple[int, ...], dropped: float, rng: np.random.Generator) -> Matrix:
    """Zeros and, so that the mean stays, numbers above 1."""
    return ((rng.random(shape, dtype=np.float32) >= dropped) / np.float32(1 - dropped)).astype(np.float32)
