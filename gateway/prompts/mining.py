"""Finds templates in prompts that match none yet. Pure and bounded; keeps nothing but in memory, and there not for long.

Prompts are compared by their shingles, three words in a row: those of one template share most of its words, and little of the
rest. What a group of them has in common, in order, is the template.

After Drain (He, Zhu, Zheng, Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017) and Spell (Du, Li:
"Spell: Streaming Parsing of System Event Logs", ICDM 2016), which do this for lines of logs: variables masked, one pass, what
is common becomes the template. A slot of a prompt has any length, so that neither the number of words nor their place says
which prompts are alike; hence shingles, as Broder compared web pages ("On the resemblance and containment of documents", 1997).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.prompts.alignment import Sample, common_shape
from gateway.prompts.evidence import MANY_TEXTS, TEXTS_MIN, is_same, is_within, says_enough
from gateway.prompts.pattern import Pattern, Shape
from gateway.prompts.pool import Pool
from gateway.prompts.postings import Postings
from gateway.prompts.view import View

SHARED_MIN: Final = 2  # shingles that two prompts share, to be compared at all
COMPARED_MAX: Final = 10  # prompts that a template is read from
LEVELS_MAX: Final = 7  # groups of prompts, from the widest to the narrowest, that are looked at for one
SHARE_MIN: Final = 0.2  # of a group, to be a template of its own though the whole group is one
NEAR: Final = 0.6  # of a template's shingles, in a prompt that does not match it: a slip of the pen, or a variant
VARIANT_SHARE_MIN: Final = 0.05  # of those that match: a variant, and no slip
JOINED_MAX: Final = 8  # templates that a new one is compared with
TEMPLATES_MAX: Final = 1_000  # known at a time; some 10 MB


@dataclass(frozen=True)
class Found:
    """A template, new or wider than before. stands_for: fingerprints of its prompts, and ids of templates that it takes in."""

    shape: Shape
    stands_for: tuple[str, ...]


class Miner:
    """Used by one thread."""

    def __init__(self, pool: Pool | None = None) -> None:
        self._pool = Pool() if pool is None else pool
        self._shapes: dict[str, Shape] = {}
        self._shingles_of: Counter[str] = Counter()  # how many each known template has
        self._by_shingle: Postings[int, str] = Postings()
        self._near: Counter[str] = Counter()

    def know(self, shape: Shape) -> None:
        """This template is known; what matches it need not be found again."""
        if shape.id in self._shapes or len(self._shapes) >= TEMPLATES_MAX:
            return
        self._shapes[shape.id] = shape
        shingles = Sample.of(shape).shingles
        self._shingles_of[shape.id] = len(shingles)
        for shingle in shingles:
            self._by_shingle.add(shingle, shape.id)
        if not shape.user.is_free:  # else it may be the frame of narrower ones
            self._pool.remove_matching(shape)

    def forget(self, id_: str) -> None:
        """This template has been taken in by another."""
        shape = self._shapes.pop(id_, None)
        if shape is None:
            return
        for shingle in Sample.of(shape).shingles:
            self._by_shingle.remove(shingle, id_)
        del self._shingles_of[id_], self._near[id_]

    def adopt(self, shape: Shape) -> list[Found]:
        """Know a template that somebody else found. Returns what it makes together with those known here."""
        return [] if shape.id in self._shapes else self._joined(Found(shape, ()))[1:]

    def learn(self, view: View, matched: Mapping[str, int]) -> list[Found]:
        """Look at one prompt that matches no known template, or one that leaves all of the user's words free.

        matched: how many prompts each template has had in this process. Returns what is found by it, the widest last.
        What is found is known from then on, and what it takes in forgotten.
        """
        sample = Sample(view)
        if sample in self._pool or len(self._shapes) >= TEMPLATES_MAX or self._is_slip(sample, matched):
            return []
        self._pool.add(sample)
        shape = self._common(sample)
        if shape is None or shape.id in self._shapes:
            return []
        return self._joined(Found(shape, self._pool.fingerprints_of(shape)))

    def _is_slip(self, sample: Sample, matched: Mapping[str, int]) -> bool:
        """Whether it is a known template but for a few words, as too few others are to make it a variant."""
        shared = Counter(id_ for shingle in sample.shingles for id_ in self._by_shingle.at(shingle))
        near = [
            (n / self._shingles_of[id_], id_)
            for id_, n in shared.items()
            if not self._shapes[id_].user.is_free and not self._shapes[id_].matches(sample.view)
        ]
        share, id_ = max(near, default=(0.0, ""))
        if share < NEAR:
            return False
        self._near[id_] += 1
        return self._near[id_] < max(TEXTS_MIN, VARIANT_SHARE_MIN * matched.get(id_, 0))

    def _common(self, sample: Sample) -> Shape | None:
        """The template of this prompt and others: that of the widest group which says enough, or of one within that group."""
        shared = self._pool.sharing(sample)
        found: Shape | None = None
        size_found = 0
        for level in _levels(shared):
            near = sorted((s for s, n in shared.items() if n >= level), key=lambda s: (-shared[s], s.view))
            if len(near) + 1 < TEXTS_MIN:
                break
            shape = _private([sample, *near[: COMPARED_MAX - 1]])
            size = 1 + sum(shape.matches(s.view) for s in near)
            if found is None:
                is_better = says_enough(shape.weight, size)
            else:
                is_better = is_within(shape, found) and (found.user.is_free or size >= SHARE_MIN * size_found)
            if is_better:
                found, size_found = shape, size
        return found

    def _joined(self, found: Found) -> list[Found]:
        """What was found, and what it makes together with known templates that are all but the same."""
        steps: list[Found] = []
        while True:
            self.know(found.shape)
            steps.append(found)
            wider = self._wider(found.shape)
            if wider is None:
                return steps
            for id_ in wider.stands_for:
                self.forget(id_)
            found = wider

    def _wider(self, shape: Shape) -> Found | None:
        """The template that this one and another known one are, if there is another that differs in no more than a slot."""
        mine = Sample.of(shape)
        shared = Counter(id_ for shingle in mine.shingles for id_ in self._by_shingle.at(shingle) if id_ != shape.id)
        for id_, _ in sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:JOINED_MAX]:
            other = self._shapes[id_]
            both = common_shape([mine, Sample.of(other)])
            if says_enough(both.weight, MANY_TEXTS) and is_same(shape, both) and is_same(other, both):
                return Found(both, tuple(sorted(s.id for s in (shape, other) if s != both)))
        return None


def _private(samples: Sequence[Sample]) -> Shape:
    """What these have in common, without the user's words unless they come from enough different texts of users.

    An app may send what one user said many times, under system texts that change: the turns of a conversation.
    """
    shape = common_shape(samples)
    if len({sample.masked.user for sample in samples}) >= TEXTS_MIN or shape.user.is_free:
        return shape
    return Shape(shape.system, Pattern(("", "")))


def _levels(shared: Mapping[Sample, int]) -> list[int]:
    """Numbers of shared shingles that part the prompts into groups, the widest first."""
    counts = sorted({n for n in shared.values() if n >= SHARED_MIN})
    if len(counts) <= LEVELS_MAX:
        return counts
    step = (len(counts) - 1) / (LEVELS_MAX - 1)
    return sorted({counts[round(n * step)] for n in range(LEVELS_MAX)})
