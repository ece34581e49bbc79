"""Ask anew for an answer that is past its time, while callers still get it; embed anew what another embedding was kept under."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec.structs import replace

from gateway.attempt import Attempt
from gateway.cache.base import CacheKey, Embedding, Store
from gateway.cache.semantic import Hit, Matcher
from gateway.caching.asking import Errand, background_entry, has_place, run_errand
from gateway.caching.background import Background
from gateway.caching.keeping import keep_s, kept_answer, may_keep
from gateway.ledger.base import Entry
from gateway.ledger.booking import settle_background
from gateway.ledger.writer import LedgerWriter


class Refresher:
    """now: seconds since 1970. clock: monotonic seconds. charge: is told what it costs, for budgets."""

    def __init__(
        self,
        store: Store,
        ledger: LedgerWriter,
        background: Background,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        charge: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        self._store, self._ledger, self._background = store, ledger, background
        self._now, self._clock, self._charge = now, clock, charge

    def refresh(self, errand: Errand, key: CacheKey, matcher: Matcher | None, embedding: Embedding | None) -> None:
        """Ask this request upstream in the background, once at a time. embedding: of its question, None if it is to be made."""
        self._background.start(f"refresh-{key.exact.hex()}", lambda: self._refresh(errand, key, matcher, embedding))

    def embed_again(self, errand: Errand, key: CacheKey, hit: Hit, matcher: Matcher) -> None:
        """Keep an answer under the embedding now in use, so that similar questions find it."""
        self._background.start(f"embed-{key.exact.hex()}", lambda: self._embed_again(errand, key, hit, matcher))

    async def _refresh(self, errand: Errand, key: CacheKey, matcher: Matcher | None, embedding: Embedding | None) -> None:
        if not has_place(self._ledger):
            return
        entry = background_entry(errand)
        attempts: list[Attempt] = []
        started, asked_at = self._clock(), self._now()
        try:
            brought = await run_errand(errand, entry, attempts, self._clock)
            if brought is not None:
                entry.model, entry.provider = brought.answering.model, brought.answering.provider
                if matcher is not None and embedding is None and key.question is not None:
                    embedded = await matcher.embedder.embed(key.question)
                    if embedded is not None:
                        embedding = embedded.vector
                        entry.overhead_nusd += embedded.cost_nusd or 0
        finally:
            settle_background(entry, attempts, errand.runtime.policy.models)
            entry.duration_ms = (self._clock() - started) * 1000
            self._charge(entry)
            self._ledger.put(entry)
        if brought is None or not may_keep(errand.plan, brought.answering, brought.finish, brought.data, brought.form):
            return
        space = matcher.space if matcher is not None and embedding is not None else None
        answer = kept_answer(errand, key, entry.request_id, brought.data, brought.answering, space, asked_at)
        await self._store.put(key, answer, embedding, keep_s(errand))

    async def _embed_again(self, errand: Errand, key: CacheKey, hit: Hit, matcher: Matcher) -> None:
        embedded = await matcher.embedder.embed(key.question or "")
        if embedded is None:
            return
        if embedded.cost_nusd and has_place(self._ledger):
            entry = background_entry(errand)
            entry.cache_entry, entry.overhead_nusd = hit.answer.id, embedded.cost_nusd
            settle_background(entry, [], errand.runtime.policy.models)
            self._charge(entry)
            self._ledger.put(entry)
        kept = await self._store.get(key.exact) if embedded.vector is not None else None
        if kept is None or kept.id != hit.answer.id:
            return  # taken back or replaced meanwhile
        rule, until = errand.plan.cache, kept.fresh_until
        left_s = min(kept.stored_at + rule.ttl_s, until) + rule.stale_s - self._now()
        if left_s > 0:
            await self._store.put(key, replace(kept, space=matcher.space), embedded.vector, left_s)
