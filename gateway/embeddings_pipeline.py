"""The story of an embeddings request: which model, what is kept already, ask for the rest, answer, book."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from gateway.budgets.budgets import Budgets
from gateway.cache.base import CachedAnswer, CacheKey
from gateway.cache.embedding_vectors import INLINE_BYTES_MAX, VectorCache, is_cacheable, vector_keys
from gateway.embeddings import EmbeddingsRequest, answer_of, read_answer, with_items
from gateway.embeddings_decision import model_of, plan_for
from gateway.errors import (
    CONTEXT_LENGTH,
    ClientError,
)
from gateway.execute import Execution
from gateway.frame import Frame, Work
from gateway.ledger.base import Entry
from gateway.ledger.booking import settle
from gateway.metrics import Metrics
from gateway.policy.catalog import Model
from gateway.policy.model import Plan
from gateway.policy.schema_models import OpenAIProvider
from gateway.pricing.cost import cost_nusd
from gateway.providers.http import HttpClient
from gateway.providers.openai_embeddings import OpenAIEmbeddings
from gateway.reply import Headers, Sink
from gateway.response_headers import cost_headers, entry_headers
from gateway.runtime import Runtime
from gateway.target import Target
from gateway.tenant import Tenant
from gateway.usage import Usage
from gateway.wire_usage import read_usage

T = TypeVar("T")


class VectorWork(Work[EmbeddingsRequest], eq=False):
    """One that asks for vectors.

    keys: of its items, none when it neither reads nor fills the cache. kept: what was there for each.
    """

    model: Model | None = None
    keys: list[CacheKey] = msgspec.field(default_factory=list)
    kept: list[CachedAnswer | None] = msgspec.field(default_factory=list)

    @property
    def saved(self) -> Usage:
        """What the vectors from the cache would have used."""
        return sum((answer.usage for answer in self.kept if answer is not None), Usage())


class EmbeddingsPipeline:
    """Embeddings are asked of the model that is named, and of no other: nobody else's vectors stand in for its own."""

    def __init__(self, frame: Frame, vectors: VectorCache, http: HttpClient, metrics: Metrics, budgets: Budgets) -> None:
        self._frame, self._vectors, self._http, self._metrics, self._budgets = frame, vectors, http, metrics, budgets

    def handle(self, request: EmbeddingsRequest, tenant: Tenant, sink: Sink) -> Coroutine[Any, Any, None]:
        """Answer one request through the sink, and book it, whatever happens."""
        return self._frame.run(self, request, tenant, sink)

    def begin(self, request: EmbeddingsRequest, tenant: Tenant, runtime: Runtime, sink: Sink, now: float) -> VectorWork:
        return VectorWork(request, tenant, runtime, sink, _entry(request, tenant, runtime), now)

    async def serve(self, work: VectorWork) -> None:
        policy = work.runtime.policy
        model = work.model = model_of(policy, work.request, work.tenant.permit)
        plan = plan_for(policy, model)
        work.entry.route, work.entry.decided_by = plan.route, plan.decided_by
        if policy.budgets:
            work.claim = self._budgets.claim(
                policy, work.request, work.tenant, work.entry.at, work.entry.uid or work.entry.request_id
            )
            # A rule that sends elsewhere lets it pass: no other model's vectors stand in for this one's.
            within = await work.claim.within(plan, can_reroute=False)
            assert isinstance(within, Plan), "nothing sends it elsewhere"
            plan = within
        work.compromise = plan.compromise
        await self._look(work, plan, model)
        missing = [place for place, answer in enumerate(work.kept) if answer is None]
        if missing and work.request.cache == "only":
            # 504 as RFC 9111, 5.2.1.7 has it for only-if-cached.
            message = f"x-turnout-cache: only, and {len(missing)} of {len(work.kept)} vectors are not in the cache"
            raise ClientError(message, status=504, code="cache_miss")
        if missing:
            await self._ask(work, plan, model, missing)
        else:
            await self._replay(work, model)

    async def _look(self, work: VectorWork, plan: Plan, model: Model) -> None:
        request, rule = work.request, plan.cache
        work.kept = [None] * len(request.items)
        is_unpaid = work.claim is not None and work.claim.refusal is not None  # what is kept costs nothing
        if is_cacheable(request, rule) and (plan.targets or is_unpaid):
            work.keys = await _keys(request, work.tenant, plan, model)
            work.kept = await self._vectors.look(request, rule, work.keys)
            work.entry.cache = "miss" if None in work.kept else "hit-exact"
        if rule.mode != "off":
            self._metrics.looked_up(plan.route, work.entry.cache)

    async def _replay(self, work: VectorWork, model: Model) -> None:
        """All vectors were there."""
        kept = [answer for answer in work.kept if answer is not None]
        if len(kept) == 1:
            work.entry.cache_entry = kept[0].id
        body = await _off_loop(_bytes(kept), lambda: answer_of([answer.data for answer in kept], model.id, work.saved))
        self._frame.book(self, work)
        age_s = max(int(time.time() - min(answer.stored_at for answer in kept)), 0)
        kept_by = [("x-turnout-model", model.name), ("x-turnout-provider", model.provider), ("age", str(age_s))]
        await work.sink.whole(body, [*self._headers(work, kept_by), *cost_headers(work.entry)])

    async def _ask(self, work: VectorWork, plan: Plan, model: Model, missing: Sequence[int]) -> None:
        if work.claim is not None and work.claim.refusal is not None and not plan.targets:
            raise work.claim.refusal
        is_all = len(missing) == len(work.request.items)
        body = await self._answer(work, plan, model, work.request if is_all else await _part(work.request, missing))
        assert work.execution is not None and work.execution.answering is not None, "it has answered"
        whole = body if is_all else await _off_loop(len(body) + _bytes(work.kept), lambda: _together(work, missing, body))
        self._frame.book(self, work)
        await work.sink.whole(whole, [*self._headers(work), *cost_headers(work.entry)])
        if work.keys:
            # After the answer: nobody need wait for this.
            asked = [(place, work.keys[place]) for place in missing]
            await self._vectors.keep(work.request, work.tenant, plan, asked, body, work.execution.answering)

    async def _answer(self, work: VectorWork, plan: Plan, model: Model, request: EmbeddingsRequest) -> bytes:
        """What the model says to this part of the request, or to all of it."""
        spec, known = work.runtime.policy.providers[model.provider], work.runtime.targets[model.name]
        assert isinstance(spec, OpenAIProvider), "others are refused before"
        target = Target(model, OpenAIEmbeddings(model.provider, self._http, spec), known.health, known.quota, known.tokens)
        execution = work.ask(Execution(plan, [target] if plan.targets else [], request, self._frame.clock, work.started))
        try:
            pieces = await execution.begin()
        except ClientError as exc:
            if exc.code == CONTEXT_LENGTH:
                exc.param = "input"
            raise
        work.entry.model, work.entry.provider = model.name, model.provider
        return pieces[-1].data

    # What the frame asks.

    def price(self, work: VectorWork) -> None:
        """The policy's baseline is a model that answers, which no vector stands in for: what is saved here is what the
        same model would have cost for the vectors that were kept.
        """
        entry = work.entry
        settle(entry, work.attempts, work.runtime.policy.models, None, work.answering)
        if entry.outcome == "ok":  # else the caller has got nothing for them
            entry.usage = work.saved + (entry.usage or Usage())
        entry.baseline_nusd = 0 if work.model is None else cost_nusd(work.model.price_at(entry.at), entry.usage)

    def headers(self, work: VectorWork) -> Headers:
        return self._headers(work)

    def leave(self, work: VectorWork) -> None:
        """It holds nothing."""

    def _headers(self, work: VectorWork, more: Headers | None = None) -> Headers:
        """more: what is known besides; the model and its provider where nobody was asked."""
        entry = work.entry
        asked = [
            ("x-turnout-model", entry.model),
            ("x-turnout-provider", entry.provider),
            ("x-turnout-compromise", work.compromise),
        ]
        headers = entry_headers(entry) + [(name, value) for name, value in asked if value is not None] + (more or [])
        return headers if work.allowance is None else headers + work.allowance.headers


