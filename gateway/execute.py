"""Run a Plan against providers: retry, fallback, cascade, deadlines. Knows nothing of HTTP edges, tenants or money.

One executor for stream and not: a whole answer is a stream of one piece. Until the first content, failures are
made good by retry and fallback and the caller sees nothing of them; after it, they are raised. A target whose answer
is judged (Plan.accept) has given nothing to the caller before its answer is whole and accepted.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from gateway.attempt import Attempt
from gateway.cascade.rung import Judged, Rung
from gateway.errors import CONTEXT_LENGTH, AllTargetsFailed, ClientError, DeadlineExceeded, UpstreamError
from gateway.policy.model import AcceptRule, Plan
from gateway.providers.base import Piece
from gateway.request import ChatRequest
from gateway.running import Running, Target

TIMER_S = 0.005  # the event loop's timers may ring this much early
BACKOFF_MAX_S = 8.0  # unless the policy's own first wait is longer
WAIT_BEFORE_FALLBACK_S = 1.0  # a provider that asks for a longer wait is left for the next target


class Execution:
    """One plan under way. `begin`, then `read` until a piece is_end; `aclose` in any case.

    attempts grows as targets are tried. answering: the one whose answer `begin` gave. compromise: why that answer is
    given although it did not convince, None if it did or was not judged.
    """

    def __init__(
        self,
        plan: Plan,
        targets: Sequence[Target],
        request: ChatRequest,
        clock: Callable[[], float] = time.monotonic,
        since: float | None = None,
    ) -> None:
        """since: on the clock, when the request came; its total deadline counts from there. None: now."""
        self._plan, self._targets, self._request, self._clock = plan, _carrying(plan, targets, request), request, clock
        self._deadline = (clock() if since is None else since) + plan.timeouts.total_s
        self._running: Running | None = None
        self._causes: dict[str, dict[str, object]] = {}
        self._best: Judged | None = None  # of the complete answers that did not convince
        self.attempts: list[Attempt] = []
        self.answering: Attempt | None = None
        self.compromise: str | None = None

    async def begin(self) -> list[Piece]:
        """The answer's first pieces, up to and with the first content, from the first target that gets so far.

        Of a rung of a cascade that is all of its answer. When nothing later answers, the best answer that did not
        convince is given. Raises ClientError when the provider says that the request itself is at fault, else
        AllTargetsFailed or DeadlineExceeded with the last cause of each target.
        """
        for model, reason in self._plan.left_out:
            self._causes[model] = {"model": model, "fault": "unavailable", "message": reason}
        for target in self._targets:
            breaker = target.health.breaker
            if breaker.admits():
                pieces = await self._ask(target, is_last=target is self._targets[-1], is_probe=breaker.is_probing)
                if pieces is not None:
                    return pieces
            else:
                self._rejected(target)
        if self._targets and all(a.outcome == "rejected" for a in self.attempts):
            # Every target cools down: the one that is due first is the least bad, and better than giving up.
            target = min(self._targets, key=lambda t: t.health.breaker.cooling_s)
            pieces = await self._ask(target, is_last=True)
            if pieces is not None:
                return pieces
        if self._best is not None and self._best.pieces is not None:
            self.answering = self._best.attempt
            self.compromise = f"{self.answering.model} answers, {self.answering.error}, and no later model answered"
            return self._best.pieces
        raise self._failure()

    async def read(self) -> list[Piece]:
        """The next pieces of an answer that has begun. Raises UpstreamError when it breaks off."""
        assert self._running is not None, "begin first"
        return await self._running.read(min(self._clock() + self._plan.timeouts.idle_s, self._deadline))

    async def aclose(self) -> None:
        """End what is under way; an answer that has not ended is cancelled upstream."""
        if self._running is not None:
            await self._running.end("cancelled")

    async def _ask(self, target: Target, *, is_last: bool, is_probe: bool = False) -> list[Piece] | None:
        """Ask one target, as often as the plan says. None when it is time for the next."""
        for again in range(1, self._plan.retry.attempts + 1):
            try:
                # None here too: an answer that does not convince is not asked for again.
                return await self._attempt(target, is_last=is_last, is_probe=is_probe and again == 1)
            except UpstreamError as exc:
                self._causes[target.model.name] = _cause(target, exc)
                if exc.is_callers_fault and self._best is None:  # else the request has been answered by another model
                    raise _callers(exc) from exc
                wait_s = self._wait_s(again, exc, is_last=is_last)
                if wait_s is None or again == self._plan.retry.attempts:
                    return None
            await asyncio.sleep(wait_s)
        return None

    def _wait_s(self, again: int, exc: UpstreamError, *, is_last: bool) -> float | None:
        """Seconds before the same target is asked again, None if it should not be."""
        if not exc.is_retryable:
            return None
        first_s = self._plan.retry.backoff_s
        backoff_s = min(first_s * 2.0 ** (again - 1), max(first_s, BACKOFF_MAX_S))
        wait_s: float = max(backoff_s * random.uniform(0.5, 1.0), exc.retry_after_s or 0.0)
        if self._clock() + wait_s >= self._deadline or (not is_last and wait_s > max(WAIT_BEFORE_FALLBACK_S, backoff_s)):
            return None
        return wait_s

    async def _attempt(self, target: Target, *, is_last: bool, is_probe: bool) -> list[Piece] | None:
        """One call. None when it answered and the answer did not convince."""
        now = self._clock()
        if now >= self._deadline:
            if is_probe:
                target.health.breaker.abandoned()
            raise UpstreamError("not asked: the request's total deadline had passed", fault="timeout")
        # What shows nothing until it is there must leave time for the next target if it hangs.
        whole_by = self._deadline if is_last else now + (self._deadline - now) / 2
        rule = self._plan.accept.get(target.model.name)
        if rule is not None:
            return await self._judged(target, rule, whole_by, is_probe=is_probe)
        limit = min(now + self._plan.timeouts.first_token_s, self._deadline) if self._request.is_stream else whole_by
        running = self._running = Running(target, self._request, self._clock, is_probe=is_probe)
        self.attempts.append(running.attempt)
        pieces = await running.begin(limit, connect_s=min(self._plan.timeouts.connect_s, limit - now))
        self.answering = running.attempt
        return pieces

    async def _judged(self, target: Target, rule: AcceptRule, until: float, *, is_probe: bool) -> list[Piece] | None:
        rung = Rung(rule, target, self._request, self._plan.timeouts, until, self.attempts, self._clock)
        judged = await rung.ask(is_probe=is_probe)
        if judged.verdict.is_accepted:
            self.answering = judged.attempt
            return judged.pieces
        message = judged.attempt.error or ""
        self._causes[target.model.name] = {"model": target.model.name, "fault": "unconvincing", "message": message}
        if judged.pieces is not None and (self._best is None or judged.verdict.badness <= self._best.verdict.badness):
            self._best = judged  # of equals the later: it was thought the better model
        return None

    def _rejected(self, target: Target) -> None:
        breaker = target.health.breaker
        reason = f"not asked: it fails and cools down for another {breaker.cooling_s:.1f} s (last: {breaker.last_error})"
        model = target.model
        self.attempts.append(Attempt(model.provider, model.name, outcome="rejected", error=reason, fault="unavailable"))
        self._causes[model.name] = {"model": model.name, "fault": "unavailable", "message": reason}

    def _failure(self) -> Exception:
        causes = list(self._causes.values())
        named = "; ".join(f"{c['model']}: {c['message']}" for c in causes) or "the route has no target"
        asked = [cause for cause in causes if cause["fault"] != "unavailable"]
        if asked and all(cause.get("code") == CONTEXT_LENGTH for cause in asked):
            return ClientError(str(asked[-1]["message"]), code=CONTEXT_LENGTH, param="messages")
        if self._clock() >= self._deadline - TIMER_S:
            return DeadlineExceeded(f"no answer within {self._plan.timeouts.total_s:g} s. {named}", causes)
        if asked and all(cause["fault"] == "timeout" for cause in asked):
            return DeadlineExceeded(f"no model began to answer in time. {named}", causes)
        waits = [t.health.breaker.cooling_s for t in self._targets]
        wait_s = min(waits) if waits and min(waits) > 0 else None
        return AllTargetsFailed(f"every model of route '{self._plan.route}' failed. {named}", causes, retry_after_s=wait_s)


def _cause(target: Target, exc: UpstreamError) -> dict[str, object]:
    cause: dict[str, object] = {
        "model": target.model.name,
        "provider": target.model.provider,
        "fault": exc.fault,
        "message": exc.message,
    }
    if exc.status is not None:
        cause["status"] = exc.status
    if exc.code is not None:
        cause["code"] = exc.code
    return cause


def _callers(exc: UpstreamError) -> ClientError:
    return ClientError(exc.message, status=exc.status or 400, code=exc.code or "invalid_request", param=exc.param)


def _carrying(plan: Plan, targets: Sequence[Target], request: ChatRequest) -> Sequence[Target]:
    """The targets for this request: an answer in sound cannot be judged, so it goes straight to the last rung."""
    if not plan.accept or not request.wants_audio:
        return targets
    return [target for target in targets if target.model.name not in plan.accept] or targets
