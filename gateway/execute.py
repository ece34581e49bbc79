"""Run a Plan against providers: retry, fallback, deadlines. Knows nothing of HTTP edges, tenants or money.

One executor for stream and not: a whole answer is a stream of one piece. Until the first content, failures are
made good by retry and fallback and the caller sees nothing of them; after it, they are raised.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.attempt import Attempt
from gateway.errors import CONTEXT_LENGTH, AllTargetsFailed, ClientError, DeadlineExceeded, Fault, UpstreamError
from gateway.health import ModelHealth
from gateway.policy.catalog import Model
from gateway.policy.model import Plan
from gateway.providers.base import Call, Exchange, Piece, Provider
from gateway.request import ChatRequest
from gateway.usage import Usage, estimate_tokens

Coro = Coroutine[Any, Any, list[Piece]]
Ending = Literal["ok", "error", "timeout", "cancelled"]

OWED: tuple[Fault, ...] = ("timeout", "cut", "malformed")  # after these a provider that had the request may bill it
NOTHING_WORKED: tuple[Fault, ...] = ("connect", "unavailable", "unsupported")  # no machine was busy with the call

HELD_BYTES_MAX = 64 * 1024  # preamble held back before the first content
TIMER_S = 0.005  # the event loop's timers may ring this much early
BACKOFF_MAX_S = 8.0  # unless the policy's own first wait is longer
WAIT_BEFORE_FALLBACK_S = 1.0  # a provider that asks for a longer wait is left for the next target


@dataclass(frozen=True, slots=True)
class Target:
    """A model of the plan with what it takes to call it."""

    model: Model
    provider: Provider
    health: ModelHealth


class Execution:
    """One plan under way. `begin`, then `read` until a piece is_end; `aclose` in any case.

    attempts grows as targets are tried; the last one is the one that answers.
    """

    def __init__(
        self, plan: Plan, targets: Sequence[Target], request: ChatRequest, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan, self._targets, self._request, self._clock = plan, targets, request, clock
        self._deadline = clock() + plan.timeouts.total_s
        self._running: _Running | None = None
        self._causes: dict[str, dict[str, object]] = {}
        self.attempts: list[Attempt] = []

    async def begin(self) -> list[Piece]:
        """The answer's first pieces, up to and with the first content, from the first target that gets so far.

        Raises ClientError when the provider says that the request itself is at fault, else AllTargetsFailed or
        DeadlineExceeded with the last cause of each target.
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
                return await self._attempt(target, is_last=is_last, is_probe=is_probe and again == 1)
            except UpstreamError as exc:
                self._causes[target.model.name] = _cause(target, exc)
                if exc.is_callers_fault:
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

    async def _attempt(self, target: Target, *, is_last: bool, is_probe: bool) -> list[Piece]:
        now = self._clock()
        if now >= self._deadline:
            if is_probe:
                target.health.breaker.abandoned()
            raise UpstreamError("not asked: the request's total deadline had passed", fault="timeout")
        if self._request.is_stream:
            limit = min(now + self._plan.timeouts.first_token_s, self._deadline)
        else:
            # A whole answer shows nothing until it is there, so a target that hangs must leave time for the next.
            limit = self._deadline if is_last else now + (self._deadline - now) / 2
        running = self._running = _Running(target, self._request, self._clock, is_probe=is_probe)
        self.attempts.append(running.attempt)
        return await running.begin(limit, connect_s=min(self._plan.timeouts.connect_s, limit - now))

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


