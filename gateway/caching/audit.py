"""Was a similar question's answer right? Ask upstream as well, compare, learn from it, and watch the route's precision."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from gateway.attempt import Attempt
from gateway.cache.base import CachedAnswer, CacheKey, Embedding, Neighbour, Observation, Store
from gateway.cache.evidence import audit_subject, route_subject
from gateway.cache.feedback import retract
from gateway.cache.guarded import for_people
from gateway.cache.semantic import Hit
from gateway.caching.asking import Brought, Errand, background_entry, has_place, run_errand
from gateway.caching.background import Background
from gateway.caching.compare import Verdict, compare_texts, judge_body, read_verdict
from gateway.caching.keeping import answer_text, keep_s, may_keep, text_of
from gateway.chat import read_head
from gateway.errors import StoreUnavailable
from gateway.interval import wilson
from gateway.ledger.base import Entry
from gateway.ledger.booking import settle_background
from gateway.ledger.writer import LedgerWriter
from gateway.metrics import Metrics
from gateway.policy.model import CacheRule, Plan
from gateway.request import ChatRequest

log = logging.getLogger("turnout.audit")

WRONG_MIN: Final = 3
ROUTE_KNOWN_S: Final = 30 * 86_400.0  # for so long what was seen of a route counts


class Auditor:
    """clock: monotonic seconds. charge: is told what audits cost, for budgets."""

    def __init__(
        self,
        store: Store,
        ledger: LedgerWriter,
        background: Background,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        charge: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        self._store = for_people(store)  # nobody waits for it, and what was learned is not to be lost
        self._ledger, self._background, self._metrics = ledger, background, metrics
        self._clock, self._charge = clock, charge
        self._alarmed: set[str] = set()

    def audit(self, errand: Errand, hit: Hit, key: CacheKey, embedding: Embedding | None) -> None:
        """Ask upstream what this hit has answered, in the background. embedding: of the question."""
        errand = replace(errand, purpose="audit")
        self._background.start(f"audit-{errand.request.request_id}", lambda: self._audit(errand, hit, key, embedding))

    def compare(self, errand: Errand, question: str, near: Neighbour, answer: CachedAnswer) -> None:
        """Learn from the answer that came instead of one that was near, but not sure enough. Asks no model."""
        self._background.start(f"compare-{errand.request.request_id}", lambda: self._compare(errand, question, near, answer))

    async def _audit(self, errand: Errand, hit: Hit, key: CacheKey, embedding: Embedding | None) -> None:
        if not has_place(self._ledger):
            return
        entry = background_entry(errand)
        entry.cache_entry = hit.answer.id
        attempts: list[Attempt] = []
        started = self._clock()
        try:
            brought = await run_errand(errand, entry, attempts, self._clock)
            if brought is not None:
                entry.model, entry.provider = brought.answering.model, brought.answering.provider
                entry.verdict = await self._verdict(errand, entry, attempts, key.question or "", hit.answer, brought)
        finally:
            settle_background(entry, attempts, errand.runtime.policy.models)
            entry.duration_ms = (self._clock() - started) * 1000
            self._charge(entry)
            self._ledger.put(entry)
        if entry.verdict is not None:
            self._metrics.audited(errand.plan.route, entry.verdict)
            await self._learn(errand, hit, entry.verdict, embedding)

    async def _verdict(
        self, errand: Errand, entry: Entry, attempts: list[Attempt], question: str, kept: CachedAnswer, brought: Brought
    ) -> Verdict:
        if not may_keep(errand.plan, brought.answering, brought.finish, brought.data, brought.form):
            return "unsure"  # a refusal, half an answer or a fallback's: no measure of one that was fit to be kept
        old, new = text_of(kept), answer_text(brought.data, brought.form)
        if old is None or new is None:  # tool calls, several choices
            return "unsure"
        judge = errand.runtime.policy.cache_setup.judge
        if judge is None:
            return await self._compared(errand, old, new)
        request = _judge_request(errand.request, judge_body(judge, question, old, new))
        asked = replace(errand, request=request, plan=_judge_plan(errand, judge))
        said = await run_errand(asked, entry, attempts, self._clock)
        reply = answer_text(said.data, said.form) if said is not None else None
        return "unsure" if reply is None else read_verdict(reply)

    async def _compared(self, errand: Errand, old: str, new: str) -> Verdict:
        embedder = errand.runtime.router.embedder
        assert embedder is not None, "a policy that looks for similar questions has an embedder"
        return await asyncio.to_thread(lambda: compare_texts(old, new, float(embedder.encode(old) @ embedder.encode(new))))

    async def _learn(self, errand: Errand, hit: Hit, verdict: Verdict, embedding: Embedding | None) -> None:
        route = errand.plan.route
        if verdict != "unsure":
            seen = Observation(hit.score, verdict == "right")
            try:
                served = await self._store.served(errand.request.request_id)
                if served is not None and verdict == "right":
                    await self._confirm(served.exact, seen, errand)
                elif served is not None:
                    await retract(self._store, served, hit.answer.id, embedding)
                    await self._store.observe(route_subject(route), seen, ROUTE_KNOWN_S)
                await self._store.observe(audit_subject(route), seen, ROUTE_KNOWN_S)
                await self._watch(route, errand.plan.cache)
            except StoreUnavailable as exc:
                log.warning("route '%s': what an audit found cannot be kept: %s", route, exc)

    async def _confirm(self, exact: bytes, seen: Observation, errand: Errand) -> None:
        """What was seen of a pair: evidence for its entry; and, the first time, for the route, which one pair must not move."""
        is_first = not await self._store.observations(exact)
        await self._store.observe(exact, seen, keep_s(errand))
        if is_first:
            await self._store.observe(route_subject(errand.plan.route), seen, ROUTE_KNOWN_S)

    async def _watch(self, route: str, rule: CacheRule) -> None:
        """The route's precision, and an alarm when the share of wrong hits is above the budget beyond doubt."""
        seen = await self._store.observations(audit_subject(route))
        if not seen:
            return
        right = sum(o.is_same for o in seen)
        self._metrics.precision(route, right / len(seen))
        # A few wrong ones at least: looked at after every audit, an interval alone would be left by chance sooner or later.
        is_over = len(seen) - right >= WRONG_MIN and 1.0 - wilson(right, len(seen))[1] > rule.false_hit_budget
        self._metrics.alarm(route, is_over)
        if is_over and route not in self._alarmed:
            self._alarmed.add(route)
            log.warning(
                "route '%s': %d of the last %d audited cache hits were wrong, more than false_hit_budget %g allows; the cache "
                "asks for more certainty there",
                *(route, len(seen) - right, len(seen), rule.false_hit_budget),
            )
        elif not is_over and route in self._alarmed:
            self._alarmed.discard(route)
            log.info("route '%s': the share of wrong cache hits is within its budget again", route)

    async def _compare(self, errand: Errand, question: str, near: Neighbour, answer: CachedAnswer) -> None:
        matcher = errand.runtime.matcher
        assert matcher is not None, "a policy that looks for similar questions has a matcher"
        try:
            kept = await self._store.get(near.exact)
            old, new = text_of(kept) if kept is not None else None, text_of(answer)
            if old is None or new is None:
                return
            verdict = await self._compared(errand, old, new)
            if verdict != "unsure":
                score = await matcher.score(question, near)
                await self._confirm(near.exact, Observation(score, verdict == "right"), errand)
        except StoreUnavailable as exc:
            log.warning("route '%s': what a comparison found cannot be kept: %s", errand.plan.route, exc)


def _judge_request(request: ChatRequest, body: bytes) -> ChatRequest:
    return ChatRequest(request.request_id, body, read_head(body), tags=request.tags)


def _judge_plan(errand: Errand, judge: str) -> Plan:
    policy = errand.runtime.policy
    return Plan(errand.plan.route, "audit", judge, (judge,), policy.timeouts, policy.retry, CacheRule(), ())
