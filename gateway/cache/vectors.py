"""Embeddings that are compared with each other, in memory: a byte a number, and a code of signs once there are many."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from gateway.cache.base import Embedding

K = TypeVar("K", bound=Hashable)

CODE_BITS: Final = 256
WORDS: Final = CODE_BITS // 64
# Up to so many, all are compared: a tenth of a millisecond.
EXACT_MAX: Final = 1024
# Of 90,000 questions of QQP and MRPC, embedded by wordllama, 99.7 % of the neighbours with a cosine over 0.5 are among so
# many by their codes; 95 % of the five nearest, whatever their cosine.
CANDIDATES: Final = 512
SAMPLE: Final = 8_192
GROWTH: Final = 1.25


def unit(embedding: Embedding) -> Embedding | None:
    """The embedding at length 1; None if it has no direction: all zero, or not finite."""
    length = float(np.sqrt(np.dot(embedding, embedding)))
    if not 0.0 < length < float("inf"):
        return None
    return np.asarray(embedding, np.float32) / np.float32(length)


class Rows(Generic[K]):
    """Unit vectors under their keys, packed without holes.

    Numbers are kept as int8 times a factor of the row's: a cosine is off by less than 0.005. Over EXACT_MAX rows the nearest
    are looked for among CANDIDATES whose random projections agree in sign the most often (M. Charikar, "Similarity
    estimation techniques from rounding algorithms", 2002).
    """

    def __init__(self, dim: int) -> None:
        self.dim: Final = dim
        self._keys: list[K] = []
        self._row_of: dict[K, int] = {}
        self._rows = np.zeros((1, dim), np.int8)  # most partitions are one conversation's and stay small
        self._factors = np.zeros(1, np.float32)
        self._codes: npt.NDArray[np.uint64] | None = None  # (WORDS, capacity)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: K) -> bool:
        return key in self._row_of

    def __iter__(self) -> Iterator[K]:
        return iter(self._keys)

    @property
    def nbytes(self) -> int:
        """Of the arrays, room to grow included."""
        return self._rows.nbytes + self._factors.nbytes + (0 if self._codes is None else self._codes.nbytes)

    def add(self, key: K, vector: Embedding) -> None:
        """Keep a vector of length 1 under a key, in place of an earlier one."""
        row = self._row_of.get(key)
        if row is None:
            row = len(self._keys)
            if row == len(self._rows):
                self._resize(max(row + 1, int(row * GROWTH) if row >= 8 else 2 * row))
            self._keys.append(key)
            self._row_of[key] = row
        factor = float(np.abs(vector).max()) / 127
        self._rows[row] = np.rint(vector / factor)
        self._factors[row] = factor
        if self._codes is not None:
            self._codes[:, row] = _code(vector[None, :])[:, 0]
        elif len(self._keys) > EXACT_MAX:
            self._codes = np.zeros((WORDS, len(self._rows)), np.uint64)
            kept = self._rows[: len(self._keys)]
            self._codes[:, : len(kept)] = _code(kept.astype(np.float32))

    def remove(self, key: K) -> None:
        """Forget a key, if it is there; the last row moves into the hole."""
        row = self._row_of.pop(key, None)
        if row is None:
            return
        last = self._keys.pop()
        end = len(self._keys)
        if row != end:
            self._keys[row], self._row_of[last] = last, row
            self._rows[row], self._factors[row] = self._rows[end], self._factors[end]
            if self._codes is not None:
                self._codes[:, row] = self._codes[:, end]
        if end < len(self._rows) // 2:
            self._resize(max(end, 1))

    def vector(self, key: K) -> Embedding:
        """What is kept under a key, to a hundredth or so."""
        row = self._row_of[key]
        vector: Embedding = self._rows[row].astype(np.float32) * self._factors[row]
        return vector

    def nearest(self, vector: Embedding, count: int) -> list[tuple[float, K]]:
        """At most `count` keys and the cosine of their vectors to this one of length 1, the nearest first."""
        total = len(self._keys)
        if self._codes is None:
            at = None
            similarity = (self._rows[:total].astype(np.float32) @ vector) * self._factors[:total]
        else:
            at = self._candidates(self._codes, vector, max(CANDIDATES, count))
            similarity = (self._rows[at].astype(np.float32) @ vector) * self._factors[at]
        best = np.argpartition(-similarity, count - 1)[:count] if count < len(similarity) else np.arange(len(similarity))
        best = best[np.argsort(-similarity[best], kind="stable")]
        rows = best if at is None else at[best]
        return [(min(float(s), 1.0), self._keys[i]) for s, i in zip(similarity[best].tolist(), rows.tolist(), strict=True)]

    def _candidates(self, codes: npt.NDArray[np.uint64], vector: Embedding, count: int) -> npt.NDArray[np.intp]:
        """The `count` rows whose codes differ in the fewest bits; of those that differ in as many as the last, any."""
        total = len(self._keys)
        sought = _code(vector[None, :])[:, 0]
        # INVARIANT: WORDS * 64 = 256 differing bits wrap to 0 in a byte. That is the exact opposite, which then takes the
        # place of one candidate and comes last by its cosine.
        bits = np.bitwise_xor(codes[0, :total], sought[0])
        differing = np.bitwise_count(bits)
        ones = np.empty_like(differing)
        for word in range(1, WORDS):
            np.bitwise_xor(codes[word, :total], sought[word], out=bits)
            np.add(differing, np.bitwise_count(bits, out=ones), out=differing)
        # How many bits the last of them differs in: read off SAMPLE of the codes, then counted on all.
        sample = differing[:: max(total // SAMPLE, 1)]
        place = min(count * len(sample) // total, len(sample) - 1)
        bound = int(np.partition(sample, place)[place])
        while bound < 255 and np.count_nonzero(differing <= bound) < count:
            bound += 1
        while bound > 0 and np.count_nonzero(differing < bound) >= count:
            bound -= 1
        nearer, as_near = np.flatnonzero(differing < bound), np.flatnonzero(differing == bound)
        return np.concatenate((nearer, as_near[: count - len(nearer)]))

    def _resize(self, capacity: int) -> None:
        kept = len(self._keys)
        rows, factors = np.zeros((capacity, self.dim), np.int8), np.zeros(capacity, np.float32)
        rows[:kept], factors[:kept] = self._rows[:kept], self._factors[:kept]
        self._rows, self._factors = rows, factors
        if self._codes is not None:
            codes = np.zeros((WORDS, capacity), np.uint64)
            codes[:, :kept] = self._codes[:, :kept]
            self._codes = codes if kept > EXACT_MAX // 2 else None


@lru_cache(maxsize=4)
def _projections(dim: int) -> npt.NDArray[np.float32]:
    """(dim, CODE_BITS): random directions, at right angles to each other as far as there are so many."""
    draw = np.random.default_rng(dim).standard_normal((max(dim, CODE_BITS), max(dim, CODE_BITS)))
    directions: npt.NDArray[np.float32] = np.linalg.qr(draw)[0][:dim, :CODE_BITS].astype(np.float32)
    return directions


def _code(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """(n, dim) to (WORDS, n): the signs of their projections."""
    bits = np.packbits(vectors @ _projections(vectors.shape[1]) > 0, axis=1)
    return np.ascontiguousarray(bits.view(np.uint64).T)
