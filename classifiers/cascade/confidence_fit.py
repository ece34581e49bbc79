"""Fit a ConfidenceModel on graded answers. Training only: needs scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classifiers.cascade.confidence import FEATURES, ConfidenceModel, Measures, features
from classifiers.measure.metrics import expected_calibration_error

FOLDS_MAX: Final = 5
REPEATS: Final = 3  # the calibration error of a thousand rows differs by half from one division to the next
ROWS_MIN: Final = 40
EACH_MIN: Final = 10  # rows of the rarer verdict
# Of the curve: with a thousand rows and 12 points the calibration error fell from 0.09 to 0.05.
BINS_MIN: Final = 5
BINS_MAX: Final = 12
BIN_ROWS_MIN: Final = 50
CURVE_FOLDS: Final = 5
MIN_STEP: Final = 1e-4

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """A model, and how it did on rows that it had not seen: means over REPEATS cross-validations.

    unseen: (rows,) the confidence in each row of a model that had not seen it, of the first cross-validation.
    """

    model: ConfidenceModel
    rows: int
    share_right: float
    folds: int
    auc: float
    ece: float
    brier: float
    log_loss: float
    unseen: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """The fields that classifiers.cascade.confidence.read_model takes."""
        model = self.model
        weights = dict(zip(FEATURES, (round(w, 6) for w in model.weights), strict=True))
        curve = {"curve": [[round(z, 5), round(p, 5)] for z, p in model.curve]} if model.curve else {}
        return {"bias": round(model.bias, 6), "weights": weights, **curve}


def fit_confidence(rows: Sequence[Mapping[str, Any]], *, seed: int = 0) -> Fit:
    """A model from rows {"mean_logprob", "lowest_window", "margin", "tokens", "right": 0 or 1}.

    They are what the ledger keeps of a judged attempt (`attempts[].accept`), graded. Rows with the same "group" (answers
    to one question) are never on both sides when it is measured. Other keys are not looked at. Its curve is isotonic
    over means of equal numbers of rows (Zadrozny and Elkan 2002; binned against overfitting), where there are enough.
    Raises ValueError, naming the row, for one that lacks a number, and when there is too little to learn from.
    """
    x, right = _table(rows)
    rarer = int(min(right.sum(), len(right) - right.sum()))
    if len(rows) < ROWS_MIN or rarer < EACH_MIN:
        said = f"{len(rows)} rows, {int(right.sum())} of them right"
        raise ValueError(f"{said}: at least {ROWS_MIN} rows are needed, {EACH_MIN} of them right and {EACH_MIN} wrong")
    groups = np.array([str(row.get("group", f"row {n}")) for n, row in enumerate(rows)])
    folds = min(FOLDS_MAX, rarer)
    unseen = [_unseen(x, right, groups, folds, seed + repeat) for repeat in range(REPEATS)]
    auc, ece, brier, log_loss = (float(value) for value in np.mean([_measured(one, right) for one in unseen], axis=0))
    model = _fitted(x, right, groups, seed)
    return Fit(model, len(rows), float(right.mean()), folds, auc, ece, brier, log_loss, tuple(unseen[0].tolist()))


def _unseen(x: Floats, right: Floats, groups: npt.NDArray[np.str_], folds: int, seed: int) -> Floats:
    """(n,) the confidence in each row of a model of the other folds."""
    unseen = np.zeros(len(right))
    for train, test in _splits(groups, folds, seed):
        part = _fitted(x[train], right[train], groups[train], seed)
        unseen[test] = [_predicted(part, row) for row in x[test]]
    return unseen


def _measured(unseen: Floats, right: Floats) -> tuple[float, float, float, float]:
    """(AUC, expected calibration error, Brier score, log loss)."""
    clipped = np.clip(unseen, 1e-12, 1 - 1e-12)
    return (
        float(roc_auc_score(right, unseen)),
        expected_calibration_error(unseen, right.astype(bool), np.ones(len(right))),
        float(np.mean((unseen - right) ** 2)),
        float(-np.mean(right * np.log(clipped) + (1 - right) * np.log(1 - clipped))),
    )


def _fitted(x: Floats, right: Floats, groups: npt.NDArray[np.str_], seed: int) -> ConfidenceModel:
    """Logistic, and a curve of what it says of rows that it had not seen."""
    weights, bias = _logistic(x, right)
    bins = min(BINS_MAX, len(right) // BIN_ROWS_MIN)
    if bins < BINS_MIN:
        return ConfidenceModel(tuple(weights.tolist()), bias)
    z = np.zeros(len(right))
    for train, test in _splits(groups, CURVE_FOLDS, seed):
        part_weights, part_bias = _logistic(x[train], right[train])
        z[test] = x[test] @ part_weights + part_bias
    parts = np.array_split(np.argsort(z, kind="stable"), bins)
    centre = np.array([z[part].mean() for part in parts])
    share = np.array([(right[part].sum() + 1) / (len(part) + 2) for part in parts])  # Laplace: no bin says never or always
    rising = IsotonicRegression().fit_transform(centre, share, sample_weight=[len(part) for part in parts])
    kept = np.flatnonzero(np.append(True, np.diff(centre) > MIN_STEP))
    curve = tuple((float(centre[i]), float(rising[i])) for i in kept)
    return ConfidenceModel(tuple(weights.tolist()), bias, curve)


def _splits(groups: npt.NDArray[np.str_], folds: int, seed: int) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """(train, test) rows of each fold; a group is in one fold. scikit-learn's own takes minutes for thousands of groups."""
    names, group = np.unique(groups, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % folds)[group]
    for k in range(min(folds, len(names))):
        yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)


def _logistic(x: Floats, right: Floats) -> tuple[Floats, float]:
    if len(np.unique(right)) < 2:
        raise ValueError("without some of the groups, all rows are right or all wrong; grade answers to more questions")
    scaled = make_pipeline(StandardScaler(), LogisticRegression(C=10.0, max_iter=1000)).fit(x, right)
    scaler, logistic = scaled[0], scaled[1]
    weights = logistic.coef_[0] / scaler.scale_
    return weights, float(logistic.intercept_[0] - weights @ scaler.mean_)


def _predicted(model: ConfidenceModel, row: Floats) -> float:
    measures = Measures(float(row[0]), float(row[1]), float(row[2]), max(round(math.exp(row[3])), 1))
    confidence = model.confidence(measures)
    assert confidence is not None, "every row has a margin"
    return confidence


def _table(rows: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats]:
    x, right = [], []
    for number, row in enumerate(rows, 1):
        if row.get("right") not in (0, 1):
            raise ValueError(f"row {number}: `right` is {row.get('right')!r}; it must be 0 or 1")
        values = [row.get(key) for key in ("mean_logprob", "lowest_window", "margin", "tokens")]
        if not all(isinstance(v, int | float) and math.isfinite(v) for v in values) or not values[3] or values[3] < 1:
            raise ValueError(f"row {number}: mean_logprob, lowest_window, margin and tokens must be numbers, tokens 1 or more")
        numbers = [float(v) for v in values if v is not None]
        made = features(Measures(numbers[0], numbers[1], numbers[2], int(numbers[3])))
        assert made is not None
        x.append(made)
        right.append(int(row["right"]))
    return np.asarray(x, np.float64).reshape(-1, len(FEATURES)), np.asarray(right, np.float64)
