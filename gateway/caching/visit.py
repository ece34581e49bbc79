"""One request's dealings with the cache: looked up, waited for, kept."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from gateway.attempt import Attempt
from gateway.cache.base import CachedAnswer, CacheKey, Embedding, Neighbour, Store
from gateway.cache.flights import Flight, Flights
from gateway.cache.guarded import for_request
from gateway.cache.keys import cache_key
from gateway.cache.semantic import Hit, Matcher
from gateway.caching.asking import Errand, form_of
from gateway.caching.audit import Auditor
from gateway.caching.background import Background
from gateway.caching.keeping import KEPT_BYTES_MAX, is_cacheable, keep_s, kept_answer, may_keep
from gateway.caching.refresh import Refresher
from gateway.ledger.base import CacheOutcome
from gateway.metrics import Metrics
from gateway.policy.catalog import Model
from gateway.policy.model import Plan
from gateway.request import ChatRequest
from gateway.runtime import Runtime
from gateway.tenant import Tenant

COMPARED_SHARE: Final = 0.1
"""Of near misses: how often the answer that was not given is compared with the one that came. It asks no model."""


class Visit(msgspec.Struct):
    """What came of it so far. key: None for a request that neither reads nor fills the cache.

    began_at: seconds since 1970. cost_nusd: of the embedding. near: the likeliest candidate that was not served.
    pieces: the answer that came instead, so far; None where it may not be kept. pieces_bytes: of all of them.
    """

    errand: Errand
    key: CacheKey | None = None
    matcher: Matcher | None = None
    began_at: float = 0.0
    outcome: CacheOutcome = "bypass"
    hit: Hit | None = None
    is_stale: bool = False
    cost_nusd: int = 0
    embedding: Embedding | None = None
    near: Neighbour | None = None
    flight: Flight | None = None
    pieces: list[bytes] | None = None
    pieces_bytes: int = 0

    def keep(self, data: bytes) -> None:
        """The next bytes of the answer, as long as they may go into the cache."""
        pieces = self.pieces
        if pieces is None:
            return
        pieces.append(data)
        self.pieces_bytes += len(data)
        if self.pieces_bytes > KEPT_BYTES_MAX:
            self.pieces = None

    def keep_nothing(self) -> None:
        """Another will answer than the one that the key is for."""
        self.key = self.pieces = None
        self.leave()

    def leave(self) -> None:
        """In any case at the end: whoever waits for this request's answer goes its own way."""
        if self.flight is not None:
            self.flight.land(None)


