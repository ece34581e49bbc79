"""One call of one model under way: bounded reads, and the attempt's record, which is complete however the call ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import msgspec

from gateway.attempt import Attempt
from gateway.chat import worst_finish
from gateway.deadline import Deadline
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

    # As an attempt begins; a request that is answered at once changes few of them.
    given_up: UpstreamError | None = None
    _exchange: Exchange | None = None
    _sending: Sending | None = None  # of the call, once it is made
    _was_sent = False  # as far as can be told: a provider that has the request may bill it
    _connect_s = 0.0
    _first_at = 0.0
    _content_pieces = 0
    _finish: str | None = None
    _is_over = False
    _may_be_empty = False
    _cancelled_as: Ending = "cancelled"

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
        self._is_stream = request.is_stream
        self._is_told_otherwise = request.dialect not in (CHAT, "openai_embeddings")
        self._deadline = Deadline(clock)
        self._started = clock()
        self._busy = target.health.busy.start()
        self._uncounted = Uncounted()
        if self._is_stream:  # which may be cut off before its provider has counted; a whole answer mostly has its count
            target.tokens.prepare()
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
        this up. may_be_empty: an answer with nothing in it is one. Raises UpstreamError, with the fault `slow` for a stream
        that does not keep up, and `empty` for an answer with nothing in it.
        """
        self._may_be_empty, self._connect_s = may_be_empty, connect_s
        held = pieces = await self._more(self._clock(), limit, "no content within")
        held_bytes = 0
        while not (self._content_pieces or self._is_over):
            held_bytes += sum([len(piece.data) for piece in pieces])
            if held_bytes > HELD_BYTES_MAX:
                break
            pieces = await self._more(self._clock(), limit, "no content within")
            held = held + pieces
        if floor is not None and self._content_pieces and not self._is_over:
            await self._keeps_up(held, floor, floor_by)
        return held

    def read(self, idle_s: float, until: float) -> Coroutine[Any, Any, list[Piece]]:
        """The next pieces, within idle_s, and by `until` on the clock. Await it at once, its time runs."""
        now = self._clock()
        return self._more(now, min(now + idle_s, until), "nothing more came within")

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
            held += await self._more(self._clock(), until, what, fault="slow")

    def _tokens(self) -> int:
        """About how many have come."""
        told = self.attempt.usage.output if self.attempt.usage is not None else 0
        return max(self._content_pieces, told + estimate_tokens(self._uncounted.chars))

    def _call(self) -> Call:
        sending = self._sending = Sending()
        return Call(self._request, self.target.model, self._connect_s, sending, self._native)

    @property
    def _native(self) -> Native | None:
        """The request in the caller's dialect, if the provider speaks it; a server may have turned out not to."""
        native = self._request.native
        return native if native is not None and native.dialect in self.target.provider.dialects else None

    async def _more(self, now: float, limit: float, what: str, *, fault: Fault = "timeout") -> list[Piece]:
        """The next pieces, by `limit` on the clock. Each event of a stream comes through here: no other coroutine in between."""
        deadline = self._deadline
        deadline.at = limit
        try:
            if limit <= now:  # a timer alone would let through what is there at once, and to a slow reader all of it is
                raise TimeoutError
            with deadline:
                exchange = self._exchange
                if exchange is None:
                    exchange = self._exchange = await self.target.provider.open(self._call())
                    self._was_sent = True
                pieces = await exchange.read()
            self._note(pieces)
            if self._is_over and self._says_nothing():
                raise UpstreamError(f"{self.target.model.name}: the answer has nothing in it", fault="empty", is_retryable=True)
        except TimeoutError as exc:
            self._was_sent = True
            why = f"{what} {limit - now:.1f} s" if limit > now else "the time that the policy gives the request was up"
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
            if self._is_stream:
                check_stream(data)
            else:
                answer(data)
        except UpstreamError as exc:
            raise UpstreamError(f"{self.target.model.name}: {exc.message}", fault=exc.fault) from exc

    def _note(self, pieces: Sequence[Piece]) -> None:
        is_told_otherwise = self._is_told_otherwise
        for piece in pieces:
            if is_told_otherwise and piece.data and not piece.native:
                self._check(piece.data)
            if piece.has_content:
                if not self._content_pieces:
                    self._first_content()
                self._content_pieces += 1
            usage = piece.usage
            if usage is not None:
                self.attempt.usage = usage
            if usage is not None and not usage.estimated:
                self._uncounted.clear()
            elif piece.text:
                self._uncounted.heard(piece.text)
            if piece.finish is not None:
                self._finish = worst_finish(self._finish, piece.finish)
            if piece.is_end:
                self._is_over = True

    def _says_nothing(self) -> bool:
        """Whether the answer ended well and there is nothing in it, which another model may do better."""
        if self._content_pieces or self._may_be_empty or self._finish not in (None, "stop"):
            return False
        # With nothing to add to what a tool has said, models (Claude above all) end their turn without a word.
        return not (self._request.has_stop or self._request.ends_in_result)

    def _first_content(self) -> None:
        self._first_at = self._clock()
        first_s = self._first_at - self._started
        self.attempt.ttft_ms = first_s * 1000
        if self._is_stream:
            self.attempt.prefill_s = self.target.health.busy.so_far(self._busy)
        self.target.health.pace.answered(self._request.tokens_in, self._is_stream, first_s)
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
        self._deadline.close()
        attempt, health, now = self.attempt, self.target.health, self._clock()
        attempt.outcome = outcome
        attempt.duration_ms = (now - self._started) * 1000
        attempt.busy_s = health.busy.stop(self._busy)
        self._busy = -1.0
        if attempt.fault in NOTHING_WORKED or not self._has_line:
            attempt.busy_s = 0.0
        usage = attempt.usage
        if usage is None or usage.estimated or self._uncounted.chars:
            self._count(usage)
        if attempt.usage is not None and self._request.has_images:
            attempt.usage = msgspec.structs.replace(attempt.usage, images=self._request.images)
        if self._is_stream or not self._content_pieces or self.target.model.gpu is not None:
            self._part_busy()
        if self._admission is not FREE:
            self._admission.end(attempt.usage)
        if outcome in ("ok", "unconvincing"):  # the model works, whatever is thought of its answer
            attempt.status = 200
            health.breaker.succeeded(self._started)
            if self._is_stream and self._is_over and self._content_pieces > 1:
                self._tell_speed(now)
        elif outcome in ("cancelled", "lost_hedge") and self._is_probe and not self._content_pieces:
            health.breaker.abandoned()
        if outcome in ("cancelled", "lost_hedge", "timeout") and self._was_sent and not self._content_pieces:
            health.pace.waited(self._request.tokens_in, self._is_stream, now - self._started)
        if self._exchange is not None:
            await self._exchange.aclose()

    @property
    def _has_line(self) -> bool:
        """Whether the provider may have the request."""
        return self._sending is not None and self._sending.has_line

    def _tell_speed(self, now: float) -> None:
        tokens = self.attempt.usage.output if self.attempt.usage is not None else 0
        if tokens >= PACE_TOKENS_MIN:
            self.target.health.pace.spoke(tokens, now - self._first_at)

    def _count(self, told: Usage | None) -> None:
        """Usage where the provider gave none, or was cut off before it could: what it read and wrote is owed all the same."""
        attempt = self.attempt
        may_be_billed = self._was_sent and self._has_line and attempt.fault in (None, *OWED)
        if self._content_pieces or attempt.outcome == "ok" or may_be_billed:
            self.target.tokens.prepare()
            is_prompt = self._native is not None and self._native.dialect == COMPLETIONS
            attempt.usage = completed(told, self._request, self._uncounted, self.target.tokens, is_prompt=is_prompt)
        self._uncounted.clear()

    def _part_busy(self) -> None:
        """How much of its machine's time went into reading: of a stream it was seen at the first content."""
        attempt = self.attempt
        if not self._content_pieces:
            attempt.prefill_s = attempt.busy_s
        elif not self._is_stream and self.target.model.gpu is not None:  # 60 µs, and nobody looks at it of other models
            wrote = attempt.usage.output if attempt.usage is not None else 0
            attempt.prefill_s = attempt.busy_s * self.target.health.pace.reading_share(wrote, attempt.duration_ms / 1000)
        attempt.prefill_s = min(attempt.prefill_s, attempt.busy_s)
