"""What the contextual vectors of two texts' words say of whether they ask the same, as columns of pair features.

A word's vector tells the word and what stands around it. Where each finds a like one on the other side, and at the same
turn of the sentence, little has changed. A word that is on both sides but in another part ("from A to B", "from B to A")
has a somewhat other vector there, and its counterpart stands elsewhere. Every column is the same whichever text comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from classifiers.base import Matrix, Vector
from classifiers.pairs.memo import Memo
from classifiers.text.minilm import TokenVectors

VOCABULARY: Final = 30_522
RARE: Final = 4.0  # from which rarity a word is content: in fewer than one text of 55
RARITY_LEAST: Final = 0.05
LOW_SHARE: Final = 3  # one in how many aligned words is among the badly aligned
UNALIGNED: Final = 0.5  # a cosine under which nothing on the other side is like the word
SIDES_BYTES_MAX: Final = 16 * 1024 * 1024  # 1,600 questions, or 80 texts of 256 tokens
ARRAY_BYTES: Final = 130  # of an array, its numbers apart
# Where a column has nothing to measure (no word on both sides, …): beyond what it can be, so that a tree can tell.
NOTHING: Final = -2.0

NAMES: Final = (
    "sentence",  # cosine of the sentence vectors
    "f1",  # mean of precision and recall of BERTScore (arXiv 1904.09675), rare words weighing more
    "f1_least",  # the lesser of the two
    "f1_centred",  # as f1, of what is a word's own: without its sentence's mean
    "f1_centred_least",
    "worst",  # the content word that fits worst, of both sides
    "worst_mean",
    "low",  # mean of the third that fits worst
    "low_mean",
    "shared",  # weight of the word pieces on both sides
    "same_mean",  # cosine of the vectors of a word that is on both sides
    "same_least",
    "same_centred_mean",
    "same_centred_least",
    "margin_mean",  # by how much such a word is nearer to itself than to another
    "margin_least",
    "moved",  # share of such words that are nearer to another
    "turned",  # share of the word pairs whose counterparts stand the other way round
    "runs",  # share of neighbours whose counterparts are neighbours
    "unaligned",  # weight of the words that nothing is like
    "unaligned_most",
    "only_least",  # weight of the words of one side alone
    "only_most",
    "swap_mean",  # cosine of words that are on one side alone with those on the other alone
    "swap_least",
    "swap_most",
    "relation_mean",  # how else words on both sides stand to each other
    "relation_most",
    "relation_centred_mean",
    "relation_centred_most",
    "nearest_changed",  # share of words on both sides whose nearest word there is another
    "ratio",  # of the lengths; a length itself is no column, it would teach the habits of one set of texts
)


class TokenEmbedder(Protocol):
    """An embedder with a vector for each word piece."""

    @property
    def name(self) -> str: ...

    def token_vectors(self, text: str) -> TokenVectors: ...


class Side:
    """One text. pieces: ids of the t word pieces but punctuation. rarity, weights: (t,); the weights add up to 1.

    vectors: (t, 384) of length 1, half precision as they are kept. mean: (384,) of them before they were scaled.
    lengths: (t,) of the vectors before. is_rare: (t,). sentence: (384,).
    """

    __slots__ = ("is_rare", "lengths", "mean", "pieces", "rarity", "sentence", "text", "vectors", "weights")

    def __init__(self, text: str, read: TokenVectors, rarity: Vector) -> None:
        is_word = np.array([any(map(str.isalnum, text[a:b])) for a, b in read.spans.tolist()], np.bool_)
        chosen = is_word if is_word.any() else np.ones(len(read.pieces), np.bool_)
        self.text = text
        self.pieces = read.pieces[chosen]
        vectors = read.matrix[chosen]
        self.rarity = rarity.take(self.pieces)
        self.weights = self.rarity / self.rarity.sum() if len(self.pieces) else self.rarity
        self.is_rare = self.rarity > RARE
        self.mean = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1], np.float32)
        self.lengths = np.maximum(np.sqrt((vectors * vectors).sum(axis=1)), np.float32(1e-9))
        self.vectors = (vectors / self.lengths[:, None]).astype(np.float16)
        self.sentence = read.sentence


def _bytes_of(side: Side) -> int:
    arrays = (side.pieces, side.rarity, side.weights, side.is_rare, side.lengths, side.vectors, side.mean, side.sentence)
    return sum(array.nbytes + ARRAY_BYTES for array in arrays)


class ContextualFeatures:
    """The columns NAMES of pairs of texts. Safe to share between threads.

    A text costs a run of the model (some 10 ms), kept for the next pair it is in; a pair of questions under 1 ms.
    """

    names: Final = NAMES

    def __init__(self, embedder: TokenEmbedder, rarity: npt.NDArray[np.floating]) -> None:
        """rarity: (30522,) by word piece, as `piece_rarity` gives it. Raises ValueError if it is of another shape."""
        if rarity.shape != (VOCABULARY,) or not np.isfinite(rarity).all() or not (rarity > 0).all():
            raise ValueError(f"array rarity must be {VOCABULARY} numbers above 0, has shape {rarity.shape}")
        table = rarity.astype(np.float32)
        self._side: Final = Memo(lambda text: Side(text, embedder.token_vectors(text), table), _bytes_of, SIDES_BYTES_MAX)

    def rows(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> Matrix:
        """(len(kept), len(NAMES)) float32, finite. cosines: not looked at, the sentence vectors are at hand."""
        out = np.zeros((len(kept), len(NAMES)), np.float32)
        one = self._side(asked)
        for row, text in zip(out, kept, strict=True):
            row[:] = pair_features(one, self._side(text))
        return out


def piece_rarity(texts: Iterable[npt.NDArray[np.int32]]) -> npt.NDArray[np.float16]:
    """(30522,) how rare each word piece is: the logarithm of n texts over the texts that hold it, at least RARITY_LEAST.

    texts: the piece ids of each.
    """
    count = 0
    found = np.zeros(VOCABULARY)
    for pieces in texts:
        found[np.unique(pieces)] += 1
        count += 1
    return np.maximum(np.log((count + 1) / (found + 1)), RARITY_LEAST).astype(np.float16)


def pair_features(one: Side, other: Side) -> list[float]:
    """NAMES of two texts, whichever comes first."""
    a, b = (one, other) if one.text <= other.text else (other, one)  # sums in one order: the same to the last bit
    sentence = float(a.sentence @ b.sentence)
    if not len(a.pieces) or not len(b.pieces):
        return [sentence, *[NOTHING] * (len(NAMES) - 1)]
    left, right = a.vectors.astype(np.float32), b.vectors.astype(np.float32)
    near = left @ right.T
    own = _centred(a, b, left, right, near)
    same = a.pieces[:, None] == b.pieces[None, :]
    has_a, has_b = same.any(axis=1), same.any(axis=0)
    shorter, longer = sorted((len(a.pieces), len(b.pieces)))
    return [
        sentence,
        *_aligned(a, b, near, own),
        *_same(a, b, near, own, same, has_a, has_b),
        *_order(a, b, own),
        *_left_over(a, b, near, has_a, has_b),
        *_relations(a, b, left, right, near, same, has_a),
        shorter / longer,
    ]


def _centred(a: Side, b: Side, left: Matrix, right: Matrix, near: Matrix) -> Matrix:
    """(ta, tb) cosines of the vectors without each sentence's mean, without making them anew."""
    product = near * a.lengths[:, None] * b.lengths[None, :]
    product -= (left @ b.mean * a.lengths)[:, None] + (right @ a.mean * b.lengths)[None, :] - a.mean @ b.mean
    lengths = [
        np.sqrt(np.maximum(s.lengths**2 - 2 * (rows @ s.mean) * s.lengths + s.mean @ s.mean, 1e-6))
        for s, rows in ((a, left), (b, right))
    ]
    out: Matrix = product / lengths[0][:, None] / lengths[1][None, :]
    return out


