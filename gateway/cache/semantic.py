"""Look an answer up: first the same request, then the nearest question that is the same one, as sure as the policy wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import msgspec

from gateway.cache.base import CachedAnswer, CacheKey, Embedding, Near, Neighbour, Served, Store
from gateway.cache.embedding import CacheEmbedder
from gateway.cache.evidence import ENTRY_SD, OBJECTION_STEP, ROUTE_OFFSET_MAX, ROUTE_SD, log_odds, offset, route_subject
from gateway.policy.model import CacheRule

NEIGHBOURS: Final = 5
# Of all texts that the rules look at: under a millisecond of prose, whose words were mostly met before.
SCREENED_CHARS_MAX: Final = 4_000
INLINE_CHARS_MAX: Final = 1_000  # of all texts compared; more take a millisecond or two, which is not for the event loop
SCORE_MIN: Final = 0.5  # whatever else is known, what is as likely another question is not the same; a veto leaves no more
OBJECTION_NEAR: Final = 0.9  # cosine within which a counter-example counts
ROUTE_KEPT_S: Final = 5.0  # for so long what is known of a route is not asked of the store again


class Verifier(Protocol):
    """Whether two texts are the same question (classifiers.pairs.verifier)."""

    @property
    def is_quick(self) -> bool:
        """Whether a few short pairs may be scored on the event loop."""
        ...

    def excluded(self, asked: str, kept: Sequence[str]) -> list[bool]:
        """For each text of kept whether its score is no more than SCORE_MIN, as far as that is known without making it."""
        ...

    def scores(self, asked: str, kept: Sequence[str], cosines: Sequence[float]) -> list[float]: ...

    def bar(self, false_hit_budget: float) -> float: ...


class Hit(msgspec.Struct, frozen=True, gc=False):
    """An answer from the cache. similarity: cosine; score: the verifier's; both 1.0 for the same request."""

    answer: CachedAnswer
    kind: Literal["exact", "semantic"]
    similarity: float = 1.0
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look-up found. cost_nusd: of embedding.

    near: of the candidates that were not served the likeliest that got a score; if none did, the nearest, where it is short.
    """

    hit: Hit | None = None
    near: Neighbour | None = None
    embedding: Embedding | None = None
    cost_nusd: int | None = 0


class Matcher:
    """Finds similar questions and tells them apart. clock: monotonic seconds."""

    def __init__(self, embedder: CacheEmbedder, verifier: Verifier, clock: Callable[[], float]) -> None:
        self.embedder, self._verifier, self._clock = embedder, verifier, clock
        self._routes: dict[str, tuple[float, float]] = {}  # offset, and until when it is good

    @property
    def space(self) -> str:
        """The name of the embedding."""
        return self.embedder.space

    async def look(
        self, store: Store, key: CacheKey, rule: CacheRule, route: str, request_id: str, is_young: Callable[[CachedAnswer], bool]
    ) -> Looked:
        """The nearest neighbour, or else the likeliest, that the rule lets through.

        is_young: whether an answer may still be given.
        """
        if key.question is None:
            return Looked()
        embedded = await self.embedder.embed(key.question)
        if embedded is None:
            return Looked()
        if embedded.vector is None:
            return Looked(cost_nusd=embedded.cost_nusd)
        near = await store.nearest(key.partition, embedded.vector, NEIGHBOURS)
        candidates = [n for n in near.answers if n.similarity >= rule.min_similarity]
        bar = await self._bar(store, rule, route, near) if candidates else None
        if bar is None:
            return Looked(None, None, embedded.vector, embedded.cost_nusd)
        # Of long texts that are excluded nothing is learned: a score costs milliseconds, and they are only served as they stand.
        is_short = len(key.question) + len(candidates[0].question) <= INLINE_CHARS_MAX
        likeliest, highest = candidates[0] if is_short else None, -1.0
        # The nearest by itself: where there is a hit it is mostly that one, and the others need not be read.
        for some in (candidates[:1], candidates[1:]):
            for candidate, score in await self._ranked(key.question, some):
                if score > highest:
                    likeliest, highest = candidate, score
                if score <= SCORE_MIN or _is_objected(key.question, near, candidate) or _weight(candidate, score) < bar:
                    continue
                answer = await store.serve(Served(request_id, key.partition, candidate.exact, key.question, score))
                if answer is not None and is_young(answer):
                    hit = Hit(answer, "semantic", candidate.similarity, score)
                    return Looked(hit, None, embedded.vector, embedded.cost_nusd)
        return Looked(None, likeliest, embedded.vector, embedded.cost_nusd)

    async def score(self, asked: str, candidate: Neighbour) -> float:
        """How probable it is that both are the same question, whatever excludes them."""
        return (await self._scores(asked, [candidate]))[0]

    async def _ranked(self, asked: str, candidates: Sequence[Neighbour]) -> list[tuple[Neighbour, float]]:
        """Candidates with their scores, the likeliest first; without those that are another question in any case."""
        left = await self._left(asked, candidates)
        scores = await self._scores(asked, left) if left else []
        return sorted(zip(left, scores, strict=True), key=lambda pair: -pair[1])

    async def _left(self, asked: str, candidates: Sequence[Neighbour]) -> list[Neighbour]:
        """What is worth a score. Most of a miss's neighbours are not, and a score costs ten times what it takes to see that."""
        kept = [c.question for c in candidates]
        if len(asked) + sum(map(len, kept)) <= SCREENED_CHARS_MAX:
            excluded = self._verifier.excluded(asked, kept)
        else:
            excluded = await asyncio.to_thread(self._verifier.excluded, asked, kept)
        return [c for c, is_out in zip(candidates, excluded, strict=True) if not is_out]

    async def _scores(self, asked: str, candidates: Sequence[Neighbour]) -> list[float]:
        kept, cosines = [c.question for c in candidates], [c.similarity for c in candidates]
        if self._verifier.is_quick and len(asked) * len(kept) + sum(map(len, kept)) <= INLINE_CHARS_MAX * len(kept):
            return self._verifier.scores(asked, kept, cosines)
        return await asyncio.to_thread(self._verifier.scores, asked, kept, cosines)

    async def _bar(self, store: Store, rule: CacheRule, route: str, near: Near) -> float | None:
        """Log-odds that a candidate must reach; None when nothing keeps the budget."""
        bar = self._verifier.bar(rule.false_hit_budget)
        if bar > 1.0:
            return None
        close = sum(o.similarity >= OBJECTION_NEAR for o in near.objections)
        return log_odds(bar) - await self._route_offset(store, route) + OBJECTION_STEP * close

    async def _route_offset(self, store: Store, route: str) -> float:
        known, until = self._routes.get(route, (0.0, 0.0))
        now = self._clock()
        if now < until:
            return known
        self._routes[route] = (known, now + ROUTE_KEPT_S)  # first, so that a crowd does not ask all at once
        known = min(offset(await store.observations(route_subject(route)), ROUTE_SD), ROUTE_OFFSET_MAX)
        self._routes[route] = (known, now + ROUTE_KEPT_S)
        return known


def _is_objected(asked: str, near: Near, candidate: Neighbour) -> bool:
    """Whether the two are known to differ: this answer was wrong for a question like the one asked, or the other way round."""
    return any(
        (o.kept == candidate.question and o.similarity >= OBJECTION_NEAR) or (o.kept, o.asked) == (asked, candidate.question)
        for o in near.objections
    )


def _weight(candidate: Neighbour, score: float) -> float:
    return log_odds(score) + offset(candidate.observations, ENTRY_SD)
