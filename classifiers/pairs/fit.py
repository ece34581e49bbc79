"""Fit a verifier to labelled pairs: from nothing, or a shipped one to a deployment's own. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from classifiers.base import Matrix, Weights
from classifiers.pairs.blocks import LEARNED, Featurizer, embedder_of, learned_kinds, plain_blocks
from classifiers.pairs.labelled import Pair
from classifiers.pairs.model import Fitted, Labels, Numbers, PairModel, curve_of, logistic
from classifiers.pairs.projection import fit_projection
from classifiers.pairs.reading import read
from classifiers.pairs.trees import grow
from classifiers.pairs.verifier import veto, vetoed
from classifiers.pairs.view import RARITY_BUCKETS, bucket

FOLDS: Final = 4
# What holds of texts of any kind, beside the trees, which know questions of one forum: measured on sets not trained on.
LINE: Final = {"cosine": 7.0, "cosine_mean": 5.0, "is_only_form": 5.0, "f1": 4.0}
CALIBRATION_C: Final = 1e4
BATCH: Final = 500

Progress = Callable[[float, str], None]


def fit_new(pairs: Sequence[Pair], kind: str, seed: int, progress: Progress, embedder: Any = None) -> Fitted:
    """A verifier for the embedder `kind` from labelled pairs, thousands of them. embedder: in place of the installed one."""
    labels = np.array([pair.label for pair in pairs], np.int64)
    weights = np.array([pair.weight for pair in pairs], np.float64)
    folds = folds_of(pairs, seed)
    arrays: dict[str, npt.NDArray[Any]] = {"rarity": rarity_of(pairs)}
    if kind != "wordllama":
        arrays["piece_rarity"] = _piece_rarity(pairs, embedder or embedder_of(kind))
    blocks = plain_blocks(kind, arrays, embedder)
    own = embedder or embedder_of(kind)
    names, rows = _plain_rows(pairs, Featurizer(blocks), own, lambda done: progress(0.5 * done, "reading pairs"))
    for i, of in enumerate(learned_kinds(kind)):
        progress(0.5 + 0.2 * i, f"learning from {of}'s vectors")
        column, learned = _learned(pairs, labels, folds, own if of == kind else embedder_of(of), seed)
        arrays |= {f"{LEARNED[of]}_{name}": array for name, array in learned.items()}
        names, rows = (*names, LEARNED[of]), np.column_stack([rows, column])
    progress(0.85, "growing trees")
    line = np.array([LINE.get(name, 0.0) for name in names])
    margins = np.zeros(len(pairs))
    for fold in range(FOLDS):
        held = folds == fold
        trees, scale = grow(rows[~held], labels[~held], weights[~held], names, seed)
        margins[held] = PairModel(trees, scale, line, 1.0, 0.0).margin(rows[held])
    slope, offset = calibrate(margins, labels, weights)
    trees, scale = grow(rows, labels, weights, names, seed)
    model = PairModel(trees, scale, line, slope, offset)
    held_out = veto(logistic(slope * margins + offset), vetoed(rows, names))
    arrays |= model.arrays() | _curves(pairs, labels, held_out)
    return Fitted(kind, names, arrays, held_out)


def folds_of(pairs: Sequence[Pair], seed: int) -> Labels:
    """(n,) a fold for each pair; those of a group are in one."""
    groups = sorted({pair.group for pair in pairs})
    drawn = np.random.default_rng(seed).permutation(len(groups)) % FOLDS
    fold = dict(zip(groups, drawn, strict=True))
    return np.array([fold[pair.group] for pair in pairs], np.int64)


def rarity_of(pairs: Sequence[Pair]) -> npt.NDArray[np.float16]:
    """(RARITY_BUCKETS,) from 0 (in every text) to 1 (in none): the logarithm of the share of texts that hold a word."""
    texts = sorted({text for pair in pairs if not pair.is_made for text in (pair.text_a, pair.text_b)})
    found = np.zeros(RARITY_BUCKETS)
    for text in texts:
        reading = read(text)
        found[list({bucket(word) for word in (*reading.tokens, *reading.terms)})] += 1
    n = len(texts) + 1
    rarity: npt.NDArray[np.float16] = (np.log(n / (found + 1)) / np.log(n)).astype(np.float16)
    return rarity


def _piece_rarity(pairs: Sequence[Pair], embedder: Any) -> npt.NDArray[np.float16]:
    from classifiers.pairs.contextual import piece_rarity

    texts = sorted({text for pair in pairs if not pair.is_made for text in (pair.text_a, pair.text_b)})
    found: npt.NDArray[np.float16] = piece_rarity(embedder.token_vectors(text).pieces for text in texts)
    return found


def _plain_rows(
    pairs: Sequence[Pair], featurizer: Featurizer, embedder: Any, progress: Callable[[float], None]
) -> tuple[tuple[str, ...], Matrix]:
    """The columns that need no labels. embedder: whose cosines the verifier will be given."""
    rows = np.empty((len(pairs), len(featurizer.names)), np.float32)
    for i, pair in enumerate(pairs):
        cosine = float(embedder.encode(pair.text_a) @ embedder.encode(pair.text_b))
        rows[i] = featurizer.rows(pair.text_a, [pair.text_b], [cosine])[0]
        if i % BATCH == 0:
            progress(i / len(pairs))
    return featurizer.names, rows


def _learned(
    pairs: Sequence[Pair], labels: Labels, folds: Labels, embedder: Any, seed: int
) -> tuple[npt.NDArray[np.float32], dict[str, npt.NDArray[Any]]]:
    """What projections say of pairs that they did not learn from, and the arrays of one that learned from all."""
    texts = sorted({text for pair in pairs for text in (pair.text_a, pair.text_b)})
    at = {text: i for i, text in enumerate(texts)}
    vectors = embedder.encode_many(texts)
    u, v = (vectors[[at[text] for text in side]] for side in zip(*((p.text_a, p.text_b) for p in pairs), strict=True))
    is_real = np.array([not pair.is_made for pair in pairs])
    equal = np.ones(len(pairs))
    column = np.zeros(len(pairs), np.float32)
    for fold in range(FOLDS):
        held = folds == fold
        known = is_real & ~held
        column[held] = fit_projection(u[known], v[known], labels[known], equal[known], seed).score(u[held], v[held])
    return column, fit_projection(u[is_real], v[is_real], labels[is_real], equal[is_real], seed).arrays()


def calibrate(margins: Numbers, labels: Labels, weights: Weights) -> tuple[float, float]:
    """Slope and offset of the logistic curve from margins to probabilities (Platt 1999). The slope is above 0."""
    learner = LogisticRegression(C=CALIBRATION_C).fit(margins[:, None], labels, weights)
    return max(float(learner.coef_[0, 0]), 1e-3), float(learner.intercept_[0])


def _curves(pairs: Sequence[Pair], labels: Labels, scores: Numbers) -> dict[str, npt.NDArray[Any]]:
    """A curve for the pairs of each noise: the bar must hold on each, so that one set's ease does not pay for another's."""
    noises = np.array([pair.noise for pair in pairs])
    counted = np.array([pair.weight > 0 and pair.origin != "generated" for pair in pairs])
    curves = {}
    for i, noise in enumerate(np.unique(noises[counted])):
        own = counted & (noises == noise)
        curves[f"curve_{i}"] = curve_of(scores[own], labels[own], float(noise)).arrays()
    return curves