def _entry(request: EmbeddingsRequest, tenant: Tenant, runtime: Runtime) -> Entry:
    return Entry(
        request_id=request.request_id,
        at=time.time(),
        dialect=request.dialect,
        requested_model=request.head.model,
        stream=False,
        key=tenant.key,
        team=tenant.team,
        tags=dict(request.tags),
        session=request.session,
        policy_hash=runtime.policy.hash,
        draw=0.0,  # nothing is left to chance
    )


async def _part(request: EmbeddingsRequest, places: Sequence[int]) -> EmbeddingsRequest:
    """The same request for some of its items."""
    items = tuple(request.items[place] for place in places)
    body = await _off_loop(len(request.body), lambda: with_items(request.body, items))
    return msgspec.structs.replace(request, items=items, body=body)


async def _keys(request: EmbeddingsRequest, tenant: Tenant, plan: Plan, model: Model) -> list[CacheKey]:
    target = f"{model.provider}/{model.id}"
    try:
        return await _off_loop(len(request.body), lambda: vector_keys(request, tenant, plan.cache, target))
    except (msgspec.DecodeError, RecursionError) as exc:
        raise ClientError(f"the body holds something that cannot be read: {exc}", code="invalid_json") from exc


def _together(work: VectorWork, missing: Sequence[int], body: bytes) -> bytes:
    """One answer of the vectors that were kept and those that have come. body: with the vectors of the missing ones."""
    answer = read_answer(body)
    fresh = dict(zip(missing, answer.vectors(len(missing)), strict=True))
    vectors = [fresh[place] if kept is None else kept.data for place, kept in enumerate(work.kept)]
    assert work.model is not None, "it was asked"
    usage = work.saved + (read_usage(answer.usage) or Usage())
    return answer_of(vectors, answer.model or work.model.id, usage)


def _bytes(kept: Sequence[CachedAnswer | None]) -> int:
    return sum(len(answer.data) for answer in kept if answer is not None)


async def _off_loop(size_bytes: int, work: Callable[[], T]) -> T:
    """work(), which reads or writes so much, without holding the loop up where that is long."""
    return work() if size_bytes <= INLINE_BYTES_MAX else await asyncio.to_thread(work)
