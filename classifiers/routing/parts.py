"""The three regressions of a routing model, fitted on rows that have been looked at. Training only: scipy, scikit-learn."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse  # type: ignore[import-untyped]
from sklearn.ensemble import ExtraTreesRegressor

from classifiers.base import Matrix
from classifiers.routing.forest import Forest
from classifiers.routing.kernel import Kernel, likeness
from classifiers.routing.lexical import Lexical
from classifiers.routing.regressions import Regressions
from classifiers.routing.views import BITS, View
from classifiers.text.ngrams import Buckets, Counts

Singles = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

LEXICAL_RIDGE: Final = 16.0
KERNEL_RIDGE: Final = 6.0
LANDMARKS_MAX: Final = 1_000
TREES: Final = 100
LEAF_ROWS_MIN: Final = 8
COLUMNS_TRIED: Final = 0.3
# Each level costs every request some 5 us. Without a bound trees grow to 20 or 40 levels, and rank no better: APGR on rows
# held out 0.736 either way on one set, 0.667 (bounded 0.668) and 0.632 (0.632) on two others.
LEVELS_MAX: Final = 12
DIRECTIONS_MAX: Final = 48
CG_STEPS_MAX: Final = 60
CG_TOLERANCE: Final = 1e-3


class Looked:
    """n views as matrices. counts: for each table a sparse (n, 2**bits); hand: (n, f); embeddings: (n, d)."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views: Final = views
        self.counts: Final = tuple(_sparse([seen.ngrams[kind] for seen in views], bits) for kind, bits in enumerate(BITS))
        self.hand: Final[Singles] = np.stack([seen.hand for seen in views])
        self.embeddings: Final[Matrix] = np.stack([seen.embedding for seen in views])


def fit_regressions(looked: Looked, rows: Rows, targets: Floats, seed: int) -> Regressions:
    """The three regressions, fitted on `rows` of what was looked at. targets: (len(rows), k)."""
    mean, scale = targets.mean(axis=0), targets.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    units = (targets - mean) / scale
    lexical = _fit_lexical([counts[rows] for counts in looked.counts], units, mean, scale)
    kernel = _fit_kernel(looked.hand[rows], looked.embeddings[rows], units, mean, scale, seed)
    meaning = kernel.centred(looked.embeddings[rows])
    directions = principal_directions(meaning)
    columns = np.hstack((kernel.standardised(looked.hand[rows]), meaning @ directions))
    return Regressions(lexical, kernel, _fit_forest(columns, units, mean, scale, seed), directions)


def principal_directions(meaning: Singles) -> Matrix:
    """(n, d) unit vectors to (d, p) directions of most variance, p at most DIRECTIONS_MAX."""
    _, vectors = np.linalg.eigh((meaning.T @ meaning).astype(np.float64))
    return np.ascontiguousarray(vectors[:, ::-1][:, :DIRECTIONS_MAX], np.float32)


def _fit_lexical(counts: Sequence[sparse.csr_matrix], units: Floats, mean: Floats, scale: Floats) -> Lexical:
    """Ridge regression in its dual, by conjugate gradients: the tables are wide, the rows few."""
    idf = [_idf(table) for table in counts]
    weighted = [_weighted(table, of) for table, of in zip(counts, idf, strict=True)]
    whole = sparse.hstack(weighted).tocsr()
    across = whole.T.tocsr()
    y = units.astype(np.float32)
    dual = np.zeros_like(y)
    rest = y.copy()
    ahead = rest.copy()
    squares = (rest * rest).sum(axis=0)
    begun = np.maximum(squares, 1e-12)
    for _ in range(CG_STEPS_MAX):
        image = whole @ (across @ ahead) + np.float32(LEXICAL_RIDGE) * ahead
        step = squares / np.maximum((ahead * image).sum(axis=0), 1e-12)
        dual += step * ahead
        rest -= step * image
        left = (rest * rest).sum(axis=0)
        if (left < CG_TOLERANCE**2 * begun).all():
            break
        ahead = rest + left / np.maximum(squares, 1e-12) * ahead
        squares = left
    weights = tuple(_halved((table.T @ dual) * scale) for table in weighted)
    return Lexical(tuple(idf), weights, mean.astype(np.float32))


def _halved(array: Floats | Singles) -> Singles:
    """Single precision of what is stored in half."""
    return array.astype(np.float16).astype(np.float32)


