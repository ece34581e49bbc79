"""The story of a request, top to bottom: decide, look in the cache, ask a model, answer, book."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway import chat
from gateway.cache.base import CachedAnswer, CacheKey, Embedding, Store, cache_key
from gateway.cache.semantic import Hit, look_up
from gateway.chat_forms import assemble, to_events
from gateway.errors import ClientError, DeadlineExceeded, LedgerUnavailable, Refused, TurnoutError, UpstreamError, status_of
from gateway.execute import Execution
from gateway.ledger.base import Entry
from gateway.ledger.price import cost_nusd, usd
from gateway.ledger.writer import LedgerWriter
from gateway.policy.model import Answer, Denial, Plan
from gateway.prompt import Prompt
from gateway.providers.base import Piece
from gateway.providers.sse import EventParser
from gateway.reply import Headers, Sink
from gateway.request import ChatRequest
from gateway.router import Routed
from gateway.runtime import CurrentRuntime, Runtime
from gateway.tenant import Tenant
from gateway.usage import Usage, estimate_tokens

log = logging.getLogger("turnout.pipeline")

KEYED_BYTES_MAX = 256 * 1024  # a larger request (images, documents) is not taken apart to make a key of it
KEPT_BYTES_MAX = 1024 * 1024  # a longer answer is not kept for the cache


@dataclass
class Work:
    """A request under way: what was given, and the entry that grows with it."""

    request: ChatRequest
    tenant: Tenant
    runtime: Runtime
    sink: Sink
    entry: Entry
    started: float
    compromise: str | None = None
    why: str | None = None
    execution: Execution | None = None
    kept: list[bytes] | None = None  # the answer's bytes, as long as they may go into the cache
    kept_bytes: int = 0
    has_begun: bool = False  # a stream's headers are out
    is_booked: bool = False


class Pipeline:
    """clock: monotonic seconds. draw: a number in [0, 1) for each request, logged with it."""

    def __init__(
        self,
        current: CurrentRuntime,
        ledger: LedgerWriter,
        cache: Store,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._current, self._ledger, self._cache = current, ledger, cache
        self._clock, self._draw = clock, draw
        self._said: set[tuple[str, str, str]] = set()

    async def handle(self, request: ChatRequest, tenant: Tenant, sink: Sink) -> None:
        """Answer one request through the sink, and book it, whatever happens."""
        try:
            self._ledger.reserve()
        except LedgerUnavailable as exc:
            await sink.fail(exc, [("x-request-id", request.request_id)])
            return
        work = self._begin(request, tenant, sink)
        try:
            await self._serve(work)
        except asyncio.CancelledError:
            work.entry.outcome, work.entry.status = "cancelled", 499  # the client has left, as nginx books it
            raise
        except TurnoutError as exc:
            await self._failed(work, exc)
        except BaseException as exc:
            work.entry.outcome, work.entry.status, work.entry.error = "error", 500, repr(exc)
            raise
        finally:
            try:
                if work.execution is not None:
                    await asyncio.shield(work.execution.aclose())
            finally:
                self._book(work)  # cancelled a second time as well: it holds a place in the ledger

    async def _serve(self, work: Work) -> None:
        runtime, entry = work.runtime, work.entry
        routed = await runtime.router.route(work.request, runtime.candidates(), entry.draw)
        decision = routed.decision
        entry.scores = routed.scores
        if work.request.is_debug:
            work.why = "; ".join(f"{t['route']}: {t['why']}" for t in runtime.router.story(routed)["routes"])
        if isinstance(decision, Denial):
            param = "model" if decision.code == "model_not_found" else None
            raise ClientError(decision.message, status=404, code=decision.code, param=param)
        entry.route, entry.decided_by = decision.route, decision.decided_by
        if isinstance(decision, Answer):
            await self._answer(work, routed.text or "")
            return
        self._say_compromise(work, decision)
        key = self._key(work, decision)
        hit = await self._look_up(work, decision, key, routed)
        if hit is not None:
            await self._replay(work, hit)
        else:
            await self._ask(work, decision, key, routed)

    async def _answer(self, work: Work, text: str) -> None:
        """A text of our own, in the shape of a model's answer."""
        usage = work.entry.usage = Usage(work.request.tokens_in, estimate_tokens(len(text)), estimated=True)
        await self._send_known(work, chat.completion(text, f"turnout/{work.entry.route}", usage))

    async def _replay(self, work: Work, hit: Hit) -> None:
        """An earlier answer, in the form that this caller wants."""
        entry, answer = work.entry, hit.answer
        entry.cache = "hit-exact" if hit.kind == "exact" else "hit-semantic"
        entry.cache_entry, entry.usage = answer.id, answer.usage
        if answer.form == "whole":
            await self._send_known(work, answer.data, answer)
        elif work.request.is_stream:
            await self._send_events(work, answer.data, answer)
        else:
            await self._send_known(work, assemble(EventParser().feed(answer.data), answer.usage), answer)

    async def _send_known(self, work: Work, body: bytes, cached: CachedAnswer | None = None) -> None:
        """Send a whole answer that was there already, as a stream if that is what the caller wants."""
        if work.request.is_stream:
            await self._send_events(work, to_events(body), cached)
            return
        self._book(work)
        await work.sink.whole(body, [*self._headers(work, cached), *self._cost_headers(work)])

    async def _send_events(self, work: Work, events: bytes, cached: CachedAnswer | None) -> None:
        if work.request.wants_usage:
            events += chat.usage_event(events, work.entry.usage or Usage(), usd(work.entry.cost_nusd))
        self._book(work)
        work.has_begun = True
        await work.sink.begin(self._headers(work, cached))
        await work.sink.events(events)
        await work.sink.end()

    async def _ask(self, work: Work, plan: Plan, key: CacheKey | None, routed: Routed) -> None:
        targets = [work.runtime.targets[name] for name in plan.targets]
        execution = work.execution = Execution(plan, targets, work.request, self._clock)
        pieces = await execution.begin()
        answering = execution.attempts[-1]
        work.entry.model, work.entry.provider = answering.model, answering.provider
        work.kept = [] if key is not None else None
        if work.request.is_stream:
            finish, usage_event = await self._stream(work, execution, pieces)
            await self._put(work, plan, key, routed, finish)
            self._book(work)
            if work.request.wants_usage:
                await work.sink.events(self._with_cost(work, usage_event))
            await work.sink.end()
            return
        while not pieces[-1].is_end:
            pieces = await execution.read()
        body = pieces[-1].data
        self._keep(work, body)
        await self._put(work, plan, key, routed, pieces[-1].finish)
        self._book(work)
        await work.sink.whole(body, [*self._headers(work), *self._cost_headers(work)])

    async def _stream(self, work: Work, execution: Execution, pieces: list[Piece]) -> tuple[str | None, bytes]:
        """Pass the pieces on as they come. Returns the finish_reason and the usage event, which is held back."""
        finish: str | None = None
        usage_event = b""
        work.has_begun = True
        await work.sink.begin(self._headers(work))
        while True:
            data = []
            for piece in pieces:
                finish = piece.finish or finish
                if piece.is_usage_only:
                    usage_event = piece.data
                elif piece.data:
                    data.append(piece.data)
            if data:
                # What was read together is sent together: a send costs more than anything else here.
                together = data[0] if len(data) == 1 else b"".join(data)
                self._keep(work, together)
                await work.sink.events(together)
            if pieces[-1].is_end:
                return finish, usage_event
            pieces = await execution.read()

    async def _failed(self, work: Work, exc: TurnoutError) -> None:
        """Say in the caller's dialect what went wrong, as far as the caller can still be told."""
        entry = work.entry
        is_timeout = isinstance(exc, DeadlineExceeded) or (isinstance(exc, UpstreamError) and exc.fault == "timeout")
        is_ours = isinstance(exc, ClientError | Refused)
        entry.outcome = "refused" if is_ours else "timeout" if is_timeout else "error"
        entry.status, entry.error = status_of(exc), exc.message
        if work.execution is not None:
            await work.execution.aclose()
        self._book(work)
        if work.has_begun:
            await work.sink.break_off(exc)
        else:
            await work.sink.fail(exc, self._headers(work))

    # What the stages share.

    def _begin(self, request: ChatRequest, tenant: Tenant, sink: Sink) -> Work:
        runtime = self._current.now
        entry = Entry(
            request_id=request.request_id,
            at=time.time(),
            dialect=request.dialect,
            requested_model=request.head.model,
            stream=request.is_stream,
            key=tenant.key,
            team=tenant.team,
            tags=dict(request.tags),
            session=request.session,
            policy_hash=runtime.policy.hash,
            draw=self._draw(),
        )
        return Work(request, tenant, runtime, sink, entry, self._clock())

    def _say_compromise(self, work: Work, plan: Plan) -> None:
        """A route that cannot have the model it wants: a header on each answer, a line in the log the first time."""
        work.compromise = plan.compromise
        said = (work.entry.policy_hash, plan.route, plan.wanted)
        if work.compromise is not None and said not in self._said:
            self._said.add(said)
            instead = f"'{plan.targets[0]}' answers instead" if plan.targets else "nothing can answer"
            log.warning("route '%s': %s; %s", plan.route, work.compromise, instead)

    def _key(self, work: Work, plan: Plan) -> CacheKey | None:
        """None when this request neither reads nor fills the cache."""
        if plan.cache.mode == "off" or work.request.cache == "bypass" or not plan.targets:
            return None
        if len(work.request.body) > KEYED_BYTES_MAX:
            return None
        model = work.runtime.policy.models[plan.targets[0]]
        return cache_key(work.request, work.tenant, plan.cache.scope, plan.route, f"{model.provider}/{model.id}")

    async def _look_up(self, work: Work, plan: Plan, key: CacheKey | None, routed: Routed) -> Hit | None:
        hit = None
        if key is not None:
            work.entry.cache = "miss"
            if work.request.cache != "refresh":
                hit = await look_up(self._cache, key, plan.cache, lambda: _embedding(routed.prompt))
        if hit is None and work.request.cache == "only":
            # 504 as RFC 9111, 5.2.1.7 has it for only-if-cached.
            raise ClientError("x-turnout-cache: only, and there is no answer in the cache", status=504, code="cache_miss")
        return hit

    def _keep(self, work: Work, data: bytes) -> None:
        if work.kept is not None:
            work.kept.append(data)
            work.kept_bytes += len(data)
            if work.kept_bytes > KEPT_BYTES_MAX:
                work.kept = None

    async def _put(self, work: Work, plan: Plan, key: CacheKey | None, routed: Routed, finish: str | None) -> None:
        """Keep a complete answer. One that was cut short (`length`, `content_filter`) is not."""
        assert work.execution is not None
        usage = work.execution.attempts[-1].usage
        if key is None or work.kept is None or usage is None or finish not in ("stop", "tool_calls", "function_call"):
            return
        answer = CachedAnswer(
            id=work.request.request_id,
            form="stream" if work.request.is_stream else "whole",
            data=b"".join(work.kept),
            usage=usage,
            model=work.entry.model or "",
            provider=work.entry.provider or "",
            question=key.question,
        )
        is_semantic = plan.cache.mode == "semantic" and key.question is not None
        await self._cache.put(key, answer, _embedding(routed.prompt) if is_semantic else None, plan.cache.ttl_s)

    def _book(self, work: Work) -> None:
        """Price the attempts and hand the entry to the ledger; once. Before the last byte goes out, so none is lost."""
        if work.is_booked:
            return
        work.is_booked = True
        entry = work.entry
        if work.execution is not None:
            entry.attempts = work.execution.attempts
            self._settle(work, work.execution)
        entry.baseline_nusd = self._baseline_nusd(work)
        entry.duration_ms = (self._clock() - work.started) * 1000
        entry.overhead_ms = max(entry.duration_ms - sum(a.duration_ms for a in entry.attempts), 0.0)
        self._ledger.put(entry)

    def _settle(self, work: Work, execution: Execution) -> None:
        total: int | None = 0
        models = work.runtime.policy.models
        for attempt in execution.attempts:
            attempt.cost_nusd = cost_nusd(models[attempt.model].price, attempt.usage, attempt.busy_s)
            total = None if total is None or attempt.cost_nusd is None else total + attempt.cost_nusd
            if attempt.ttft_ms is not None and attempt.outcome != "rejected":
                work.entry.usage, work.entry.ttft_ms = attempt.usage, attempt.ttft_ms
        work.entry.cost_nusd = total

    def _baseline_nusd(self, work: Work) -> int | None:
        baseline = work.runtime.baseline
        if baseline is None:
            return None
        return cost_nusd(baseline.price, work.entry.usage)

    def _with_cost(self, work: Work, usage_event: bytes) -> bytes:
        usage, cost_usd = work.entry.usage or Usage(), usd(work.entry.cost_nusd)
        if usage_event:
            return chat.with_cost(usage_event, usage, cost_usd)
        return chat.usage_event(b"", usage, cost_usd)

    def _headers(self, work: Work, cached: CachedAnswer | None = None) -> Headers:
        entry = work.entry
        attempts = work.execution.attempts if work.execution is not None else ()
        headers = [
            ("x-request-id", entry.request_id),
            ("x-turnout-policy", entry.policy_hash),
            ("x-turnout-cache", entry.cache),
            ("x-turnout-attempts", str(len(attempts))),
        ]
        optional = (
            ("x-turnout-route", entry.route),
            ("x-turnout-decided-by", entry.decided_by),
            ("x-turnout-model", cached.model if cached else entry.model),
            ("x-turnout-provider", cached.provider if cached else entry.provider),
            ("x-turnout-compromise", work.compromise),
            ("x-turnout-why", work.why),
        )
        return headers + [(name, value) for name, value in optional if value is not None]

    def _cost_headers(self, work: Work) -> Headers:
        """What only a whole answer can say in its headers."""
        entry = work.entry
        cost, saved = usd(entry.cost_nusd), usd(entry.saved_nusd)
        return [
            ("x-turnout-cost-usd", "unknown" if cost is None else f"{cost:.9f}"),
            ("x-turnout-saved-usd", "unknown" if saved is None else f"{saved:.9f}"),
            ("x-turnout-overhead-ms", f"{entry.overhead_ms:.3f}"),
        ]


def _embedding(prompt: Prompt) -> Embedding | None:
    return prompt.embedding() if prompt.text.strip() and prompt.is_whole else None
