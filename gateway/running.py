"""One call of one model under way: bounded reads, and the attempt's record, which is complete however the call ends."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Final, Literal

import msgspec

from gateway.attempt import Attempt
from gateway.chat import worst_finish
from gateway.deadline import Deadline
from gateway.dialects.answer_shape import answer, check_stream
from gateway.errors import Fault, UpstreamError
from gateway.pricing.uncounted import Uncounted, completed
from gateway.providers.base import Call, Exchange, Piece, Sending
from gateway.providers.event_stream import EventStream
from gateway.request import CHAT, COMPLETIONS, ChatRequest, Native
from gateway.target import FREE, Admission, Target
from gateway.usage import Usage, estimate_tokens

Give = Callable[[list[Piece]], Awaitable[None] | None]
Ending = Literal["ok", "error", "timeout", "cancelled", "unconvincing", "lost_hedge"]

OWED: tuple[Fault, ...] = ("timeout", "slow", "cut", "malformed")  # after these a provider that had the request may bill it
NOTHING_WORKED: tuple[Fault, ...] = ("connect", "unavailable", "unsupported")  # no machine was busy with the call

NOT_SENT: Final = Sending(has_line=False)
HELD_BYTES_MAX = 64 * 1024  # preamble held back before the first content
FLOOR_S: Final = 2.0  # how long a stream is watched that must keep up a speed
PACE_TOKENS_MIN: Final = 8  # fewer say nothing of a model's speed


class Running:
    """One attempt, and the exchange behind it. Ends exactly once.

    is_probe: it decides whether the breaker closes again. given_up: why it was, if it was while it was alive.
    """

    # As an attempt begins; a request that is answered at once changes few of them.
    given_up: UpstreamError | None = None
    _exchange: Exchange | None = None
    _sending = NOT_SENT  # of the call, once it is made
    _was_sent = False  # as far as can be told: a provider that has the request may bill it
    _connect_s = 0.0
    _first_at = 0.0
    _waits_since = 0.0  # on the clock
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
        self._busy = target.health.busy.start(self._started)
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
        held = pieces = await self.read(math.inf, limit, "no content within")
        held_bytes = 0
        while not (self._content_pieces or self._is_over):
            held_bytes += sum([len(piece.data) for piece in pieces])
            if held_bytes > HELD_BYTES_MAX:
                break
            pieces = await self.read(math.inf, limit, "no content within")
            held = held + pieces
        if floor is not None and self._content_pieces and not self._is_over:
            await self._keeps_up(held, floor, floor_by)
        return held

    async def pass_on(self, idle_s: float, until: float, give: Give) -> None:
        """Read on to the end, and give the pieces as they come. What `give` returns is awaited before it is given more.

        Those of an EventStream are given where they arrive: mostly each event comes alone, and to wake a task for it costs as
        much as all else that is done with it.
        """
        exchange, clock, deadline = self._exchange, self._clock, self._deadline
        assert exchange is not None, "begin first"
        pending: Awaitable[None] | None = None

        def take(pieces: list[Piece]) -> bool:
            nonlocal pending
            now = self._waits_since = clock()
            deadline.at = min(now + idle_s, until)
            self._note(pieces)
            pending = give(pieces)
            return pending is None and not self._is_over

        stream = exchange if isinstance(exchange, EventStream) else None
        try:
            while not self._is_over:
                if stream is not None and stream.flows:
                    await self.read(idle_s, until, flow=partial(stream.flow, take))
                else:
                    pending = give(await self.read(idle_s, until))
                if pending is not None:
                    await pending
                    pending = None
        finally:
            if isinstance(pending, Coroutine):  # given in the very moment in which the wait for more was broken off
                pending.close()

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
            held += await self.read(math.inf, until, what, fault="slow")

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

    async def read(
        self,
        idle_s: float,
        until: float,
        what: str = "nothing more came within",
        *,
        fault: Fault = "timeout",
        flow: Callable[[], Awaitable[None]] | None = None,
    ) -> list[Piece]:
        """The next pieces, within idle_s, and by `until` on the clock.

        what, fault: of the UpstreamError that is raised for pieces that come too late. flow: what takes the pieces, and moves the
        limit; then none are returned.
        """
        now, deadline = self._clock(), self._deadline
        limit = deadline.at = min(now + idle_s, until)
        self._waits_since = now
        try:
            if limit <= now:  # a timer alone would let through what is there at once, and to a slow reader all of it is
                raise TimeoutError
            with deadline:
                exchange = self._exchange
                if exchange is None:
                    exchange = self._exchange = await self.target.provider.open(self._call())
                    self._was_sent = True
                if flow is None:
                    pieces = await exchange.read()
                    self._note(pieces)
                else:
                    await flow()
                    pieces = []
        except TimeoutError as exc:
            self._was_sent = True
            waited_s = deadline.at - self._waits_since
            why = f"{what} {waited_s:.1f} s" if waited_s > 0 else "the time that the policy gives the request was up"
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
                self._content_pieces += piece.events
            usage = piece.usage
            if usage is not None:
                self.attempt.usage = usage
            if usage is None or usage.estimated:
                if piece.text:
                    self._uncounted.heard(piece.text)
            elif self._uncounted.chars:
                self._uncounted.clear()
            if piece.finish is not None:
                self._finish = worst_finish(self._finish, piece.finish)
            if piece.is_end:
                self._is_over = True
                if self._says_nothing():
                    name = self.target.model.name
                    raise UpstreamError(f"{name}: the answer has nothing in it", fault="empty", is_retryable=True)

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
            self.attempt.prefill_s = self.target.health.busy.so_far(self._busy, self._first_at)
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
        attempt.busy_s = health.busy.stop(self._busy, now)
        self._busy = -1.0
        if not self._sending.has_line or attempt.fault in NOTHING_WORKED:
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
        elif not self._content_pieces:
            self._tell_silence(outcome, now)
        if self._exchange is not None:
            await self._exchange.aclose()

    def _tell_silence(self, outcome: Ending, now: float) -> None:
        """It was left, or failed, before it had said anything."""
        health, is_left = self.target.health, outcome in ("cancelled", "lost_hedge")
        if is_left and self._is_probe:
            health.breaker.abandoned()
        if (is_left or outcome == "timeout") and self._was_sent:
            health.pace.waited(self._request.tokens_in, self._is_stream, now - self._started)

    def _tell_speed(self, now: float) -> None:
        tokens = self.attempt.usage.output if self.attempt.usage is not None else 0
        if tokens >= PACE_TOKENS_MIN:
            self.target.health.pace.spoke(tokens, now - self._first_at)

    def _count(self, told: Usage | None) -> None:
        """Usage where the provider gave none, or was cut off before it could: what it read and wrote is owed all the same."""
        attempt = self.attempt
        may_be_billed = self._was_sent and self._sending.has_line and attempt.fault in (None, *OWED)
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
