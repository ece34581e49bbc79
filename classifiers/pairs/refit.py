"""Fit a shipped verifier to a deployment's own labelled pairs, some hundreds of them. numpy only.

The trees and what they read stay; the straight line beside them and the calibration move as far as the rows have evidence for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Matrix
from classifiers.errors import DataError
from classifiers.pairs.blocks import LEARNED, embedder_of
from classifiers.pairs.labelled import Pair
from classifiers.pairs.model import Curve, Fitted, Labels, Numbers, PairModel, curve_of, logistic
from classifiers.pairs.rules import CHARS_MAX
from classifiers.pairs.verifier import Verifier, veto, vetoed

Progress = Callable[[float], None]

FOLDS: Final = 5
ROWS_MIN: Final = 40
EACH_MIN: Final = 10
# What a deployment's own questions may tell otherwise: how far words carry, what a paraphrase or an order is worth.
MOVED: Final = (
    "cosine", "cosine_mean", "cosine_rare", "recall_min", "missing_max", "worst_max", "only_rare_max", "terms_rare_jaccard",
    "is_only_form", "surface_apart", "asks_same", "persons_same", "order_same", "objects", "f1", *LEARNED.values(),
)  # fmt: skip
# Standard deviations of what is expected of other texts: of the line's weights a standardised column, the slope, the offset.
WEIGHT_SD: Final = 0.35
SLOPE_SD: Final = 0.35
OFFSET_SD: Final = 2.0
STEPS: Final = 30
EXPECTED_HITS: Final = 500
"""As how many hits the probabilities themselves count beside the hits of the rows."""


def fit_verifier(pairs: Sequence[Pair], base: Verifier, seed: int, progress: Progress = lambda done: None) -> Fitted:
    """`base` fitted to a deployment's pairs; the same for the same pairs and seed. Raises DataError for too few of them."""
    labels = np.array([pair.label for pair in pairs], np.int64)
    same = int(labels.sum())
    if len(pairs) < ROWS_MIN or min(same, len(pairs) - same) < EACH_MIN:
        raise DataError(
            f"{len(pairs)} pairs, {same} of them the same question: give {ROWS_MIN} or more, {EACH_MIN} of each label; "
            "300 are a good start"
        )
    texts = [(pair.text_a, pair.text_b) for pair in pairs]
    rows = rows_of(base, texts, progress)
    folds = _folds(pairs, seed)
    held_out = np.zeros(len(pairs))
    for fold in range(FOLDS):
        held = folds == fold
        if held.any():
            held_out[held] = _moved(base, rows[~held], labels[~held]).probability(rows[held])
    held_out = veto(held_out, vetoed(rows, base.featurizer.names))
    model = _moved(base, rows, labels)
    arrays = {name: array for name, array in base.arrays.items() if not name.startswith("curve_")}
    curves = [*base.curves, own_curve(held_out, labels)]
    arrays |= model.arrays() | {f"curve_{i}": curve.arrays() for i, curve in enumerate(curves)}
    return Fitted(base.embedder, base.featurizer.names, arrays, held_out)


def rows_of(verifier: Verifier, texts: Sequence[tuple[str, str]], progress: Progress) -> Matrix:
    """(n, d) the verifier's columns of pairs of texts, each cut to the characters that a verifier reads."""
    embedder = embedder_of(verifier.embedder)
    found = []
    for i, (a, b) in enumerate(texts):
        a, b = a[:CHARS_MAX], b[:CHARS_MAX]
        found.append(verifier.featurizer.rows(a, [b], [float(embedder.encode(a) @ embedder.encode(b))]))
        progress(i / len(texts))
    return np.concatenate(found)


def scores_of(verifier: Verifier, pairs: Sequence[Pair], progress: Progress) -> Numbers:
    """(n,) what the verifier says of pairs."""
    embedder = embedder_of(verifier.embedder)
    out = np.zeros(len(pairs))
    for i, pair in enumerate(pairs):
        cosine = float(embedder.encode(pair.text_a) @ embedder.encode(pair.text_b))
        (out[i],) = verifier.scores(pair.text_a, [pair.text_b], [cosine])
        progress(i / len(pairs))
    return out


def own_curve(held_out: Numbers, labels: Labels) -> Curve:
    """The curve of the deployment's pairs, on which what the probabilities expect counts as EXPECTED_HITS more."""
    curve = curve_of(held_out, labels)
    falling = -np.sort(-held_out)
    expected = np.cumsum(1 - falling)[curve.hits.astype(int) - 1] / curve.hits
    return Curve(curve.scores, curve.hits + EXPECTED_HITS, curve.wrong + EXPECTED_HITS * expected)


def _folds(pairs: Sequence[Pair], seed: int) -> Labels:
    """(n,) a fold for each pair; those whose first texts are the same question, over others too, are in one.

    Where all would be in few, each pair is drawn by itself.
    """
    leader: dict[str, str] = {}

    def find(text: str) -> str:
        while leader.setdefault(text, text) != text:
            leader[text] = leader[leader[text]]
            text = leader[text]
        return text

    for pair in pairs:
        if pair.label:
            leader[find(pair.text_a)] = find(pair.text_b)
    groups = [find(pair.text_a) for pair in pairs]
    known = sorted(set(groups))
    if len(known) < 2 * FOLDS:
        return np.random.default_rng(seed).permutation(len(pairs)) % FOLDS
    drawn = dict(zip(known, np.random.default_rng(seed).permutation(len(known)) % FOLDS, strict=True))
    return np.array([drawn[group] for group in groups], np.int64)


def _moved(base: Verifier, rows: Matrix, labels: Labels) -> PairModel:
    """The model whose line and calibration are likeliest, given the labels and that most should stay as it was.

    Ridge-penalised logistic regression around the base, by Newton's method.
    """
    old = base.model
    names = base.featurizer.names
    columns = [names.index(name) for name in MOVED if name in names]
    known = old.slope * old.margin(rows) + old.offset
    x = rows[:, columns].astype(np.float64)
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    deviation[deviation < 1e-6] = np.inf  # says nothing here: its weight stays
    design = np.column_stack([known, (x - mean) / deviation, np.ones(len(x))])
    penalty = np.array([SLOPE_SD**-2, *([WEIGHT_SD**-2] * len(columns)), OFFSET_SD**-2])
    theta = _newton(design, labels.astype(np.float64), known, penalty)
    factor = max(1 + float(theta[0]), 0.1)
    weights = theta[1:-1] / deviation
    line = old.line.copy()
    line[columns] += weights / (factor * old.slope)
    offset = factor * old.offset + float(theta[-1]) - float(weights @ mean)
    return PairModel(old.trees, old.scale, line, factor * old.slope, offset)


def _newton(design: Numbers, labels: npt.NDArray[np.float64], known: Numbers, penalty: Numbers) -> Numbers:
    theta = np.zeros(design.shape[1])
    for _ in range(STEPS):
        p = logistic(known + design @ theta)
        gradient = design.T @ (p - labels) + penalty * theta
        curvature = (design.T * (p * (1 - p))) @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        theta -= step / max(1.0, float(np.abs(step).max()))  # no leap past the minimum
        if float(np.abs(step).max()) < 1e-9:
            break
    return theta