def _idf(counts: sparse.csr_matrix) -> Singles:
    texts = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log((1 + counts.shape[0]) / (1 + texts)) + 1
    return _halved(np.where(texts >= 2, idf, 0))


def _weighted(counts: sparse.csr_matrix, idf: Singles) -> sparse.csr_matrix:
    """The rows as `lexical.tf_idf` weighs them."""
    values = (1 + np.log(counts.data)) * idf[counts.indices]
    weighted = sparse.csr_matrix((values.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return (sparse.diags((1 / np.where(length > 0, length, 1)).astype(np.float32)) @ weighted).tocsr()


def _sparse(ngrams: Sequence[tuple[Buckets, Counts]], bits: int) -> sparse.csr_matrix:
    starts = np.concatenate(([0], np.cumsum([len(buckets) for buckets, _ in ngrams])))
    buckets = np.concatenate([buckets for buckets, _ in ngrams]).astype(np.int32)
    counts = np.concatenate([counts for _, counts in ngrams])
    return sparse.csr_matrix((counts, buckets, starts), shape=(len(ngrams), 2**bits))


def _fit_kernel(hand: Singles, embeddings: Matrix, units: Floats, mean: Floats, scale: Floats, seed: int) -> Kernel:
    deviation = hand.std(axis=0, dtype=np.float64)
    unweighted = Kernel(
        feature_mean=hand.mean(axis=0, dtype=np.float64).astype(np.float32),
        feature_scale=np.where(deviation > 1e-6, deviation, 0).astype(np.float32),
        embedding_mean=embeddings.mean(axis=0),
        landmark_features=np.zeros((1, hand.shape[1]), np.float32),
        landmark_embeddings=np.zeros((1, embeddings.shape[1]), np.float32),
        weights=np.zeros((1, len(mean)), np.float32),
        bias=mean.astype(np.float32),
    )
    shape, meaning = unweighted.standardised(hand), unweighted.centred(embeddings)
    chosen = np.sort(np.random.default_rng(seed).choice(len(hand), min(len(hand), LANDMARKS_MAX), replace=False))
    # Rounded as they are stored, so that the weights fit what is served.
    marks = (_halved(shape[chosen]), _halved(meaning[chosen]))
    near = likeness(shape, marks[0]).astype(np.float64)
    among = likeness(marks[0], marks[0]).astype(np.float64)
    normal = near.T @ near + KERNEL_RIDGE * among + 1e-3 * np.eye(len(chosen))
    weights = np.linalg.solve(normal, near.T @ units) * scale
    return Kernel(
        unweighted.feature_mean,
        unweighted.feature_scale,
        unweighted.embedding_mean,
        *marks,
        weights.astype(np.float32),
        unweighted.bias,
    )


def _fit_forest(columns: Singles, units: Floats, mean: Floats, scale: Floats, seed: int) -> Forest:
    """Extremely randomised trees (Geurts, Ernst and Wehenkel, 2006): the least tempted by noisy labels of those tried."""
    trees = ExtraTreesRegressor(
        TREES, max_depth=LEVELS_MAX, min_samples_leaf=LEAF_ROWS_MIN, max_features=COLUMNS_TRIED, random_state=seed
    )
    trees.fit(columns, units)
    grown = [tree.tree_ for tree in trees.estimators_]
    roots = np.concatenate(([0], np.cumsum([tree.node_count for tree in grown])[:-1])).astype(np.int32)
    own = np.concatenate([np.arange(tree.node_count) for tree in grown])
    start = np.repeat(roots, [tree.node_count for tree in grown])
    is_leaf = np.concatenate([tree.children_left for tree in grown]) < 0
    left = np.where(is_leaf, own, np.concatenate([tree.children_left for tree in grown])) + start
    right = np.where(is_leaf, own, np.concatenate([tree.children_right for tree in grown])) + start
    value = np.concatenate([tree.value.reshape(tree.node_count, -1) for tree in grown]) * scale + mean
    return Forest(
        feature=np.where(is_leaf, 0, np.concatenate([tree.feature for tree in grown])).astype(np.int16),
        threshold=np.concatenate([tree.threshold for tree in grown]).astype(np.float32),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        value=value.astype(np.float16),
        roots=roots,
    )
