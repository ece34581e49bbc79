"""One call of one model under way: bounded reads, and the attempt's record, which is complete however the call ends."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import msgspec

from gateway.attempt import Attempt
from gateway.chat import worst_finish
from gateway.dialects.answer_shape import answer, check_stream
from gateway.errors import Fault, UpstreamError
from gateway.health.gate import Place
from gateway.health.model import ModelHealth
from gateway.policy.catalog import Model
from gateway.policy.failover import Priority
from gateway.pricing.tokens import CHARACTERS, TokenCounter
from gateway.pricing.uncounted import Uncounted, completed
from gateway.providers.base import Call, Exchange, Piece, Provider, Sending
from gateway.request import CHAT, COMPLETIONS, ChatRequest, Native
from gateway.usage import Usage, estimate_tokens

Coro = Coroutine[Any, Any, list[Piece]]
Ending = Literal["ok", "error", "timeout", "cancelled", "unconvincing", "lost_hedge"]

OWED: tuple[Fault, ...] = ("timeout", "slow", "cut", "malformed")  # after these a provider that had the request may bill it
NOTHING_WORKED: tuple[Fault, ...] = ("connect", "unavailable", "unsupported")  # no machine was busy with the call

HELD_BYTES_MAX = 64 * 1024  # preamble held back before the first content
FLOOR_S: Final = 2.0  # how long a stream is watched that must keep up a speed
PACE_TOKENS_MIN: Final = 8  # fewer say nothing of a model's speed


class Hold(Protocol):
    """What one call holds of a model's rate limit."""

    def settle(self, tokens: int) -> None:
        """The call has ended, and took so many; once."""
        ...


