"""What two texts have in common and what keeps them apart, as numbers: the columns that the verifier learns from.

Pure functions of the two texts and of static word vectors; every column is the same whichever text comes first. What is
read off one text is kept for the next pair it is in.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, Protocol

import numpy as np

from classifiers.base import Matrix, Vector
from classifiers.pairs import rules
from classifiers.pairs import words as w
from classifiers.pairs.memo import Memo
from classifiers.pairs.reading import Reading
from classifiers.pairs.rules import OPPOSITES, alike, clauses, lists
from classifiers.pairs.view import View, Words, WordVectors, bytes_of

VIEWS_BYTES_MAX: Final = 8 * 1024 * 1024  # some 130 questions, or 20 texts of WORDS_MAX words
KINDS: Final = (
    "negation", "number", "words", "opposites", "sign", "code", "name", "quotation", "word of another script", "order",
    "question", "person", "time", "case",
)  # fmt: skip
"""What rules.py objects to, by the word before the colon."""
NO_KIND: Final = (0.0,) * len(KINDS)
ASKED: Final = ("how", "how much", "why", "what", "who", "when", "where", "is", "can", "should", "will")
MODALS: Final = frozenset("can could should would will must might may".split())
COMPARING: Final = frozenset("than more less better worse fewer".split())
HOW: Final = frozenset("can do does could should would".split())  # "how can I", "how do I"
UNLIKE_BELOW: Final = 0.6
SLIPS_WORDS_MAX: Final = 3


class Block(Protocol):
    """Some columns of a pair of texts. arrays: what it learned, to be kept with the model."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def rows(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> Matrix:
        """(len(kept), len(names)) float32, a row for each pair of asked with one of kept; the same the other way round."""
        ...