class _Running:
    """One attempt, and the exchange behind it. Ends exactly once."""

    def __init__(self, target: Target, request: ChatRequest, clock: Callable[[], float], *, is_probe: bool) -> None:
        self._target, self._request, self._clock, self._is_probe = target, request, clock, is_probe
        self._exchange: Exchange | None = None
        self._started = clock()
        self._busy = target.health.busy.start()
        self._is_over = False
        self._chars = 0
        self._has_content = False
        self._was_sent = False  # as far as can be told: a provider that has the request may bill it
        self.attempt = Attempt(target.model.provider, target.model.name, outcome="cancelled")

    async def begin(self, limit: float, *, connect_s: float) -> list[Piece]:
        """Up to and with the first content, by `limit` on the clock."""
        held: list[Piece] = []
        held_bytes = 0
        while True:
            pieces = await self._bounded(limit, self._next(connect_s), "no content within")
            held += pieces
            held_bytes += sum(len(p.data) for p in pieces)
            if self._has_content or self._is_over or held_bytes > HELD_BYTES_MAX:
                return held

    async def read(self, limit: float) -> list[Piece]:
        """The next pieces, by `limit` on the clock."""
        return await self._bounded(limit, self._next(0.0), "nothing more came within")

    async def _next(self, connect_s: float) -> list[Piece]:
        if self._exchange is None:
            call = Call(self._request, self._target.model, connect_s)
            self._exchange = await self._target.provider.open(call)
            self._was_sent = True
        return await self._exchange.read()

    async def _bounded(self, limit: float, step: Coro, what: str) -> list[Piece]:
        limit_s = limit - self._clock()
        try:
            async with asyncio.timeout(limit_s):
                pieces = await step
        except TimeoutError as exc:
            self._was_sent = True
            error = UpstreamError(f"{self._target.model.name}: {what} {limit_s:.1f} s", fault="timeout")
            await self._failed(error)
            raise error from exc
        except UpstreamError as exc:
            await self._failed(exc)
            raise
        except BaseException:
            self._was_sent = True
            await self.end("cancelled")
            raise
        for piece in pieces:
            self._note(piece)
        if self._is_over:
            await self.end("ok")
        return pieces

    def _note(self, piece: Piece) -> None:
        self._chars += piece.chars
        if piece.usage is not None:
            self.attempt.usage = piece.usage
        if piece.has_content and not self._has_content:
            self._has_content = True
            self.attempt.ttft_ms = (self._clock() - self._started) * 1000
            if self._is_probe:
                self._target.health.breaker.answers()
        if piece.is_end:
            self._is_over = True

    async def _failed(self, exc: UpstreamError) -> None:
        self.attempt.error, self.attempt.fault, self.attempt.status = exc.message, exc.fault, exc.status
        breaker = self._target.health.breaker
        if exc.says_something_of_the_model:
            breaker.failed(exc.kind, exc.retry_after_s, is_probe=self._is_probe)
        elif self._is_probe:
            breaker.abandoned()
        await self.end("timeout" if exc.fault == "timeout" else "error")

    async def end(self, outcome: Ending) -> None:
        """Close the exchange and complete the attempt's record; does nothing the second time."""
        if self._busy < 0:
            return
        attempt, health = self.attempt, self._target.health
        attempt.outcome = outcome
        attempt.duration_ms = (self._clock() - self._started) * 1000
        attempt.busy_s = health.busy.stop(self._busy)
        self._busy = -1.0
        if attempt.fault in NOTHING_WORKED:
            attempt.busy_s = 0.0
        self._count()
        if outcome == "ok":
            attempt.status = 200
            health.breaker.succeeded()
        elif outcome == "cancelled" and self._is_probe and not self._has_content:
            health.breaker.abandoned()
        if self._exchange is not None:
            await self._exchange.aclose()

    def _count(self) -> None:
        """Usage where the provider gave none, or was cut off before it could: what it read and wrote is owed all the same."""
        attempt = self.attempt
        counted = attempt.usage
        is_owed = self._has_content or attempt.outcome == "ok" or (self._was_sent and attempt.fault in (None, *OWED))
        if is_owed and (counted is None or counted.estimated):
            read = self._request.tokens_in if counted is None else counted.input
            wrote = max(estimate_tokens(self._chars), 0 if counted is None else counted.output)
            attempt.usage = Usage(input=read, output=wrote, estimated=True)


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
