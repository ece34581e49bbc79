"""Boosted trees for pairs, grown by scikit-learn and turned into arrays. For training only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from classifiers.base import Matrix, Weights
from classifiers.routing.forest import Forest

ROUNDS: Final = 260
SETTINGS: Final[dict[str, Any]] = {
    "learning_rate": 0.07, "max_leaf_nodes": 20, "min_samples_leaf": 50, "l2_regularization": 10.0, "max_features": 0.4,
    "max_depth": 7, "early_stopping": False,
}  # fmt: skip
# More likeness never speaks against, more difference never for "same": without this the trees learn the habits of the
# one forum that they grew on, and lose on texts of another kind.
RISING: Final = frozenset(
    """cosine cosine_mean cosine_rare recall_min recall_max tokens_jaccard terms_jaccard terms_rare_jaccard grams_dice
    bigrams_jaccard is_only_form learned_static learned_contextual sentence f1 f1_least f1_centred f1_centred_least worst
    worst_mean low low_mean runs""".split()
)
FALLING: Final = frozenset(
    """missing_max missing_min worst_max only_max only_rare_max numbers_only_max names_only_max objects surface_apart
    surface_only_max unaligned unaligned_most inversions turned""".split()
)


def grow(rows: Matrix, labels: npt.NDArray[Any], weights: Weights, names: Sequence[str], seed: int) -> tuple[Forest, float]:
    """Trees for (n, d) rows, and the factor from their mean leaf to log-odds. The same input gives the same trees."""
    directions = [1 if name in RISING else -1 if name in FALLING else 0 for name in names]
    learner = HistGradientBoostingClassifier(max_iter=ROUNDS, monotonic_cst=directions, random_state=seed, **SETTINGS)
    with threadpool_limits(1):  # several threads add up in another order
        learner.fit(rows, labels, sample_weight=weights)
    trees = [tree for (tree,) in learner._predictors]
    return _forest([tree.nodes for tree in trees]), float(len(trees))


def _forest(trees: Sequence[npt.NDArray[Any]]) -> Forest:
    roots = np.cumsum([0, *(len(nodes) for nodes in trees[:-1])])
    nodes = np.concatenate(trees)
    at = np.arange(len(nodes))
    start = np.repeat(roots, [len(tree) for tree in trees])
    is_leaf = nodes["is_leaf"].astype(bool)
    bound = nodes["num_threshold"].astype(np.float32)
    above = bound.astype(np.float64) > nodes["num_threshold"]  # rounded up, a value between the two would go the other way
    bound[above] = np.nextafter(bound[above], np.float32(-np.inf))
    bound[is_leaf] = 0
    return Forest(
        feature=np.where(is_leaf, 0, nodes["feature_idx"]).astype(np.int16),
        threshold=bound,
        left=np.where(is_leaf, at, nodes["left"] + start).astype(np.int32),
        right=np.where(is_leaf, at, nodes["right"] + start).astype(np.int32),
        value=np.where(is_leaf, nodes["value"], 0)[:, None].astype(np.float16),
        roots=roots.astype(np.int32),
    )
