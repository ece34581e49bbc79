"""How a classifier is measured: calibration, precision and recall, and what its ranking is worth to a router.

Routing after Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data" (arXiv 2406.18665), 3.2.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.base import Probabilities, Weights

ECE_BINS: Final = 15

Floats = npt.NDArray[np.float64]


def expected_calibration_error(confidence: Floats, is_right: npt.NDArray[np.bool_], weights: Weights) -> float:
    """Weighted mean over equal-width bins of |accuracy - mean confidence|, in [0, 1]. All (n,)."""
    bins = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    gap = np.bincount(bins, weights * (is_right - confidence), minlength=ECE_BINS)
    return float(np.abs(gap).sum() / weights.sum())


def one_vs_rest(probability: Floats, is_class: npt.NDArray[np.bool_], weights: Weights) -> tuple[float, list[dict[str, float]]]:
    """Calibration of one class's probability: its expected error, and the bins that it is the mean of.

    All (n,). A bin: lowest probability of it, mean probability, share of the class, share of all weight.
    """
    bins = np.minimum((probability * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    weight = np.bincount(bins, weights, minlength=ECE_BINS)
    mean = np.bincount(bins, weights * probability, minlength=ECE_BINS)
    hits = np.bincount(bins, weights * is_class, minlength=ECE_BINS)
    total = float(weight.sum())
    table = [
        {
            "from": n / ECE_BINS,
            "mean": float(mean[n] / weight[n]),
            "share": float(hits[n] / weight[n]),
            "weight": float(weight[n] / total),
        }
        for n in range(ECE_BINS)
        if weight[n] > 0
    ]
    return expected_calibration_error(probability, is_class, weights), table


def log_loss(probabilities: Probabilities, labels: npt.NDArray[np.intp], weights: Weights) -> float:
    """Weighted mean of -ln p(label), nats. probabilities: (n, k); labels: (n,) column numbers."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(np.average(-np.log(np.maximum(chosen, 1e-12)), weights=weights))


def classification(
    probabilities: Probabilities,
    labels: npt.NDArray[np.intp],
    weights: Weights,
    classes: Sequence[str],
    abstain_below: float,
) -> dict[str, Any]:
    """Accuracy, ECE, log loss, precision and recall by class, coverage when abstaining, confusion in rows.

    Everything but the confusion table and `rows` is weighted.
    """
    k = len(classes)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    is_right = predicted == labels
    table = np.zeros((k, k))
    np.add.at(table, (labels, predicted), weights)
    counts = np.zeros((k, k), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    kept = confidence >= abstain_below
    return {
        "rows": len(labels),
        "accuracy": float(np.average(is_right, weights=weights)),
        "ece": expected_calibration_error(confidence, is_right, weights),
        "log_loss": log_loss(probabilities, labels, weights),
        "by_class": {
            name: {
                "rows": int(counts[i].sum()),
                "precision": _ratio(table[i, i], table[:, i].sum()),
                "recall": _ratio(table[i, i], table[i].sum()),
            }
            for i, name in enumerate(classes)
        },
        "abstain_below": abstain_below,
        "coverage": float(np.average(kept, weights=weights)),
        "accuracy_when_kept": _ratio(float(weights[kept & is_right].sum()), float(weights[kept].sum())),
        "confusion": counts.tolist(),
    }


def precision_at(probability: Floats, is_class: npt.NDArray[np.bool_], threshold: float) -> dict[str, float | int | None]:
    """Of the rows whose `probability` reaches the threshold: how many, how many right; and the share of the class."""
    taken = probability >= threshold
    right = int((taken & is_class).sum())
    return {
        "threshold": threshold,
        "rows": int(taken.sum()),
        "precision": _ratio(right, int(taken.sum())),
        "recall": _ratio(right, int(is_class.sum())),
    }


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
