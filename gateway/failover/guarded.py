"""Begin an attempt under a latency guard: once the model is known to be slow, whoever still waits for it leaves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final

from gateway.errors import UpstreamError
from gateway.health.guard import Guard
from gateway.providers.base import Piece
from gateway.request import ChatRequest
from gateway.running import Running
from gateway.target import Target

Begin = Coroutine[Any, Any, list[Piece]]

LAG_S: Final = 0.01  # later than this, our own loop was held up


class Watch:
    """A guard's eye on the first target of one request. `end` it in any case.

    is_trial: the guard has tripped, and lets this request through to see whether the model is fast again.
    """

    def __init__(self, guard: Guard, target: Target, *, is_trial: bool) -> None:
        self.target = target
        self._guard, self._is_trial = guard, is_trial

    def end(self) -> None:
        """The request is answered, or has failed, or was never sent to this target."""
        if self._is_trial:
            self._guard.abandoned()
            self._is_trial = False

    async def begin(
        self, running: Running, begin: Begin, request: ChatRequest, clock: Callable[[], float], can_leave: Callable[[], bool]
    ) -> list[Piece]:
        """What `begin` gives, and word of it to the guard. can_leave: whether another target is likely to answer.

        A request that waits longer than the guard's threshold tells so at once, so that a model that has gone slow is
        known by those who wait and not only by those who have been answered. Raises UpstreamError (fault `slow`) when it is.
        """
        started, threshold_s = clock(), self._guard.threshold_s(request.tokens_in, request.is_stream)
        task = asyncio.ensure_future(begin)
        is_slow = False
        try:
            await asyncio.wait({task}, timeout=threshold_s)
            if not task.done() and threshold_s is not None:
                # A timer that rings late has waited for us, and so has whatever the model has said meanwhile.
                lag_s = clock() - started - threshold_s
                if lag_s > LAG_S:
                    await asyncio.wait({task}, timeout=lag_s)
            if not task.done() and threshold_s is not None:
                is_slow = True
                self._tell(threshold_s, request, is_over=False)
                await _either(task, self._guard.tripped)
                if not can_leave():
                    await asyncio.wait({task})
            if not task.done():
                waited = f"nothing within {clock() - started:.2f} s, and it is slower than usual just now"
                running.give_up(UpstreamError(f"{running.attempt.model}: {waited}", fault="slow"))
            await _ended(task)
        except asyncio.CancelledError:
            try:
                await _ended(task)
            finally:
                await running.end("cancelled")  # it may have begun to answer just now, and nobody reads on
            raise
        if task.cancelled():
            assert running.given_up is not None, "nobody else cancels it"
            raise running.given_up
        pieces = task.result()
        if not is_slow:
            # It was not seen to wait longer than the threshold: what it took beyond that was our own doing.
            self._tell(min(clock() - started, threshold_s or math.inf), request, is_over=True)
        return pieces

    def _tell(self, first_s: float, request: ChatRequest, *, is_over: bool) -> None:
        self._is_trial = False
        self._guard.noted(first_s, request.tokens_in, request.is_stream, is_over=is_over)


async def _ended(task: asyncio.Future[list[Piece]]) -> None:
    """Cancelled or not, it must have ended before its caller does: it holds the connection."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _either(task: asyncio.Future[list[Piece]], tripped: asyncio.Event) -> None:
    trip = asyncio.ensure_future(tripped.wait())
    both: set[asyncio.Future[Any]] = {task, trip}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        trip.cancel()
