"""One call of one model under way: bounded reads, and the attempt's record, which is complete however the call ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from gateway.attempt import Attempt
from gateway.errors import Fault, UpstreamError
from gateway.health import ModelHealth
from gateway.policy.catalog import Model
from gateway.providers.base import Call, Exchange, Piece, Provider
from gateway.request import ChatRequest
from gateway.usage import Usage, estimate_tokens

Coro = Coroutine[Any, Any, list[Piece]]
Ending = Literal["ok", "error", "timeout", "cancelled", "unconvincing"]

OWED: tuple[Fault, ...] = ("timeout", "cut", "malformed")  # after these a provider that had the request may bill it
NOTHING_WORKED: tuple[Fault, ...] = ("connect", "unavailable", "unsupported")  # no machine was busy with the call

HELD_BYTES_MAX = 64 * 1024  # preamble held back before the first content


@dataclass(frozen=True, slots=True)
class Target:
    """A model of the plan with what it takes to call it."""

    model: Model
    provider: Provider
    health: ModelHealth


class Running:
    """One attempt, and the exchange behind it. Ends exactly once. is_probe: it decides whether the breaker closes again."""

    def __init__(self, target: Target, request: ChatRequest, clock: Callable[[], float], *, is_probe: bool = False) -> None:
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
        if outcome in ("ok", "unconvincing"):  # the model works, whatever is thought of its answer
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
