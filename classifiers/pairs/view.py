"""One text as the pair features see it. Pure functions of the text, of static word vectors and of a table of rarities."""

from __future__ import annotations

import zlib
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from classifiers.base import Matrix, Vector
from classifiers.pairs import words as w
from classifiers.pairs.reading import read

WORDS_MAX: Final = 96
WORDS_KEPT: Final = 8_192  # 10 MB
RARITY_BUCKETS: Final = 16_384
# What a view takes besides its matrices, and each of its tokens; held against tracemalloc by a test.
VIEW_BYTES: Final = 8_000
TOKEN_BYTES: Final = 1_200
CONTEXT_DECAY: Final = 0.5
STOP_WEIGHT: Final = 0.15
ARTICLES: Final = frozenset("a an the".split())
IS_SHORT: Final = frozenset("what where who how when why it that there he she here".split())  # before 's it is "is"
SHORT: Final = {"'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would"}
POINTERS: Final = frozenset("following below above attached".split())  # to what the text does not hold


class WordVectors(Protocol):
    """An embedder with a vector for each word of a text."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def word_vectors(self, text: str) -> Matrix:
        """(w, dim) float32 of length 1 or 0, a row for each word between single spaces."""
        ...


def bucket(word: str) -> int:
    """The word's place in a table of rarities."""
    return zlib.crc32(word.encode("utf-8", "replace")) % RARITY_BUCKETS


class Words:
    """What is known of single words: vector and rarity. Safe to share between threads; the last WORDS_KEPT are remembered."""

    def __init__(self, embedder: WordVectors, rarity: Vector) -> None:
        """rarity: (RARITY_BUCKETS,) float32 by `bucket`."""
        self._embedder: Final = embedder
        self._rarity: Final = rarity
        self.dim: Final = embedder.dim
        self.of: Final = lru_cache(WORDS_KEPT)(self._of)
        self.rarity: Final = lru_cache(WORDS_KEPT)(lambda word: float(rarity[bucket(word)]))

    def _of(self, word: str) -> tuple[Vector, float, bool]:
        """(dim,) vector of length 1 or 0, rarity, whether it is a stop word."""
        vectors = self._embedder.word_vectors(word)
        vector = vectors[0] if len(vectors) else np.zeros(self.dim, np.float32)
        return vector, self.rarity(word), word in w.STOP


class View:
    """One text as the pair features see it. tokens: n words. vectors: (n, dim), unit. weights: (n,) rarity, stop words little.

    around: (n, 2 dim) what stands before and what after each word, unit each: that a word is the same and its neighbours
    are not, shows that arguments changed places. weighed: the weights, listed. mean, rare: (dim,) unit, of all words and of
    the rare ones. surface: the words without articles and dashes, contractions written out. Not to be changed by readers.
    """

    __slots__ = (
        "around", "bag", "bigrams", "content", "grams", "mean", "names", "numbers", "persons", "plain", "points", "rare",
        "reading", "sentences", "stops", "surface", "term_bigrams", "term_rarity", "token_set", "tokens", "total",
        "vectors", "weighed", "weights",
    )  # fmt: skip

    def __init__(self, text: str, words: Words) -> None:
        r = self.reading = read(text)
        self.tokens = tokens = r.tokens[:WORDS_MAX]
        known = [words.of(token) for token in tokens]
        n = len(tokens)
        self.vectors = vectors = np.array([vector for vector, _, _ in known], np.float32).reshape(n, words.dim)
        self.token_set = frozenset(tokens)
        self.stops = [is_stop for _, _, is_stop in known]
        rare = np.array([rarity for _, rarity, _ in known], np.float32)
        weights = [STOP_WEIGHT * rarity if is_stop else rarity for _, rarity, is_stop in known]
        self.weighed = weights
        self.weights = np.array(weights, np.float32)
        self.total = sum(weights) or 1.0
        self.content = [i for i, is_stop in enumerate(self.stops) if not is_stop]
        self.mean = _unit(rare @ vectors)
        self.rare = _unit((self.weights * self.weights) @ vectors)
        self.around = _contexts(vectors, self.weights)
        plain = self.plain = " ".join(tokens)
        self.grams = frozenset([plain[i : i + 3] for i in range(len(plain) - 2)]) or frozenset((plain,))
        self.bigrams = frozenset(pairwise(tokens))
        terms = r.terms[:WORDS_MAX]
        self.term_bigrams = frozenset(pairwise(terms))
        self.term_rarity = {t: words.rarity(t) for t in terms}
        self.numbers = frozenset(r.numbers)
        self.names = frozenset([t for t, kind in r.kinds.items() if kind == "name"])
        self.persons = frozenset([w.PERSONS[word] for word in r.words if word in w.PERSONS])
        self.sentences = r.flow.count(".")
        self.surface = _surface(tokens)
        self.bag = Counter(self.surface)
        self.points = not POINTERS.isdisjoint(tokens)


def bytes_of(view: View) -> int:
    """What a view takes in memory, its reading included."""
    return view.vectors.nbytes + view.around.nbytes + VIEW_BYTES + TOKEN_BYTES * len(view.tokens)


def _contexts(vectors: Matrix, weights: Vector) -> Matrix:
    """What stands before and after each word; neighbours count less the further they are."""
    n, dim = vectors.shape
    sides = _units(_reach(n) @ (vectors * weights[:, None]))
    return sides.reshape(n, 2 * dim)


@lru_cache(WORDS_MAX + 1)
def _reach(n: int) -> Matrix:
    """(2n, n) how much the word of a column counts for what is before, in the next row after, the word of a row pair."""
    steps = np.arange(n)
    reach = np.float32(CONTEXT_DECAY) ** np.abs(steps[:, None] - steps).astype(np.float32)
    sides: Matrix = np.stack([np.tril(reach, -1), np.triu(reach, 1)], axis=1).reshape(2 * n, n)
    return sides


def _surface(tokens: list[str]) -> list[str]:
    out: list[str] = []
    for token in tokens:
        if token in ARTICLES or not token.strip("-"):
            continue
        stem, mark, end = token.partition("'")
        if mark and end == "s" and stem in IS_SHORT:
            out += [stem, "is"]
        elif mark and mark + end in SHORT:
            out += [stem, SHORT[mark + end]]
        elif token.endswith("n't") and len(token) > 3:
            out += [{"ca": "can", "wo": "will"}.get(token[:-3], token[:-3]), "not"]
        else:
            out.append(token)
    return out


def _unit(v: npt.NDArray[np.floating[Any]]) -> Vector:
    length = float(np.sqrt(v @ v))
    out: Vector = (v / length if length > 0 else v).astype(np.float32)
    return out


def _units(m: Matrix) -> Matrix:
    lengths: Matrix = np.sqrt(np.einsum("ij,ij->i", m, m))[:, None]
    lengths[lengths == 0] = 1
    out: Matrix = m / lengths
    return out
