"""The story of a request, top to bottom: decide, look in the cache, ask a model, answer, book."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import chat
from gateway.affording import afford
from gateway.attempt import Attempt
from gateway.budgets.budgets import Budgets
from gateway.budgets.claim import Claim
from gateway.cache.base import CachedAnswer
from gateway.caching.visit import Caching, Visit
from gateway.chat import worst_finish
from gateway.chat_forms import assemble, to_events
from gateway.draining import Drain
from gateway.errors import (
    ClientError,
    LedgerUnavailable,
    TurnoutError,
    status_of,
)
from gateway.execute import Execution
from gateway.failover.hedge import HedgeBudgets
from gateway.ledger.base import Entry, EntryOutcome
from gateway.ledger.booking import outcome_of, settle
from gateway.ledger.writer import LedgerWriter
from gateway.limits.allowance import Allowance
from gateway.limits.limits import Limits
from gateway.metrics import Metrics
from gateway.policy.model import NOT_ALLOWED, Answer, Denial, Plan
from gateway.pricing.cost import usd
from gateway.providers.base import Piece
from gateway.providers.sse import EventParser
from gateway.reply import ClientStalled, Headers, Sink
from gateway.request import ChatRequest
from gateway.response_headers import cost_headers, entry_headers
from gateway.router import Routed
from gateway.runtime import CurrentRuntime, Runtime
from gateway.sessions import Sessions, session_draw
from gateway.tenant import Tenant
from gateway.usage import Usage, estimate_tokens

log = logging.getLogger("turnout.pipeline")


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
    visit: Visit | None = None
    first_event: bytes = b""  # for the id of a usage event of our own
    has_begun: bool = False  # a stream's headers are out
    allowance: Allowance | None = None  # what is reserved of the caller's limits, if it has any
    claim: Claim | None = None  # what is reserved of budgets, if the policy has any
    is_booked: bool = False


class Pipeline:
    """clock: monotonic seconds. draw: a number in [0, 1) for each request, logged with it. prompt_id: of its template."""

    def __init__(
        self,
        current: CurrentRuntime,
        ledger: LedgerWriter,
        caching: Caching,
        metrics: Metrics,
        sessions: Sessions,
        limits: Limits,
        drain: Drain,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        prompt_id: Callable[[ChatRequest], str | None] = lambda request: None,
        *,
        budgets: Budgets,
    ) -> None:
        self._current, self._ledger, self._sessions = current, ledger, sessions
        self._caching, self._metrics, self._limits, self._budgets = caching, metrics, limits, budgets
        self._drain, self._clock, self._draw, self._prompt_id = drain, clock, draw, prompt_id
        self._hedges = HedgeBudgets()
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
            with self._drain.breakable():
                await self._serve(work)
        except asyncio.CancelledError:
            self._ended(work, "cancelled", 499)  # the client has left, as nginx books it
            raise
        except ClientStalled:
            self._ended(work, "cancelled", 499)
            raise
        except TurnoutError as exc:
            await self._failed(work, exc)
        except BaseException as exc:
            self._ended(work, "error", 500, repr(exc))
            raise
        finally:
            try:
                if work.execution is not None:
                    await work.execution.aclose()
            finally:
                if work.visit is not None:
                    work.visit.leave()
                self._book(work)  # cancelled in between as well: it holds a place in the ledger

    async def _serve(self, work: Work) -> None:
        runtime, entry = work.runtime, work.entry
        if runtime.policy.limits or work.tenant.limits:
            work.allowance = self._limits.of_caller(runtime.policy.limits, work.tenant, work.request)
            if work.allowance is not None:
                await work.allowance.reserve()
        pinned = self._sessions.pinned(work.request, work.tenant)
        routed = await runtime.router.route(work.request, runtime.candidates(), entry.draw, pinned, work.tenant.permit)
        if runtime.policy.budgets and isinstance(routed.decision, Plan):
            routed = await self._afforded(work, routed, routed.decision)
        decision = routed.decision
        entry.scores = routed.scores
        if work.request.is_debug:
            work.why = _told(runtime.router.story(routed))
        if isinstance(decision, Denial):
            param = "model" if decision.code in ("model_not_found", "model_not_allowed") else None
            raise ClientError(decision.message, status=decision.status, code=decision.code, param=param)
        entry.route, entry.decided_by = decision.route, decision.decided_by
        if isinstance(decision, Answer):
            await self._answer(work, routed.text or "")
            return
        self._say_compromise(work, decision)
        whole = work.claim.whole if work.claim is not None else None  # what was kept of those that cost something costs nothing
        visit = work.visit = await self._caching.visit(work.request, work.tenant, whole or decision, runtime)
        entry.cache, entry.overhead_nusd = visit.outcome, visit.cost_nusd
        if visit.hit is not None:
            await self._replay(work, visit, visit.hit.answer)
        elif work.request.cache == "only":
            # 504 as RFC 9111, 5.2.1.7 has it for only-if-cached.
            raise ClientError("x-turnout-cache: only, and there is no answer in the cache", status=504, code="cache_miss")
        else:
            await self._ask(work, decision, visit)

    async def _afforded(self, work: Work, routed: Routed, plan: Plan) -> Routed:
        """The decision that budgets allow, with what it may cost reserved."""
        runtime, entry = work.runtime, work.entry
        entry.route, entry.decided_by = plan.route, plan.decided_by  # for one that is refused
        work.claim = self._budgets.claim(runtime.policy, work.request, work.tenant, entry.at, str(entry.uid))
        return await afford(routed, work.claim, runtime, work.tenant.permit)

    async def _answer(self, work: Work, text: str) -> None:
        """A text of our own, in the shape of a model's answer."""
        usage = work.entry.usage = Usage(work.request.tokens_in, estimate_tokens(len(text)), estimated=True)
        await self._send_known(work, chat.completion(text, f"turnout/{work.entry.route}", usage))

    async def _replay(self, work: Work, visit: Visit, answer: CachedAnswer) -> None:
        """An earlier answer, in the form that this caller wants."""
        work.entry.cache_entry, work.entry.usage = answer.id, answer.usage
        if answer.form == "whole":
            await self._send_known(work, answer.data, answer)
        elif work.request.is_stream:
            await self._send_events(work, answer.data, answer)
        else:
            await self._send_known(work, assemble(EventParser().feed(answer.data), answer.usage), answer)
        if work.claim is None or work.claim.refusal is None:  # else there is no money to ask anew, or to ask whether it was right
            self._caching.served(visit)

    async def _send_known(self, work: Work, body: bytes, cached: CachedAnswer | None = None) -> None:
        """Send a whole answer that was there already, as a stream if that is what the caller wants."""
        if work.request.is_stream:
            await self._send_events(work, to_events(body), cached)
            return
        self._book(work)
        await work.sink.whole(body, [*self._headers(work, cached), *cost_headers(work.entry)])

    async def _send_events(self, work: Work, events: bytes, cached: CachedAnswer | None) -> None:
        if work.request.wants_usage:
            events += chat.usage_event(events, work.entry.usage or Usage(), usd(work.entry.cost_nusd))
        self._book(work)
        work.has_begun = True
        await work.sink.begin(self._headers(work, cached))
        await work.sink.events(events)
        await work.sink.end()

    async def _ask(self, work: Work, plan: Plan, visit: Visit) -> None:
        if work.claim is not None and work.claim.refusal is not None:
            visit.keep_nothing()
            if not plan.targets:
                raise work.claim.refusal
        targets = [work.runtime.targets[name] for name in plan.targets]
        execution = work.execution = Execution(plan, targets, work.request, self._clock, work.started, self._hedges)
        pieces = await execution.begin()
        assert execution.answering is not None, "begin says who answers, or raises"
        self._names(work, execution.answering)
        if execution.compromise is not None:
            self._say_unconvincing(work, plan, execution.compromise)
        if work.request.is_stream:
            finish, usage_event = await self._stream(work, visit, execution, pieces)
            await self._answered(work, visit, execution.answering, finish)
            if work.request.wants_usage:
                await work.sink.events(self._with_cost(work, usage_event))
            await work.sink.end()
            return
        while not pieces[-1].is_end:
            pieces = await execution.read()
        body = pieces[-1].data
        visit.keep(body)
        await self._answered(work, visit, execution.answering, pieces[-1].finish)
        await work.sink.whole(body, [*self._headers(work), *cost_headers(work.entry)])

    async def _answered(self, work: Work, visit: Visit, answering: Attempt, finish: str | None) -> None:
        """A complete answer: kept, booked and remembered before its last byte goes out, so that nothing is lost."""
        self._names(work, answering)  # in a stream another target may have taken over
        await self._caching.keep(visit, answering, finish)
        work.entry.overhead_nusd = visit.cost_nusd
        self._book(work)
        self._sessions.answered(work.request, work.tenant, answering.model, answering.usage)

    async def _stream(self, work: Work, visit: Visit, execution: Execution, pieces: list[Piece]) -> tuple[str | None, bytes]:
        """Pass the pieces on as they come. Returns the finish_reason and the usage event, which is held back."""
        finish: str | None = None
        usage_event = b""
        work.has_begun = True
        await work.sink.begin(self._headers(work))
        while True:
            data = []
            for piece in pieces:
                finish = worst_finish(finish, piece.finish)
                if piece.is_usage_only:
                    usage_event = piece.data
                elif piece.data:
                    data.append(piece.data)
            if data:
                # What was read together is sent together: a send costs more than anything else here.
                together = data[0] if len(data) == 1 else b"".join(data)
                work.first_event = work.first_event or together
                visit.keep(together)
                await work.sink.events(together)
            if pieces[-1].is_end:
                return finish, usage_event
            pieces = await execution.read()

    async def _failed(self, work: Work, exc: TurnoutError) -> None:
        """Say in the caller's dialect what went wrong, as far as the caller can still be told."""
        self._ended(work, outcome_of(exc), status_of(exc), exc.message)
        if work.execution is not None:
            await work.execution.aclose()
        self._book(work)
        if work.has_begun:
            await work.sink.break_off(exc)
        else:
            await work.sink.fail(exc, self._headers(work))

    # What the stages share.

    @staticmethod
    def _names(work: Work, answering: Attempt) -> None:
        work.entry.model, work.entry.provider = answering.model, answering.provider

    def _ended(self, work: Work, outcome: EntryOutcome, status: int, error: str | None = None) -> None:
        """How it went; an entry that was handed over is the ledger's, and says how it was then."""
        if not work.is_booked:
            work.entry.outcome, work.entry.status, work.entry.error = outcome, status, error

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
            draw=self._draw() if request.session is None else session_draw(request.session, tenant),
            prompt_id=self._prompt_id(request),
        )
        return Work(request, tenant, runtime, sink, entry, self._clock())

    def _say_compromise(self, work: Work, plan: Plan) -> None:
        """A route that cannot have the model it wants: a header on each answer, a line in the log the first time."""
        work.compromise = plan.compromise
        if work.claim is not None and work.claim.story is not None:  # whose budget it is says an alert, and not a line each
            work.compromise = work.claim.story
            return
        said = (work.entry.policy_hash, plan.route, plan.wanted)
        is_meant = (plan.wanted, NOT_ALLOWED) in plan.left_out  # by whoever made the key
        if work.compromise is not None and not is_meant and said not in self._said:
            self._said.add(said)
            instead = f"'{plan.targets[0]}' answers instead" if plan.targets else "nothing can answer"
            log.warning("route '%s': %s; %s", plan.route, work.compromise, instead)

    def _say_unconvincing(self, work: Work, plan: Plan, why: str) -> None:
        """A cascade that had nothing better to give: said as above; the header has the measure, the log the first one."""
        work.compromise = why
        said = (work.entry.policy_hash, plan.route, str(work.entry.model))
        if said not in self._said:
            self._said.add(said)
            log.warning("route '%s': %s", plan.route, why)

    def _book(self, work: Work) -> None:
        """Price the entry and hand it to the ledger; once. Before the last byte goes out, so that none is lost."""
        if work.is_booked:
            return
        work.is_booked = True
        entry = work.entry
        attempts = work.execution.attempts if work.execution is not None else []
        answering = work.execution.answering if work.execution is not None else None
        settle(entry, attempts, work.runtime.policy.models, work.runtime.baseline, answering)
        entry.duration_ms = (self._clock() - work.started) * 1000
        entry.overhead_ms = max(entry.duration_ms - sum(a.duration_ms for a in attempts), 0.0)
        if work.allowance is not None:
            work.allowance.settle(attempts)
        if work.claim is not None:
            work.claim.settle(entry)  # before the ledger has it
        self._metrics.answered(entry.route, entry.outcome, ((a.model, a.outcome) for a in attempts))
        self._ledger.put(entry)

    def _with_cost(self, work: Work, usage_event: bytes) -> bytes:
        usage, cost_usd = work.entry.usage or Usage(), usd(work.entry.cost_nusd)
        answering = work.execution.answering if work.execution is not None else None
        if usage_event and (answering is None or answering.seam is None):  # else it tells of the last part only
            return chat.with_cost(usage_event, usage, cost_usd)
        return chat.usage_event(work.first_event, usage, cost_usd)

    def _headers(self, work: Work, cached: CachedAnswer | None = None) -> Headers:
        entry, hit = work.entry, work.visit.hit if work.visit is not None else None
        more = (
            ("x-turnout-model", cached.model if cached else entry.model),
            ("x-turnout-provider", cached.provider if cached else entry.provider),
            ("x-turnout-compromise", work.compromise),
            ("x-turnout-why", work.why),
            ("age", None if hit is None else str(self._caching.age_s(hit))),
        )
        headers = entry_headers(entry, more, len(work.execution.attempts) if work.execution is not None else 0)
        return headers if work.allowance is None else headers + work.allowance.headers


def _told(story: Mapping[str, Any]) -> str:
    """Every route tried, and why the first target is that model where the route leaves it open."""
    said = [f"{t['route']}: {t['why']}" for t in story["routes"]]
    return "; ".join([*said, story["choice"]] if story.get("choice") else said)
