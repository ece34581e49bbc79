"""Fit the parts of an intent model: word weights, linear scores, landmarks. Training only: scikit-learn and scipy."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.linalg  # type: ignore[import-untyped]  # scipy has no types of its own
import scipy.sparse  # type: ignore[import-untyped]
from sklearn.svm import LinearSVC

from classifiers.base import Matrix
from classifiers.intents.arrays import half
from classifiers.intents.model import Landmarks, Linear
from classifiers.intents.views import IntentView, Rarity, Singles, Vocabulary
from classifiers.text.ngrams import Buckets, Counts

Columns = npt.NDArray[np.intp]

RARITY_POWER: Final = 0.4  # of the inverse document frequency; 0 to 0.5 measure alike, 1 is worse
MARGIN_C: Final = 0.5
TOLERANCE: Final = 1e-3
# In fewer rows than this an n-gram seen once is worth keeping; in more it is half the vocabulary and tells nothing.
ONCE_ROWS_MAX: Final = 2_000
LANDMARKS_MAX: Final = 2_000
LANDMARK_ROUNDS: Final = 5
WIDTH: Final = 2.0
RIDGE: Final = 0.05
JITTER: Final = 1e-4  # near-duplicate landmarks would make the system singular
BLOCK: Final = 2_048  # rows at a time, to bound memory


class Looked:
    """Texts as matrices. meanings: (n, d)."""

    def __init__(self, views: Sequence[IntentView], meanings: Matrix) -> None:
        self.views: Final = views
        self.meanings: Final = meanings
        seen_min = 1 if len(views) < ONCE_ROWS_MAX else 2
        self.words: Final = fit_vocabulary([seen.word_ngrams for seen in views], seen_min)
        self.chars: Final = fit_vocabulary([seen.char_ngrams for seen in views], seen_min)

    def matrix(self) -> scipy.sparse.csr_matrix:
        """(n, words + chars + d): tf-idf of word n-grams, of character n-grams, and meanings."""
        words = _weighed(self.words, [seen.word_ngrams for seen in self.views])
        chars = _weighed(self.chars, [seen.char_ngrams for seen in self.views])
        return scipy.sparse.csr_matrix(
            scipy.sparse.hstack([words, chars, scipy.sparse.csr_matrix(self.meanings)]), dtype=np.float64
        )


def fit_rarity(views: Sequence[IntentView]) -> Rarity:
    """How rare each word of the texts is among them."""
    words, counts = np.unique(np.concatenate([seen.words for seen in views]), return_counts=True)
    weight = _idf(counts, len(views)) ** RARITY_POWER
    return Rarity(words, weight.astype(np.float32), float(_idf(np.zeros(1), len(views))[0] ** RARITY_POWER))


def fit_vocabulary(ngrams: Sequence[tuple[Buckets, Counts]], seen_min: int) -> Vocabulary:
    """The n-grams that are in `seen_min` texts or more."""
    buckets, counts = np.unique(np.concatenate([pair[0] for pair in ngrams]), return_counts=True)
    kept = counts >= seen_min
    return Vocabulary(buckets[kept], _idf(counts[kept], len(ngrams)).astype(np.float32))


def fit_linear(looked: Looked, columns: Columns, classes: int, seed: int) -> Linear:
    """Support vector machines, one class against the rest, with squared hinge loss. columns: (n,) class of each text."""
    machine = LinearSVC(C=MARGIN_C, tol=TOLERANCE, max_iter=2_000, random_state=seed)
    machine.fit(looked.matrix(), columns)
    weight, bias = machine.coef_, machine.intercept_
    if classes == 2:  # scikit-learn then fits one machine, of the second class
        weight, bias = np.vstack((-weight, weight)), np.append(-bias, bias)
    words, chars = len(looked.words.buckets), len(looked.chars.buckets)
    by_feature = half(weight.T)
    return Linear(
        words=looked.words,
        chars=looked.chars,
        word_weight=np.ascontiguousarray(by_feature[:words]),
        char_weight=np.ascontiguousarray(by_feature[words : words + chars]),
        meaning_weight=np.ascontiguousarray(by_feature[words + chars :]),
        bias=bias.astype(np.float32),
    )


def fit_landmarks(meanings: Matrix, columns: Columns, classes: int, seed: int) -> Landmarks:
    """Kernel ridge regression on landmarks: all texts if they are few, else centres of clusters of their meanings.

    Nyström's method with k-means (Zhang, Tsang and Kwok, "Improved Nyström Low-Rank Approximation", 2008): of 2,000
    landmarks, centres give what 3,000 texts drawn at random do.
    """
    marks = half(meanings if len(meanings) <= LANDMARKS_MAX else _centres(meanings, columns, seed))
    gram = np.zeros((len(marks), len(marks)))
    target = np.zeros((len(marks), classes))
    for start in range(0, len(meanings), BLOCK):
        near = np.exp(WIDTH * (meanings[start : start + BLOCK] @ marks.T - 1))
        gram += near.T @ near
        target += near.T @ np.eye(classes, dtype=np.float32)[columns[start : start + BLOCK]]
    gram += RIDGE * np.exp(WIDTH * (marks @ marks.T - 1)) + JITTER * np.eye(len(marks))
    weight = scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram), target)
    return Landmarks(marks, np.ascontiguousarray(weight, np.float32), WIDTH)


def _centres(meanings: Matrix, columns: Columns, seed: int) -> Matrix:
    """(LANDMARKS_MAX, d) by k-means on the sphere, begun from texts of every class in turn."""
    rng = np.random.default_rng(seed)
    turn = np.empty(len(columns))
    for column in np.unique(columns):
        mine = rng.permutation(np.flatnonzero(columns == column))
        turn[mine] = np.arange(len(mine)) + rng.random(len(mine))
    centres = meanings[np.argsort(turn)[:LANDMARKS_MAX]].copy()
    for _ in range(LANDMARK_ROUNDS):
        nearest = np.concatenate(
            [(meanings[start : start + BLOCK] @ centres.T).argmax(axis=1) for start in range(0, len(meanings), BLOCK)]
        )
        members = scipy.sparse.csr_matrix(
            (np.ones(len(nearest), np.float32), (nearest, np.arange(len(nearest)))), (len(centres), len(nearest))
        )
        sums = members @ meanings
        lengths = np.sqrt((sums * sums).sum(axis=1, keepdims=True))
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), centres).astype(np.float32)
    return centres


def _weighed(vocabulary: Vocabulary, ngrams: Sequence[tuple[Buckets, Counts]]) -> scipy.sparse.csr_matrix:
    weighed = [vocabulary.weigh(pair) for pair in ngrams]
    ends = np.cumsum([0] + [len(at) for at, _ in weighed])
    values: Singles = np.concatenate([value for _, value in weighed])
    return scipy.sparse.csr_matrix(
        (values, np.concatenate([at for at, _ in weighed]), ends), (len(ngrams), len(vocabulary.buckets))
    )


def _idf(counts: npt.NDArray[np.floating | np.integer], n: int) -> npt.NDArray[np.float64]:
    inverse: npt.NDArray[np.float64] = np.log((1 + n) / (1 + counts)) + 1
    return inverse
