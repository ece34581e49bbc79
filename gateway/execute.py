"""Run a Plan against providers: retry, fallback, hedge, cascade, deadlines. Knows nothing of HTTP edges, tenants or money.

One executor for stream and not: a whole answer is a stream of one piece. Until the first content, failures are
made good by retry and fallback and the caller sees nothing of them; after it, they are raised, unless the plan has
another target take over in mid-stream. A target whose answer is judged (Plan.accept) has given nothing to the caller
before its answer is whole and accepted.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from gateway.attempt import Attempt
from gateway.cascade.rung import Judged, Rung, rungs_for
from gateway.errors import ClientError, Fault, UpstreamError
from gateway.failover.backoff import wait_before_retry_s
from gateway.failover.causes import Causes, callers
from gateway.failover.guarded import Watch
from gateway.failover.hedge import HedgeBudgets, hedge_after_s, race
from gateway.failover.lane import Lane
from gateway.failover.midstream import Said, Stitcher, continuing
from gateway.policy.failover import HedgeRule
from gateway.policy.model import AcceptRule, Plan
from gateway.providers.base import Piece
from gateway.request import ChatRequest
from gateway.running import Give, Running
from gateway.target import FREE, Admission, Target, admit

TIMER_S = 0.005  # the event loop's timers may ring this much early
PROBED_S = 0.1  # between two looks whether another request's probe was answered


class Execution:
    """One plan under way. `begin`, then `read` until a piece is_end; `aclose` in any case.

    attempts grows as targets are tried. answering: the one whose answer is being given. compromise: why that answer is
    given although it did not convince, None if it did or was not judged.
    """

    # As it begins; most requests change only who is answering.
    answering: Attempt | None = None
    compromise: str | None = None
    _watch: Watch | None = None  # of the latency guard, over the first target
    _running: Running | None = None
    _failures: Causes | None = None
    _best: Judged | None = None  # of the complete answers that did not convince
    _said: Said | None = None
    _stitcher: Stitcher | None = None

    def __init__(
        self,
        plan: Plan,
        targets: Sequence[Target],
        request: ChatRequest,
        clock: Callable[[], float] = time.monotonic,
        since: float | None = None,
        hedges: HedgeBudgets | None = None,
    ) -> None:
        """since: on the clock, when the request came; its total deadline counts from there. None: now.

        hedges: what routes may spend on second targets; without it nothing is hedged.
        """
        if plan.failover.midstream != "error" and request.is_stream:
            if request.native is not None and not request.native.only:
                request = request.rewritten(request.body)  # two models' answers are sewn together in the canonical form only
            if request.native is None:
                self._said = Said()
        self._plan, self._request, self._clock = plan, request, clock
        self._targets = rungs_for(request, plan, targets) if plan.accept else targets
        self._deadline = (clock() if since is None else since) + plan.timeouts.total_s
        self._hedges = hedges
        self._waiting: deque[Target] = deque()  # targets that have not been asked
        self._given_up: deque[Target] = deque()  # those that were slower than others, who may still answer
        self.attempts: list[Attempt] = []

    async def begin(self) -> list[Piece]:
        """The answer's first pieces, up to and with the first content, from the first target that gets so far.

        Of a rung of a cascade that is all of its answer. When nothing later answers, the best answer that did not
        convince is given. Raises ClientError when the provider says that the request itself is at fault, else
        AllTargetsFailed or DeadlineExceeded with the last cause of each target.
        """
        self._waiting = deque(self._targets if self._plan.failover.guard is None else self._guarded())
        lane = Lane(self._request)
        hedge = self._plan.failover.hedge
        try:
            if hedge is not None and self._hedges is not None:
                pieces = await self._hedged(lane, hedge, self._hedges)
            else:
                pieces = await self._asked(lane)
            if pieces is None and self._targets and all(a.fault == "unavailable" for a in self.attempts):
                pieces = await self._least_bad(lane)
        finally:
            if self._watch is not None:
                self._watch.end()
        if pieces is not None:
            if self._said is not None:
                self._said.note(pieces)
            return pieces
        if self._best is not None and self._best.pieces is not None:
            self.answering = self._best.attempt
            self.compromise = f"{self.answering.model} answers, {self.answering.error}, and no later model answered"
            return self._best.pieces
        raise self._causes.error(self._targets, is_over=self._clock() >= self._deadline - TIMER_S)

    def read(self) -> Coroutine[Any, Any, list[Piece]]:
        """The next pieces of an answer that has begun. Raises UpstreamError when it breaks off."""
        assert self._running is not None, "begin first"
        reading = self._running.read(self._plan.timeouts.idle_s, self._deadline)
        # Most plans have no seam, and each event of a stream would pay for the coroutine that sews.
        return reading if self._said is None else self._read_on(reading, self._running.target, self._said)

    async def pass_on(self, give: Give) -> None:
        """Give all that still comes of an answer that has begun. give: as Running.pass_on has it. Raises as `read` does."""
        assert self._running is not None, "begin first"
        if self._said is None:
            await self._running.pass_on(self._plan.timeouts.idle_s, self._deadline, give)
            return
        is_over = False
        while not is_over:
            pieces = await self.read()
            is_over = pieces[-1].is_end
            if (pending := give(pieces)) is not None:
                await pending

    async def _read_on(self, reading: Coroutine[Any, Any, list[Piece]], target: Target, said: Said) -> list[Piece]:
        """As `read`; another target takes over where this one breaks off."""
        try:
            pieces = await reading
        except UpstreamError as exc:
            pieces = await self._taken_over(target, said, exc)
        else:
            if self._stitcher is not None:
                pieces = self._stitcher.sewn(pieces)
        said.note(pieces)
        return pieces

    @property
    def _causes(self) -> Causes:
        if self._failures is None:  # as of nearly every request
            self._failures = Causes(self._plan)
        return self._failures

    async def aclose(self) -> None:
        """End what is under way; an answer that has not ended is cancelled upstream."""
        if self._running is not None:
            await self._running.end("cancelled")

    # Who is asked, and in which order.

    def _guarded(self) -> Sequence[Target]:
        """The targets, the first of them last while it is slower than the route's guard allows."""
        rule, targets = self._plan.failover.guard, self._targets
        if rule is None or len(targets) < 2 or targets[0].model.name == rule.then:
            return targets
        first, guard = targets[0], targets[0].health.guard(rule)
        is_tripped = guard.is_tripped
        if not is_tripped or guard.trying():
            self._watch = Watch(guard, first, is_trial=is_tripped)
            return targets
        reason = f"not asked first: it is slower than usual just now, so '{rule.then}' is"
        self._reject(first, reason)
        return sorted(targets, key=lambda t: (t is first, t.model.name != rule.then))

    async def _asked(self, lane: Lane) -> list[Piece] | None:
        """What the first of the waiting targets that answers says; None when none does."""
        while self._waiting or self._given_up:
            target = (self._waiting or self._given_up).popleft()
            breaker = target.health.breaker
            is_admitted = breaker.admits()
            is_probe = is_admitted and breaker.is_probing
            if is_probe and not await breaker.leased():
                is_admitted = False  # another replica is seeing to it
            if is_admitted:
                pieces = await self._ask(lane, target, is_probe=is_probe)
                if pieces is not None or lane.is_hedge:  # one call is what the budget pays for
                    return pieces
            else:
                why = f"it fails and cools down for another {breaker.cooling_s:.1f} s (last: {breaker.last_error})"
                self._reject(target, f"not asked: {why}")
        return None

    async def _least_bad(self, lane: Lane) -> list[Piece] | None:
        """Every target cools down. The one that is due first is the least bad, and better than giving up.

        Where its provider asked to be left alone, that wait is kept if there is time for it; those who have waited go when one of
        them has been answered. If there is no time, it is asked by one request at a time, and the others are told to wait.
        """
        target = min(self._targets, key=lambda t: (t.health.breaker.waits_as_asked, t.health.breaker.cooling_s))
        breaker = target.health.breaker
        if not breaker.waits_as_asked:
            return await self._ask(lane, target)
        while True:
            wait_s = max(breaker.cooling_s, PROBED_S)
            if self._clock() + wait_s >= self._deadline:
                if not target.health.busy.running:
                    return await self._ask(lane, target)
                self._causes.asked_to_wait(target)
                return None
            await asyncio.sleep(wait_s)
            if breaker.admits():
                is_probe = breaker.is_probing
                if not is_probe or await breaker.leased():
                    return await self._ask(lane, target, is_probe=is_probe)

    async def _hedged(self, first: Lane, rule: HedgeRule, budgets: HedgeBudgets) -> list[Piece] | None:
        """As `_asked`; when the first target is late, the next one is asked too, and the first content wins."""
        after_s = hedge_after_s(rule, self._plan, first.request, self._waiting[0]) if self._waiting else None
        if after_s is None:
            return await self._asked(first)
        budget, target = budgets.of(self._plan.route), self._waiting[0]
        budget.earn(rule.budget)
        hedge = Lane(first.request, is_hedge=True)

        def second() -> Lane | None:
            is_late = first.running is None or first.running.target is target  # else the next one is being asked already
            return hedge if is_late and self._can_leave() and budget.spend() else None

        lane, pieces = await race(self._asked, first, second, after_s)
        if pieces is None and self._waiting:  # a hedge's target that has its own turn left
            return await self._asked(first)
        if lane is not None:
            self._running, self.answering = lane.running, lane.answering
            loser = (hedge if lane is first else first).running
            if loser is not None and loser.attempt.outcome == "lost_hedge":
                self._given_up.append(loser.target)
        return pieces

    async def _taken_over(self, failed: Target, said: Said, exc: UpstreamError) -> list[Piece]:
        """The first pieces of another target that takes over in mid-stream. Raises `exc` when none does."""
        way = self._plan.failover.midstream
        assert way != "error", "nobody keeps what was said otherwise"
        self._causes.failed(failed, exc)
        rest = [*self._waiting, *self._given_up]
        self._given_up.clear()
        if exc.fault == "cut" and sum(a.model == failed.model.name for a in self.attempts) < self._plan.retry.attempts:
            rest.append(failed)
        if way == "continue":
            rest = [t for t in rest if t.model.prefill != "none"] if said.can_be_continued(self._request) else []
        elif said.has_calls:
            rest = []  # clients join the parts of a call, and would run what two models said of it together
        for n, target in enumerate(rest, start=1):
            request = self._request if way == "restart" else continuing(self._request, said, target.model.prefill)
            self._waiting = deque((target,))
            try:
                lane = Lane(request, seam=way, seam_chars=len(said.text), has_others=n < len(rest))
                pieces = await self._asked(lane)
            except ClientError:
                continue  # what it says is of our making, and must not hide why the answer broke off; its attempt has it
            if pieces is not None:
                self._waiting = deque(rest[n:])
                self._stitcher = Stitcher(way, said, target.model.name)
                pieces = self._stitcher.sewn(pieces)
                if way == "restart":
                    said.begin_anew()
                return pieces
        raise exc

    # One target.

    async def _ask(self, lane: Lane, target: Target, *, is_probe: bool = False) -> list[Piece] | None:
        """Ask one target, as often as the plan says. None when it is time for the next."""
        is_last = not self._waiting and not lane.has_others
        attempts = 1 if lane.is_hedge else self._plan.retry.attempts
        for again in range(1, attempts + 1):
            try:
                # None here too: an answer that does not convince is not asked for again.
                return await self._attempt(lane, target, is_last=is_last, is_probe=is_probe and again == 1)
            except UpstreamError as exc:
                self._causes.failed(target, exc)
                if exc.fault == "slow":
                    self._given_up.append(target)
                if exc.is_callers_fault and self._best is None:  # else the request has been answered by another model
                    raise callers(exc) from exc
                wait_s = wait_before_retry_s(self._plan.retry, again, exc, self._deadline - self._clock(), is_last=is_last)
                if lane.is_hedge and (exc.is_retryable or exc.fault in ("busy", "limited")):
                    self._waiting.append(target)  # it still has its turn if the first fails
                if wait_s is None or again == attempts:
                    return None
            await asyncio.sleep(wait_s)
        return None

    async def _attempt(self, lane: Lane, target: Target, *, is_last: bool, is_probe: bool) -> list[Piece] | None:
        """One call. None when it answered and the answer did not convince."""
        now = self._clock()
        if now >= self._deadline:
            if is_probe:
                target.health.breaker.abandoned()
            raise UpstreamError("not asked: the request's total deadline had passed", fault="timeout")
        # What shows nothing until it is there must leave time for the next target if it hangs.
        whole_by = self._deadline if is_last else now + (self._deadline - now) / 2
        plan, request = self._plan, lane.request
        rule = plan.accept.get(target.model.name) if plan.accept else None
        if rule is not None:
            return await self._judged(lane, target, rule, whole_by, is_probe=is_probe)
        if request.native is None and target.quota is None and not target.health.is_bounded:
            running = lane.running = self._started(lane, target, request, FREE, is_probe=is_probe)
        else:
            running = lane.running = await self._start(lane, target, request, whole_by, is_probe=is_probe)
            now = self._clock()
        limit, floor = whole_by, None
        if request.is_stream:
            limit = min(now + plan.timeouts.first_token_s, self._deadline)
            floor = plan.failover.min_tokens_per_s if self._can_leave() else None
        is_more = lane.seam == "continue"  # of an answer that has begun
        connect_s = min(plan.timeouts.connect_s, limit - now)
        begin = running.begin(limit, connect_s=connect_s, floor=floor, floor_by=self._deadline, may_be_empty=is_more)
        if self._watch is not None and self._watch.target is target and not is_last:
            pieces = await self._watch.begin(running, begin, request, self._clock, self._can_leave)
        else:
            pieces = await begin
        lane.answering = running.attempt
        if not lane.is_hedge:
            self._running, self.answering = running, running.attempt
        return pieces

    def _can_leave(self) -> bool:
        """Whether a target that is alive may be left for being slow: somebody else is likely to answer."""
        return any(target.health.breaker.is_closed for target in self._waiting)

    async def _start(self, lane: Lane, target: Target, request: ChatRequest, until: float, *, is_probe: bool) -> Running:
        """A call of this target, once there is room for it, among the attempts. Raises UpstreamError when there is none."""
        if request.native is not None and (lacking := target.lacking(request.native)) is not None:
            if is_probe:
                target.health.breaker.abandoned()
            self._reject(target, lacking.message, lacking.fault)
            raise lacking
        # A hedge is worth something at once or not at all.
        patience = self._clock() if lane.is_hedge else until
        try:
            admission = await admit(target, request, self._plan.failover.priority, patience)
        except BaseException as exc:
            if is_probe:
                target.health.breaker.abandoned()
            if isinstance(exc, UpstreamError):
                self._reject(target, exc.message, exc.fault)
            raise
        return self._started(lane, target, request, admission, is_probe=is_probe)

    def _started(self, lane: Lane, target: Target, request: ChatRequest, admission: Admission, *, is_probe: bool) -> Running:
        """A call that has its room, among the attempts."""
        running = Running(target, request, self._clock, is_probe=is_probe, admission=admission)
        if lane.is_hedge or lane.seam is not None:
            running.attempt.is_hedge = lane.is_hedge
            running.attempt.seam, running.attempt.seam_chars = lane.seam, lane.seam_chars
        self.attempts.append(running.attempt)
        return running

    async def _judged(self, lane: Lane, target: Target, rule: AcceptRule, until: float, *, is_probe: bool) -> list[Piece] | None:
        async def start(request: ChatRequest, *, is_probe: bool) -> Running:
            return await self._start(lane, target, request, until, is_probe=is_probe)

        rung = Rung(rule, lane.request, self._plan.timeouts, until, start, self._clock)
        judged = await rung.ask(is_probe=is_probe)
        if judged.verdict.is_accepted:
            self.answering = judged.attempt
            return judged.pieces
        self._causes.unconvincing(target.model.name, judged.attempt.error or "")
        if judged.pieces is not None and (self._best is None or judged.verdict.badness <= self._best.verdict.badness):
            self._best = judged  # of equals the later: it was thought the better model
        return None

    def _reject(self, target: Target, reason: str, fault: Fault = "unavailable") -> None:
        model = target.model
        self.attempts.append(Attempt(model.provider, model.name, outcome="rejected", error=reason, fault=fault))
        self._causes.passed_over(model.name, reason)