class PairFeatures:
    """The columns of pairs of texts. Safe to share between threads. rarity: (RARITY_BUCKETS,) float32, by `bucket`."""

    def __init__(self, embedder: WordVectors, rarity: Vector) -> None:
        words = Words(embedder, rarity)
        self._view: Final = Memo(lambda text: View(text, words), bytes_of, VIEWS_BYTES_MAX)
        self.names: Final = NAMES

    def rows(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> Matrix:
        """(len(kept), len(names)) float32, a row for each pair of asked with one of kept."""
        out = np.empty((len(kept), len(self.names)), np.float32)
        for row, other, cosine in zip(out, kept, cosines, strict=True):
            one, two = sorted((asked, other))
            row[:] = columns(self._view(one), self._view(two), cosine)
        return out


def columns(a: View, b: View, cosine: float) -> list[float]:
    """The values of NAMES for two texts in alphabetical order."""
    shared = [(i, b.tokens.index(t)) for i, t in enumerate(a.tokens) if t in b.token_set and not a.stops[i]]
    surface, aligned = _surface(a, b), _aligned(a, b)
    objection = _objection(a, b, surface[0])
    if objection[1]:  # an embedder that reads capitals finds shouting unlike: of form alone its cosine says nothing
        cosine = max(cosine, aligned[0])
    return [
        cosine,
        *aligned,
        *_overlap(a, b),
        *surface,
        *_shape(a, b),
        *_asked(a.reading, b.reading),
        *_details(a, b),
        *_order(a, b, shared),
        *objection,
    ]


ALIGNED: Final = (
    "cosine_mean", "cosine_rare", "recall_min", "recall_max", "missing_min", "missing_max", "worst_min", "worst_max",
    "worst_content_min", "worst_content_max", "unlike_min", "unlike_max",
)  # fmt: skip


def _aligned(a: View, b: View) -> list[float]:
    """Each word with the word of the other side that is most like it, weighed by rarity (BERTScore, arXiv 1904.09675)."""
    cosines = [float(a.mean @ b.mean), float(a.rare @ b.rare)]
    if not (len(a.tokens) and len(b.tokens)):
        return cosines + [0.0] * (len(ALIGNED) - 2)
    likeness = a.vectors @ b.vectors.T
    out = []
    for view, best in ((a, likeness.max(axis=1)), (b, likeness.max(axis=0))):
        fits = best.tolist()  # of so few numbers Python is quicker than numpy
        lost = [(1 - fit) * weight for fit, weight in zip(fits, view.weighed, strict=True)]
        content = [fits[i] for i in view.content]
        total = sum(lost)
        unlike = sum(fit < UNLIKE_BELOW for fit in content)
        out.append((1 - total / view.total, total, max(lost), min(content, default=1.0), unlike))
    return cosines + [f(x, y) for x, y in zip(*out, strict=True) for f in (min, max)]


OVERLAP: Final = (
    "tokens_jaccard", "terms_jaccard", "terms_rare_jaccard", "terms_inside", "only_min", "only_max", "only_rare_min",
    "only_rare_max", "only_rarest_min", "only_rarest_max", "grams_dice", "bigrams_jaccard", "term_bigrams_jaccard", "prefix",
    "suffix", "first_term", "last_term", "is_equal", "is_same_bag", "stops_apart",
)  # fmt: skip


def _overlap(a: View, b: View) -> list[float]:
    terms_a, terms_b = a.reading.term_set, b.reading.term_set
    only_a, only_b = ([rarity for t, rarity in x.term_rarity.items() if t not in y] for x, y in ((a, terms_b), (b, terms_a)))
    both = sum(rarity for t, rarity in a.term_rarity.items() if t in terms_b)
    sum_a, sum_b = sum(only_a), sum(only_b)
    top_a, top_b = max(only_a, default=0.0), max(only_b, default=0.0)
    shared = len(terms_a & terms_b)
    n = min(len(a.tokens), len(b.tokens))
    prefix = next((i for i in range(n) if a.tokens[i] != b.tokens[i]), n)
    suffix = next((i for i in range(n - prefix) if a.tokens[-1 - i] != b.tokens[-1 - i]), n - prefix)
    longest = max(len(a.tokens), len(b.tokens), 1)
    return [
        _jaccard(a.token_set, b.token_set),
        shared / max(len(terms_a) + len(terms_b) - shared, 1),
        both / max(both + sum_a + sum_b, 1e-6),
        shared / max(min(len(terms_a), len(terms_b)), 1),
        min(len(only_a), len(only_b)),
        max(len(only_a), len(only_b)),
        min(sum_a, sum_b),
        max(sum_a, sum_b),
        min(top_a, top_b),
        max(top_a, top_b),
        2 * len(a.grams & b.grams) / (len(a.grams) + len(b.grams)),
        _jaccard(a.bigrams, b.bigrams),
        _jaccard(a.term_bigrams, b.term_bigrams),
        prefix / longest,
        suffix / longest,
        a.reading.terms[:1] == b.reading.terms[:1],
        a.reading.terms[-1:] == b.reading.terms[-1:],
        a.plain == b.plain,
        sorted(a.tokens) == sorted(b.tokens),
        len(a.token_set ^ b.token_set) - len(only_a) - len(only_b),
    ]


def _jaccard(a: frozenset[Hashable], b: frozenset[Hashable]) -> float:
    both = len(a & b)
    return both / max(len(a) + len(b) - both, 1)


SURFACE: Final = ("surface_apart", "surface_only_min", "surface_only_max", "surface_slips", "surface_how", "surface_points")


def _surface(a: View, b: View) -> list[float]:
    """How many words differ when articles, contractions and slips of the pen do not count: little else is as safe."""
    only_a, only_b = _beyond(a, b), _beyond(b, a)
    slips = 0
    if 0 < len(only_a) <= SLIPS_WORDS_MAX and 0 < len(only_b) <= SLIPS_WORDS_MAX:
        for x in list(only_a):
            y = next((y for y in only_b if alike(x, y, False)), None)
            if y is not None:
                only_a.remove(x)
                only_b.remove(y)
                slips += 1
    is_how = a.surface[:1] == b.surface[:1] == ["how"] and {*only_a, *only_b} <= HOW
    n, m = len(only_a), len(only_b)
    return [n + m, min(n, m), max(n, m), slips, is_how and n + m, a.points and b.points]


def _beyond(a: View, b: View) -> list[str]:
    """The words of a that b does not have, as often as it lacks them."""
    left = dict(b.bag)
    only = []
    for word in a.surface:
        if left.get(word, 0) > 0:
            left[word] -= 1
        else:
            only.append(word)
    return only


SHAPE: Final = (
    "tokens_min", "tokens_max", "terms_min", "terms_max", "sentences_min", "sentences_max", "is_english", "is_courtesy", "rarest",
)  # fmt: skip


def _shape(a: View, b: View) -> list[float]:
    tokens_a, tokens_b = len(a.tokens), len(b.tokens)
    terms_a, terms_b = len(a.reading.terms), len(b.reading.terms)
    return [
        min(tokens_a, tokens_b),
        max(tokens_a, tokens_b),
        min(terms_a, terms_b),
        max(terms_a, terms_b),
        min(a.sentences, b.sentences),
        max(a.sentences, b.sentences),
        a.reading.is_english and b.reading.is_english,
        a.reading.is_courtesy or b.reading.is_courtesy,
        max((r for t, r in a.term_rarity.items() if t in b.term_rarity), default=0.0),
    ]


ASKS: Final = ("asks_same", "asks_shared", *(f"asks_{word.replace(' ', '_')}" for word in ASKED))


def _asked(a: Reading, b: Reading) -> list[float]:
    return [a.asks == b.asks, len(a.asks & b.asks), *((word in a.asks) + (word in b.asks) for word in ASKED)]


DETAILS: Final = (
    "numbers_shared", "numbers_only_min", "numbers_only_max", "names_shared", "names_only_min", "names_only_max",
    "negations_apart", "opposites", "persons_same", "modals_apart", "past_apart", "joins_apart", "comparing",
)  # fmt: skip


def _details(a: View, b: View) -> list[float]:
    words_a, words_b = a.reading.words, b.reading.words
    terms_a, terms_b = a.reading.term_set, b.reading.term_set
    numbers_a, numbers_b = len(a.numbers - b.numbers), len(b.numbers - a.numbers)
    names_a, names_b = len(a.names - terms_b), len(b.names - terms_a)
    return [
        len(a.numbers & b.numbers),
        min(numbers_a, numbers_b),
        max(numbers_a, numbers_b),
        len(a.names & b.names),
        min(names_a, names_b),
        max(names_a, names_b),
        abs(a.reading.terms.count("not") - b.reading.terms.count("not")),
        sum(not terms_b.isdisjoint(OPPOSITES[t]) for t in terms_a - terms_b if t in OPPOSITES)
        + sum(not terms_a.isdisjoint(OPPOSITES[t]) for t in terms_b - terms_a if t in OPPOSITES),
        a.persons == b.persons,
        len(MODALS.intersection(words_a) ^ MODALS.intersection(words_b)),
        w.PAST.isdisjoint(words_a) != w.PAST.isdisjoint(words_b),
        abs(sum(t in ("and", "or") for t in words_a) - sum(t in ("and", "or") for t in words_b)),
        (not COMPARING.isdisjoint(words_a)) + (not COMPARING.isdisjoint(words_b)),
    ]


ORDER: Final = (
    "inversions", "moved_most", "context_mean", "context_worst", "left_same", "right_same", "role_same", "lists_same",
    "clauses_same", "order_same",
)  # fmt: skip


def _order(a: View, b: View, shared: list[tuple[int, int]]) -> list[float]:
    """What of the shared words' order and surroundings differs: who does what to whom."""
    flow_a, flow_b = a.reading.flow, b.reading.flow
    terms_a = [t for t in a.reading.terms if t in b.reading.term_set]
    terms_b = [t for t in b.reading.terms if t in a.reading.term_set]
    is_same = terms_a == terms_b
    ends = [is_same or lists(flow_a) == lists(flow_b), is_same or clauses(flow_a) == clauses(flow_b), is_same]
    if not shared:
        return [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, *ends]
    at_a, at_b = np.array(shared).T
    n = len(at_a)
    pairs = n * (n - 1) / 2
    turned = ((at_b[:, None] > at_b) & (at_a[:, None] < at_a)).sum()
    moved = np.abs(at_a / len(a.tokens) - at_b / len(b.tokens)).max()
    around = np.einsum("ij,ij->i", a.around[at_a], b.around[at_b])
    weights = a.weights[at_a]
    left_same = sum(a.tokens[i - 1 : i] == b.tokens[j - 1 : j] for i, j in shared)
    right_same = sum(a.tokens[i + 1 : i + 2] == b.tokens[j + 1 : j + 2] for i, j in shared)
    roles_a, roles_b = a.reading.roles, b.reading.roles
    roles = [roles_a[t] == roles_b[t] for t in roles_a if t in roles_b]
    return [
        float(turned) / max(pairs, 1),
        float(moved),
        float(around @ weights) / max(float(weights.sum()), 1e-6),
        float(around.min()),
        left_same / n,
        right_same / n,
        sum(roles) / len(roles) if roles else 1.0,
        *ends,
    ]


OBJECTION: Final = ("objects", "is_only_form", *(f"objects_{kind.replace(' ', '_')}" for kind in KINDS))


def _objection(a: View, b: View, apart: float) -> list[float]:
    """What the rules say; if nothing, whether even the words are the same but for articles, contractions and slips."""
    reason = rules.objection(a.reading, b.reading)
    if reason is None:
        return [0.0, not apart, *NO_KIND]
    kind = reason.partition(":")[0]
    return [1.0, 0.0, *(float(kind == known) for known in KINDS)]


NAMES: Final = ("cosine", *ALIGNED, *OVERLAP, *SURFACE, *SHAPE, *ASKS, *DETAILS, *ORDER, *OBJECTION)