class Quota(Protocol):
    """A model's own rate limit."""

    async def reserve(self, request: ChatRequest) -> Hold:
        """Raises UpstreamError (fault `limited`, retry_after_s) when it is spent."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """A model of the plan with what it takes to call it. quota: None for a model without a rate limit.

    tokens: counts what the model's provider does not.
    """

    model: Model
    provider: Provider
    health: ModelHealth
    quota: Quota | None = None
    tokens: TokenCounter = CHARACTERS


@dataclass(frozen=True, slots=True)
class Admission:
    """What a call was given before it was sent, and gives back when it ends."""

    place: Place | None = None
    hold: Hold | None = None

    def end(self, usage: Usage | None) -> None:
        """Give it back; once."""
        if self.place is not None:
            self.place.leave()
        if self.hold is not None:
            self.hold.settle(0 if usage is None else usage.input + usage.output)


FREE: Final = Admission()


async def admit(target: Target, request: ChatRequest, priority: Priority, until: float) -> Admission:
    """A place at the model and its provider, and a part of the model's rate limit, where it has either.

    until: on the clock, how long a place may be waited for. Raises UpstreamError (faults `busy` and `limited`).
    """
    if not target.health.is_bounded and target.quota is None:
        return FREE
    place = await target.health.enter(priority, until) if target.health.is_bounded else None
    try:
        hold = await target.quota.reserve(request) if target.quota is not None else None
    except BaseException:
        if place is not None:
            place.leave()
        raise
    return Admission(place, hold)


class Running:
    """One attempt, and the exchange behind it. Ends exactly once.

    is_probe: it decides whether the breaker closes again. given_up: why it was, if it was while it was alive.
    """

    def __init__(
        self,
        target: Target,
        request: ChatRequest,
        clock: Callable[[], float],
        *,
        is_probe: bool = False,
        admission: Admission = FREE,
    ) -> None:
        self.target = target
        self._request, self._clock, self._is_probe, self._admission = request, clock, is_probe, admission
        self._exchange: Exchange | None = None
        self._started = clock()
        self._busy = target.health.busy.start()
        self._is_over = False
        self._is_told_otherwise = request.dialect not in (CHAT, "openai_embeddings")
        self._uncounted = Uncounted()
        target.tokens.prepare()
        self._content_pieces = 0
        self._finish: str | None = None
        # With nothing to add to what a tool has said, models (Claude above all) end their turn without a word.
        self._may_be_empty = request.has_stop or request.ends_in_result
        self._first_at = 0.0
        self._was_sent = False  # as far as can be told: a provider that has the request may bill it
        self._sending = Sending(has_line=False)
        self._cancelled_as: Ending = "cancelled"
        self.given_up: UpstreamError | None = None
        self.attempt = Attempt(target.model.provider, target.model.name, outcome="cancelled")

    async def begin(
        self,
        limit: float,
        *,
        connect_s: float,
        floor: float | None = None,
        floor_by: float = math.inf,
        may_be_empty: bool = False,
    ) -> list[Piece]:
        """Up to and with the first content, by `limit` on the clock.

        floor: output tokens per second; a stream is held back until it has shown, by `floor_by` at the latest, that it keeps
        this up. may_be_empty: an
        answer with nothing in it is one. Raises UpstreamError, with the fault `slow` for a stream that does not keep up, and
        `empty` for an answer with nothing in it.
        """
        self._may_be_empty = self._may_be_empty or may_be_empty
        held: list[Piece] = []
        held_bytes = 0
        while True:
            pieces = await self._bounded(limit, self._next(connect_s), "no content within")
            held += pieces
            held_bytes += sum(len(p.data) for p in pieces)
            if self._content_pieces or self._is_over or held_bytes > HELD_BYTES_MAX:
                break
        if floor is not None and self._content_pieces and not self._is_over:
            await self._keeps_up(held, floor, floor_by)
        return held

    async def read(self, limit: float) -> list[Piece]:
        """The next pieces, by `limit` on the clock."""
        return await self._bounded(limit, self._next(0.0), "nothing more came within")

    def give_up(self, error: UpstreamError) -> None:
        """From here on, being cancelled means that it was given up for this reason."""
        self.given_up = error

    def lose(self) -> None:
        """From here on, being cancelled means that another target was faster."""
        self._cancelled_as = "lost_hedge"

    async def _keeps_up(self, held: list[Piece], floor: float, by: float) -> None:
        """Read on until so many tokens have come as the floor asks for in FLOOR_S, from the first one on."""
        until, needed = min(self._first_at + FLOOR_S, by), floor * FLOOR_S
        what = f"fewer than the {floor:g} tokens/s that the policy asks for within"
        while not self._is_over and self._tokens() < needed:
            held += await self._bounded(until, self._next(0.0), what, fault="slow")

    def _tokens(self) -> int:
        """About how many have come."""
        told = self.attempt.usage.output if self.attempt.usage is not None else 0
        return max(self._content_pieces, told + estimate_tokens(self._uncounted.chars))

    async def _next(self, connect_s: float) -> list[Piece]:
        if self._exchange is None:
            call = Call(self._request, self.target.model, connect_s, native=self._native)
            self._sending = call.sending
            self._exchange = await self.target.provider.open(call)
            self._was_sent = True
        return await self._exchange.read()

    @property
    def _native(self) -> Native | None:
        """The request in the caller's dialect, if the provider speaks it; a server may have turned out not to."""
        native = self._request.native
        return native if native is not None and native.dialect in self.target.provider.dialects else None

    async def _bounded(self, limit: float, step: Coro, what: str, *, fault: Fault = "timeout") -> list[Piece]:
        limit_s = limit - self._clock()
        try:
            if limit_s <= 0:  # a timeout alone would let through what is there at once, and to a slow reader all of it is
                step.close()
                raise TimeoutError
            async with asyncio.timeout(limit_s):
                pieces = await step
            for piece in pieces:
                if self._is_told_otherwise and piece.data and not piece.native:
                    self._check(piece.data)
                self._note(piece)
            if self._is_over and self._says_nothing():
                raise UpstreamError(f"{self.target.model.name}: the answer has nothing in it", fault="empty", is_retryable=True)
        except TimeoutError as exc:
            self._was_sent = True
            why = f"{what} {limit_s:.1f} s" if limit_s > 0 else "the time that the policy gives the request was up"
            error = UpstreamError(f"{self.target.model.name}: {why}", fault=fault)
            await self._failed(error)
            raise error from exc
        except UpstreamError as exc:
            self._was_sent = self._was_sent or exc.fault == "cut"  # an answer had begun, whoever was waiting for it
            await self._failed(exc)
            raise
        except BaseException:
            self._was_sent = True
            if self.given_up is not None:
                await self._failed(self.given_up)
            else:
                await self.end(self._cancelled_as)
            raise
        if self._is_over:
            await self.end("ok")
        return pieces

    def _check(self, data: bytes) -> None:
        """Raises UpstreamError for what nobody could tell the caller, while another target may still do better."""
        try:
            if self._request.is_stream:
                check_stream(data)
            else:
                answer(data)
        except UpstreamError as exc:
            raise UpstreamError(f"{self.target.model.name}: {exc.message}", fault=exc.fault) from exc

    def _note(self, piece: Piece) -> None:
        if piece.text:
            self._uncounted.heard(piece.text)
        self._finish = worst_finish(self._finish, piece.finish)
        if piece.usage is not None:
            self.attempt.usage = piece.usage
            if not piece.usage.estimated:
                self._uncounted.clear()
        if piece.has_content:
            if not self._content_pieces:
                self._first_content()
            self._content_pieces += 1
        if piece.is_end:
            self._is_over = True

    def _says_nothing(self) -> bool:
        """Whether the answer ended well and there is nothing in it, which another model may do better."""
        return not (self._content_pieces or self._may_be_empty) and self._finish in (None, "stop")

    def _first_content(self) -> None:
        self._first_at = self._clock()
        first_s = self._first_at - self._started
        self.attempt.ttft_ms = first_s * 1000
        if self._request.is_stream:
            self.attempt.prefill_s = self.target.health.busy.so_far(self._busy)
        self.target.health.pace.answered(self._request.tokens_in, self._request.is_stream, first_s)
        if self._is_probe:
            self.target.health.breaker.answers()

    async def _failed(self, exc: UpstreamError) -> None:
        self.attempt.error, self.attempt.fault, self.attempt.status = exc.message, exc.fault, exc.status
        breaker = self.target.health.breaker
        if exc.says_something_of_the_model:
            breaker.failed(exc, is_probe=self._is_probe)
        elif self._is_probe:
            breaker.abandoned()
        await self.end("timeout" if exc.fault in ("timeout", "slow") else "error")

    async def end(self, outcome: Ending) -> None:
        """Close the exchange and complete the attempt's record; does nothing the second time."""
        if self._busy < 0:
            return
        attempt, health = self.attempt, self.target.health
        attempt.outcome = outcome
        attempt.duration_ms = (self._clock() - self._started) * 1000
        attempt.busy_s = health.busy.stop(self._busy)
        self._busy = -1.0
        if attempt.fault in NOTHING_WORKED or not self._sending.has_line:
            attempt.busy_s = 0.0
        self._count()
        self._part_busy()
        self._admission.end(attempt.usage)
        if outcome in ("ok", "unconvincing"):  # the model works, whatever is thought of its answer
            attempt.status = 200
            health.breaker.succeeded(self._started)
            self._tell_speed()
        elif outcome in ("cancelled", "lost_hedge") and self._is_probe and not self._content_pieces:
            health.breaker.abandoned()
        if outcome in ("cancelled", "lost_hedge", "timeout") and self._was_sent and not self._content_pieces:
            health.pace.waited(self._request.tokens_in, self._request.is_stream, self._clock() - self._started)
        if self._exchange is not None:
            await self._exchange.aclose()

    def _tell_speed(self) -> None:
        took_s = self._clock() - self._first_at
        tokens = self.attempt.usage.output if self.attempt.usage is not None else 0
        if self._request.is_stream and self._is_over and self._content_pieces > 1 and tokens >= PACE_TOKENS_MIN:
            self.target.health.pace.spoke(tokens, took_s)

    def _count(self) -> None:
        """Usage where the provider gave none, or was cut off before it could: what it read and wrote is owed all the same."""
        attempt, told = self.attempt, self.attempt.usage
        may_be_billed = self._was_sent and self._sending.has_line and attempt.fault in (None, *OWED)
        is_owed = self._content_pieces or attempt.outcome == "ok" or may_be_billed
        if is_owed and (told is None or told.estimated or self._uncounted.chars):
            is_prompt = self._native is not None and self._native.dialect == COMPLETIONS
            attempt.usage = completed(told, self._request, self._uncounted, self.target.tokens, is_prompt=is_prompt)
        self._uncounted.clear()
        if attempt.usage is not None and self._request.has_images:
            attempt.usage = msgspec.structs.replace(attempt.usage, images=self._request.images)

    def _part_busy(self) -> None:
        """How much of its machine's time went into reading: of a stream it was seen at the first content."""
        attempt = self.attempt
        if not self._content_pieces:
            attempt.prefill_s = attempt.busy_s
        elif not self._request.is_stream and self.target.model.gpu is not None:  # 60 µs, and nobody looks at it of other models
            wrote = attempt.usage.output if attempt.usage is not None else 0
            attempt.prefill_s = attempt.busy_s * self.target.health.pace.reading_share(wrote, attempt.duration_ms / 1000)
        attempt.prefill_s = min(attempt.prefill_s, attempt.busy_s)