def _aligned(a: Side, b: Side, near: Matrix, own: Matrix) -> list[float]:
    """f1 … low_mean."""
    best = ((a, near.max(axis=1)), (b, near.max(axis=0)))
    recalls = [float(side.weights @ found) for side, found in best]
    centred = [float(a.weights @ own.max(axis=1)), float(b.weights @ own.max(axis=0))]
    content = [np.sort(found[side.is_rare] if side.is_rare.any() else found) for side, found in best]
    worst = [float(found[0]) for found in content]
    low = [float(found[: max(1, len(found) // LOW_SHARE)].mean()) for found in content]
    return [
        sum(recalls) / 2, min(recalls), sum(centred) / 2, min(centred), min(worst), sum(worst) / 2, min(low), sum(low) / 2,
    ]  # fmt: skip


def _same(
    a: Side,
    b: Side,
    near: Matrix,
    own: Matrix,
    same: npt.NDArray[np.bool_],
    has_a: npt.NDArray[np.bool_],
    has_b: npt.NDArray[np.bool_],
) -> list[float]:
    """shared … moved."""
    common = min(a.rarity[has_a].sum(), b.rarity[has_b].sum())
    shared = float(common / (a.rarity.sum() + b.rarity.sum() - common))
    if not has_a.any():
        return [shared, *[NOTHING] * 7]
    ia = np.flatnonzero(has_a)
    ib = np.where(same[ia], near[ia], NOTHING).argmax(axis=1)
    weights = a.weights[ia] / a.weights[ia].sum()
    rare = a.is_rare[ia] if a.is_rare[ia].any() else np.ones(len(ia), np.bool_)
    found, centred = near[ia, ib], own[ia, ib]
    others = np.where(same, NOTHING, own)
    margin = centred - np.maximum(others[ia].max(axis=1), others[:, ib].max(axis=0))
    return [
        shared, float(weights @ found), float(found[rare].min()), float(weights @ centred), float(centred[rare].min()),
        float(weights @ margin), float(margin[rare].min()), float(weights @ (margin < 0)),
    ]  # fmt: skip


def _order(a: Side, b: Side, own: Matrix) -> list[float]:
    """turned, runs; of both sides' best counterparts, the mean."""
    found = [_turns(side.weights, places) for side, places in ((a, own.argmax(axis=1)), (b, own.argmax(axis=0)))]
    turns = [one for one in found if one is not None]
    return [sum(column) / len(turns) for column in zip(*turns, strict=True)] if turns else [NOTHING, NOTHING]


def _turns(weights: Vector, places: npt.NDArray[np.intp]) -> tuple[float, float] | None:
    """Weighted share of the pairs that stand the other way round (Kendall), share of neighbours that stay so. None: one word."""
    if len(places) < 2:
        return None
    both = np.triu(np.outer(weights, weights), 1)
    turned = places[:, None] > places[None, :]
    return float((both * turned).sum() / max(both.sum(), 1e-9)), float((np.diff(places) == 1).mean())


def _left_over(a: Side, b: Side, near: Matrix, has_a: npt.NDArray[np.bool_], has_b: npt.NDArray[np.bool_]) -> list[float]:
    """unaligned … swap_most."""
    far = [float(a.weights @ (near.max(axis=1) < UNALIGNED)), float(b.weights @ (near.max(axis=0) < UNALIGNED))]
    only = sorted((float(a.rarity[~has_a].sum()), float(b.rarity[~has_b].sum())))
    swapped = near[~has_a][:, ~has_b]
    if not swapped.size:
        return [sum(far) / 2, max(far), *only, NOTHING, NOTHING, NOTHING]
    best = np.concatenate((swapped.max(axis=1), swapped.max(axis=0)))
    return [sum(far) / 2, max(far), *only, float(best.mean()), float(best.min()), float(best.max())]


def _relations(
    a: Side, b: Side, left: Matrix, right: Matrix, near: Matrix, same: npt.NDArray[np.bool_], has_a: npt.NDArray[np.bool_]
) -> list[float]:
    """relation_mean … nearest_changed: how the words on both sides stand to each other, here and there."""
    ia = np.flatnonzero(has_a & (a.rarity > RARE - 1.5))
    if len(ia) < 2:
        return [NOTHING] * 5
    ib = np.where(same[ia], near[ia], NOTHING).argmax(axis=1)
    weights = np.outer(a.rarity[ia], a.rarity[ia])
    np.fill_diagonal(weights, 0)
    weights /= weights.sum()
    plain = [rows @ rows.T for rows in (left[ia], right[ib])]
    centred = [_gram_centred(side, rows, at) for side, rows, at in ((a, left, ia), (b, right, ib))]
    changes = [np.abs(here - there) for here, there in (plain, centred)]
    for matrix in (*changes, *centred):
        np.fill_diagonal(matrix, 0)
    for matrix in centred:
        np.fill_diagonal(matrix, NOTHING)
    nearest = [matrix.argmax(axis=1) for matrix in centred]
    out = [float(of) for change in changes for of in ((weights * change).sum(), change.max())]
    return [*out, float((nearest[0] != nearest[1]).mean())]


def _gram_centred(side: Side, rows: Matrix, at: npt.NDArray[np.intp]) -> Matrix:
    """Cosines among some of a text's own words, without the text's mean."""
    whole = rows[at] * side.lengths[at][:, None] - side.mean
    whole /= np.maximum(np.sqrt((whole * whole).sum(axis=1, keepdims=True)), np.float32(1e-6))
    found: Matrix = whole @ whole.T
    return found