class Caching:
    """now: seconds since 1970. draw: a number in [0, 1) that decides what is audited and compared."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        background: Background,
        auditor: Auditor,
        refresher: Refresher,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._store, self._metrics, self._background = store, metrics, background
        self._auditor, self._refresher = auditor, refresher
        self._now, self._draw = now, draw
        self._flights = Flights()

    async def visit(self, request: ChatRequest, tenant: Tenant, plan: Plan, runtime: Runtime) -> Visit:
        """Look the request up. plan: of a route with a cache. Raises ClientError for a body that cannot be read whole."""
        visit = Visit(Errand(request, tenant, plan, runtime, "refresh"))
        if is_cacheable(request, plan):
            rule, visit.began_at = plan.cache, self._now()
            matcher = visit.matcher = runtime.matcher if rule.mode == "semantic" else None
            space = matcher.space if matcher is not None else ""
            asked = asked_of(plan, runtime.policy.models)
            key = visit.key = cache_key(request, tenant, rule.scope, plan.route, asked, space)
            visit.outcome, visit.pieces = "miss", []
            await self._look(visit, key)
        self._metrics.looked_up(plan.route, visit.outcome)
        return visit

    async def _embed(self, visit: Visit, key: CacheKey, matcher: Matcher) -> None:
        embedded = await matcher.embedder.embed(key.question) if key.question else None
        if embedded is not None:
            visit.embedding, visit.cost_nusd = embedded.vector, visit.cost_nusd + (embedded.cost_nusd or 0)

    async def _look(self, visit: Visit, key: CacheKey) -> None:
        request = visit.errand.request
        if request.cache == "refresh":
            visit.flight = self._flights.lead(key.exact)
            return
        store = for_request(self._store)
        answer = await store.get(key.exact)
        if answer is not None and self._is_young(visit, answer):
            self._found(visit, Hit(answer, "exact"))
            return
        if request.cache != "only":
            flight = self._flights.of(key.exact)
            if flight is None:
                visit.flight = self._flights.lead(key.exact)
            elif await self._waited(visit, flight):
                return
        if visit.matcher is not None:
            await self._look_near(visit, key, visit.matcher, store)

    async def _waited(self, visit: Visit, flight: Flight) -> bool:
        """Whether the same request, on its way already, brought something. For no longer than a first token may take."""
        answer = await flight.wait(visit.errand.plan.timeouts.first_token_s)
        if answer is not None:
            self._found(visit, Hit(answer, "exact"))
        return answer is not None

    async def _look_near(self, visit: Visit, key: CacheKey, matcher: Matcher, store: Store) -> None:
        plan, request = visit.errand.plan, visit.errand.request

        def is_young(answer: CachedAnswer) -> bool:
            return self._is_young(visit, answer)

        looked = await matcher.look(store, key, plan.cache, plan.route, request.request_id, is_young)
        visit.embedding, visit.near, visit.cost_nusd = looked.embedding, looked.near, looked.cost_nusd or 0
        if looked.hit is not None:
            self._found(visit, looked.hit)

    def _found(self, visit: Visit, hit: Hit) -> None:
        visit.hit = hit
        visit.outcome = "hit-exact" if hit.kind == "exact" else "hit-semantic"
        visit.is_stale = self._age_s(hit.answer) >= visit.errand.plan.cache.ttl_s
        visit.leave()

    def _is_young(self, visit: Visit, answer: CachedAnswer) -> bool:
        """Whether an answer's age is one that the route, and the caller, allow."""
        return self._age_s(answer) < keep_s(visit.errand)

    def _age_s(self, answer: CachedAnswer) -> float:
        return max(self._now() - answer.stored_at, 0.0)

    def age_s(self, hit: Hit) -> int:
        """Whole seconds since the answer was kept."""
        return int(self._age_s(hit.answer))

    def served(self, visit: Visit) -> None:
        """The hit is out: ask it anew where it is past its time, and some of the similar ones to see if they were right."""
        hit, key = visit.hit, visit.key
        assert hit is not None and key is not None, "only a hit is served"
        if visit.is_stale:
            self._refresher.refresh(visit.errand, key, visit.matcher, visit.embedding)
        elif hit.answer.question is not None and visit.matcher is not None and hit.answer.space != visit.matcher.space:
            self._refresher.embed_again(visit.errand, key, hit, visit.matcher)
        if hit.kind == "semantic" and self._draw() < visit.errand.plan.cache.audit:
            self._auditor.audit(visit.errand, hit, key, visit.embedding)

    async def keep(self, visit: Visit, answering: Attempt, finish: str | None) -> None:
        """Keep the answer that came instead of a hit, if it may be, and give it to whoever waits for it."""
        key = visit.key
        if key is None or visit.pieces is None:
            return
        errand, matcher, data = visit.errand, visit.matcher, b"".join(visit.pieces)
        request = errand.request
        if not may_keep(errand.plan, answering, finish, data, form_of(request)):
            return
        if matcher is not None and request.cache == "refresh":  # else the look-up has made it
            await self._embed(visit, key, matcher)
        space = matcher.space if matcher is not None and visit.embedding is not None else None
        answer = kept_answer(errand, key, request.request_id, data, answering, space, visit.began_at)
        if visit.flight is not None:
            visit.flight.land(answer)
            visit.flight = None
        newer = await self._store.get(key.exact)
        if newer is not None and newer.stored_at > visit.began_at:
            return  # asked later and answered sooner, as by a refresh
        await self._store.put(key, answer, visit.embedding, keep_s(errand))
        if visit.near is not None and key.question is not None and self._draw() < COMPARED_SHARE:
            self._auditor.compare(errand, key.question, visit.near, answer)


def asked_of(plan: Plan, models: Mapping[str, Model]) -> str:
    """Who answers by this plan, for a cache key.

    Of a cascade all of its rungs, and what it asks of their answers; of models that are as good as each other all of them.
    """
    if not plan.rungs:
        return _asked(plan, models[plan.targets[0]])
    return " > ".join([_asked(plan, models[name]) for name in (plan.rungs if plan.accept else sorted(plan.rungs))])


def _asked(plan: Plan, model: Model) -> str:
    rule, asked = plan.accept.get(model.name), f"{model.provider}/{model.id}"
    return asked if rule is None else f"{asked} if {rule}"
