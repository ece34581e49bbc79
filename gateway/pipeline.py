"""The story of a request, top to bottom: decide, look in the cache, ask a model, answer, book."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from gateway import chat
from gateway.affording import afford
from gateway.attempt import Attempt
from gateway.budgets.budgets import Budgets
from gateway.cache.base import CachedAnswer
from gateway.caching.visit import Caching, Visit
from gateway.chat import worst_finish
from gateway.chat_forms import assemble, to_events
from gateway.errors import ClientError
from gateway.execute import Execution
from gateway.failover.hedge import HedgeBudgets
from gateway.frame import Frame, Work
from gateway.ledger.base import Entry
from gateway.ledger.booking import settle
from gateway.policy.model import NOT_ALLOWED, Answer, Denial, Plan
from gateway.pricing.cost import usd
from gateway.providers.base import Piece
from gateway.reply import Closing, Headers, Sink
from gateway.request import ChatRequest
from gateway.response_headers import cost_headers, entry_headers
from gateway.router import Routed
from gateway.runtime import Runtime
from gateway.sessions import Sessions, session_draw
from gateway.sse import EventParser
from gateway.tenant import Tenant
from gateway.usage import Usage, estimate_tokens

log = logging.getLogger("turnout.pipeline")

NO_PIECE: Final = Piece()


class ChatWork(Work[ChatRequest], eq=False):
    """One that a model is asked to answer in words. why: how it was decided, for a caller who wants to know."""

    why: str | None = None
    visit: Visit | None = None


class Pipeline:
    """draw: a number in [0, 1) for each request, logged with it. prompt_id: of its template."""

    def __init__(
        self,
        frame: Frame,
        caching: Caching,
        sessions: Sessions,
        budgets: Budgets,
        draw: Callable[[], float] = random.random,
        prompt_id: Callable[[ChatRequest], str | None] = lambda request: None,
    ) -> None:
        self._frame, self._caching, self._sessions, self._budgets = frame, caching, sessions, budgets
        self._draw, self._prompt_id = draw, prompt_id
        self._hedges = HedgeBudgets()
        self._said: set[tuple[str, str, str]] = set()

    def handle(self, request: ChatRequest, tenant: Tenant, sink: Sink) -> Coroutine[Any, Any, None]:
        """Answer one request through the sink, and book it, whatever happens."""
        return self._frame.run(self, request, tenant, sink)

    def begin(self, request: ChatRequest, tenant: Tenant, runtime: Runtime, sink: Sink, now: float) -> ChatWork:
        return ChatWork(request, tenant, runtime, sink, self._entry(request, tenant, runtime), now)

    async def serve(self, work: ChatWork) -> None:
        request, tenant, runtime, entry = work.request, work.tenant, work.runtime, work.entry
        pinned = self._sessions.pinned(request, tenant)
        routed = await runtime.router.route(request, runtime.candidates(), entry.draw, pinned, tenant.permit)
        if runtime.policy.budgets and isinstance(routed.decision, Plan):
            routed = await self._afforded(work, routed, routed.decision)
        decision = routed.decision
        entry.scores = dict(routed.facts.scores)
        if request.is_debug:
            work.why = _told(runtime.router.story(routed))
        if isinstance(decision, Denial):
            raise ClientError(decision.message, status=decision.status, code=decision.code, param=decision.param)
        entry.route, entry.decided_by = decision.route, decision.decided_by
        if isinstance(decision, Answer):
            await self._answer(work, routed.text or "")
            return
        if decision.left_out or work.claim is not None:
            self._say_compromise(work, decision)
        visit = None
        if work.claim is not None or decision.cache.mode != "off":
            visit = await self._visited(work, decision)
        if visit is not None and visit.hit is not None:
            await self._replay(work, visit, visit.hit.answer)
        elif request.cache == "only":
            # 504 as RFC 9111, 5.2.1.7 has it for only-if-cached.
            raise ClientError("x-turnout-cache: only, and there is no answer in the cache", status=504, code="cache_miss")
        else:
            await self._ask(work, decision, visit)

    async def _visited(self, work: ChatWork, decision: Plan) -> Visit | None:
        """What the cache has to say; None for a route without a cache."""
        # Of a plan that budgets have changed: what was kept of those that cost something costs nothing.
        plan = (work.claim.whole if work.claim is not None else None) or decision
        if plan.cache.mode == "off":
            return None
        visit = work.visit = await self._caching.visit(work.request, work.tenant, plan, work.runtime)
        work.entry.cache, work.entry.overhead_nusd = visit.outcome, visit.cost_nusd
        return visit

    async def _afforded(self, work: ChatWork, routed: Routed, plan: Plan) -> Routed:
        """The decision that budgets allow, with what it may cost reserved."""
        runtime, entry = work.runtime, work.entry
        entry.route, entry.decided_by = plan.route, plan.decided_by  # for one that is refused
        work.claim = self._budgets.claim(runtime.policy, work.request, work.tenant, entry.at, str(entry.uid))
        return await afford(routed, work.claim, runtime, work.tenant.permit)

    async def _answer(self, work: ChatWork, text: str) -> None:
        """A text of our own, in the shape of a model's answer."""
        usage = work.entry.usage = Usage(work.request.tokens_in, estimate_tokens(len(text)), estimated=True)
        await self._send_known(work, chat.completion(text, f"turnout/{work.entry.route}", usage))

    async def _replay(self, work: ChatWork, visit: Visit, answer: CachedAnswer) -> None:
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

    async def _send_known(self, work: ChatWork, body: bytes, cached: CachedAnswer | None = None) -> None:
        """Send a whole answer that was there already, as a stream if that is what the caller wants."""
        if work.request.is_stream:
            await self._send_events(work, to_events(body), cached)
            return
        self._frame.book(self, work)
        await work.sink.whole(body, self._headers(work, cached) + cost_headers(work.entry))

    async def _send_events(self, work: ChatWork, events: bytes, cached: CachedAnswer | None) -> None:
        self._frame.book(self, work)
        work.has_begun = True
        await work.sink.begin(self._headers(work, cached))
        if (pending := work.sink.events(events)) is not None:
            await pending
        await work.sink.end(_closing(work))

    async def _ask(self, work: ChatWork, plan: Plan, visit: Visit | None) -> None:
        """visit: None where the route has no cache."""
        if work.claim is not None and work.claim.refusal is not None:
            if visit is not None:
                visit.keep_nothing()
            if not plan.targets:
                raise work.claim.refusal
        request, sink, known = work.request, work.sink, work.runtime.targets
        targets = [known[name] for name in plan.targets]
        execution = work.ask(Execution(plan, targets, request, self._frame.clock, work.started, self._hedges))
        if request.is_stream:
            sink.awaits(lambda: self.headers(work))
        pieces = await execution.begin()
        answering = execution.answering
        assert answering is not None, "begin says who answers, or raises"
        self._names(work, answering)
        if execution.compromise is not None:
            self._say_unconvincing(work, plan, execution.compromise)
        if request.is_stream:
            finish, last = await self._stream(work, visit, execution, pieces)
            self._names(work, execution.answering or answering)  # another target may have taken over
            await self._answered(work, visit, execution.answering or answering, finish)
            await sink.end(_closing(work, last))
            return
        while not pieces[-1].is_end:
            pieces = await execution.read()
        body = pieces[-1]
        if visit is not None:
            visit.keep(body.data)
        await self._answered(work, visit, answering, body.finish)
        await sink.whole(body.data, self._headers(work) + cost_headers(work.entry), body.native)

    async def _answered(self, work: ChatWork, visit: Visit | None, answering: Attempt, finish: str | None) -> None:
        """A complete answer: kept, booked and remembered before its last byte goes out, so that nothing is lost."""
        if visit is not None:
            await self._caching.keep(visit, answering, finish)
            work.entry.overhead_nusd = visit.cost_nusd
        self._frame.book(self, work)
        self._sessions.answered(work.request, work.tenant, answering.model, answering.usage)

    async def _stream(
        self, work: ChatWork, visit: Visit | None, execution: Execution, pieces: list[Piece]
    ) -> tuple[str | None, Piece]:
        """Pass the pieces on as they come. Returns the finish_reason and the usage's piece, which is held back."""
        finish: str | None = None
        sink, last, is_native = work.sink, NO_PIECE, any([piece.native for piece in pieces])

        def give(pieces: list[Piece]) -> Awaitable[None] | None:
            nonlocal finish, last
            for piece in pieces:
                if piece.finish is not None:
                    finish = worst_finish(finish, piece.finish)
                if piece.is_usage_only:
                    last = piece
            if len(pieces) > 1 or piece is last:
                # What was read together is sent together: a send costs more than anything else here.
                piece = _together([piece for piece in pieces if not piece.is_usage_only])
            data, native = piece.data, piece.native
            if visit is not None and data:
                visit.keep(data)
            # Without the caller's own bytes it says something that its dialect has in its closing events.
            return sink.events(data, native) if native or (data and not is_native) else None

        work.has_begun = True
        await sink.begin(self.headers(work))
        if (pending := give(pieces)) is not None:
            await pending
        if not pieces[-1].is_end:
            await execution.pass_on(give)
        return finish, last

    # What the frame asks.

    def price(self, work: ChatWork) -> None:
        settle(work.entry, work.attempts, work.runtime.policy.models, work.runtime.baseline, work.answering)

    def headers(self, work: ChatWork) -> Headers:
        return self._headers(work)

    def leave(self, work: ChatWork) -> None:
        if work.visit is not None:
            work.visit.leave()

    # What the stages share.

    @staticmethod
    def _names(work: ChatWork, answering: Attempt) -> None:
        work.entry.model, work.entry.provider = answering.model, answering.provider

    def _entry(self, request: ChatRequest, tenant: Tenant, runtime: Runtime) -> Entry:
        return Entry(
            request_id=request.request_id,
            at=time.time(),
            dialect=request.dialect,
            requested_model=request.head.model,
            stream=request.is_stream,
            key=tenant.key,
            team=tenant.team,
            tags=dict(request.tags) if request.tags else {},
            session=request.session,
            policy_hash=runtime.policy.hash,
            draw=self._draw() if request.session is None else session_draw(request.session, tenant),
            prompt_id=self._prompt_id(request),
        )

    def _say_compromise(self, work: ChatWork, plan: Plan) -> None:
        """A route that cannot have the model it wants: a header on each answer, a line in the log the first time."""
        work.compromise = plan.compromise
        if work.claim is not None and work.claim.story is not None:  # whose budget it is says an alert, and not a line each
            work.compromise = work.claim.story
            return
        if work.compromise is None:
            return
        said = (work.entry.policy_hash, plan.route, plan.wanted)
        is_meant = (plan.wanted, NOT_ALLOWED) in plan.left_out  # by whoever made the key
        if not is_meant and said not in self._said:
            self._said.add(said)
            instead = f"'{plan.targets[0]}' answers instead" if plan.targets else "nothing can answer"
            log.warning("route '%s': %s; %s", plan.route, work.compromise, instead)

    def _say_unconvincing(self, work: ChatWork, plan: Plan, why: str) -> None:
        """A cascade that had nothing better to give: said as above; the header has the measure, the log the first one."""
        work.compromise = why
        said = (work.entry.policy_hash, plan.route, str(work.entry.model))
        if said not in self._said:
            self._said.add(said)
            log.warning("route '%s': %s", plan.route, why)

    def _headers(self, work: ChatWork, cached: CachedAnswer | None = None) -> Headers:
        entry, hit = work.entry, work.visit.hit if work.visit is not None else None
        headers = entry_headers(entry, len(work.attempts))
        if (model := cached.model if cached else entry.model) is not None:
            headers.append(("x-turnout-model", model))
        if (provider := cached.provider if cached else entry.provider) is not None:
            headers.append(("x-turnout-provider", provider))
        if work.compromise is not None:
            headers.append(("x-turnout-compromise", work.compromise))
        if work.why is not None:
            headers.append(("x-turnout-why", work.why))
        if hit is not None:
            headers.append(("age", str(self._caching.age_s(hit))))
        return headers if work.allowance is None else headers + work.allowance.headers


def _together(pieces: list[Piece]) -> Piece:
    """What these say, in one."""
    return Piece(data=b"".join([piece.data for piece in pieces]), native=b"".join([piece.native for piece in pieces]))


def _closing(work: ChatWork, last: Piece = NO_PIECE) -> Closing:
    """last: the piece of a stream that tells its usage."""
    answering = work.answering
    event = last.data if answering is None or answering.seam is None else b""  # else it tells of the last part only
    return Closing(work.entry.usage or Usage(), usd(work.entry.cost_nusd), event, last.native)


def _told(story: Mapping[str, Any]) -> str:
    """Every route tried, and why the first target is that model where the route leaves it open."""
    said = [f"{t['route']}: {t['why']}" for t in story["routes"]]
    return "; ".join([*said, story["choice"]] if story.get("choice") else said)
