"""What classifiers and embedders look like to their callers. Protocols and values only, no code that computes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float32]
Weights = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]  # of tokens

Input = TypeVar("Input", contravariant=True)


class Embedder(Protocol):
    """Text to a unit vector. `name` changes whenever the same text would get another vector."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, text: str) -> Vector:
        """(dim,) float32 of length 1; all zero for a text with no tokens."""
        ...

    def encode_many(self, texts: Sequence[str]) -> Matrix:
        """(n,) texts to (n, dim), a row each as `encode` gives it."""
        ...


class Scorer(Protocol[Input]):
    """A classifier that has been fitted. Input: (n,) texts for an artifact, an (n, d) matrix for a learner."""

    @property
    def classes_(self) -> tuple[str, ...]: ...

    def predict_proba(self, X: Input) -> Probabilities:
        """n inputs to (n, k) probabilities; rows sum to 1, columns as `classes_`."""
        ...


class Classifier(Scorer[Input], Protocol[Input]):
    """A scorer that can be fitted."""

    def fit(self, X: Input, y: Sequence[str], sample_weight: Weights | None = None) -> Self:
        """X: n inputs. y: (n,) class names. sample_weight: (n,), all 1 if None. Returns itself."""
        ...


class Verdict(NamedTuple):
    """What an artifact says of one text.

    classes: probability of `skip`, `small` and `strong`, adding up to 1. quality: predicted quality from 0 to 1 by the
    name of each graded model; empty if the artifact learned from no grades. familiarity: from 0 (like nothing in the
    training data) to 1.
    """

    classes: Mapping[str, float]
    quality: Mapping[str, float]
    familiarity: float
