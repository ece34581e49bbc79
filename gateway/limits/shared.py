"""A Limiter over Redis that never keeps a request waiting: while Redis is away, each replica counts alone, or refuses."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from gateway.errors import StoreUnavailable
from gateway.limits.base import Ask, Correction, Counted, Hold, LimitExceeded, LimitsUnavailable
from gateway.limits.memory import MemoryLimits
from gateway.limits.redis import PREFIX, RedisCounts
from gateway.outages import OF_WRITES, Effects, Outages
from gateway.settling import Settling
from gateway.store_guard import DEADLINE_S, OPENING, PROBE_S, StoreGuard

log = logging.getLogger("turnout.limits")

EFFECTS: Final = Effects(
    away="does not serve: each replica counts alone, and limits that are `on_error: closed` refuse",
    met="met a fault: this request was counted alone, or refused",
    keys=PREFIX,
    server="one primary of Redis 7.0 or later",
)
OWED_MAX: Final = 10_000  # corrections that wait to be sent; the oldest give way
BATCH_MAX: Final = 200
SETTLE_S: Final = 1.0  # nobody waits for it
CLOSE_S: Final = 2.0


class SharedLimits:
    """Owned by the application's lifespan. failed: is called with the cause of each fault. clock: monotonic seconds."""

    def __init__(
        self,
        counts: RedisCounts,
        failed: Callable[[str], None],
        *,
        deadline_s: float = DEADLINE_S,
        probe_s: float = PROBE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counts, self._alone = counts, MemoryLimits(clock)
        self._outages = Outages(f"the limits' store at {counts.address}", EFFECTS, log, clock)
        # Whatever keeps it from being written keeps it from counting.
        opening = OPENING | OF_WRITES | {"unsupported"}
        self._guard = StoreGuard(
            counts.ping, self._outages, failed, opening=opening, deadline_s=deadline_s, probe_s=probe_s, clock=clock
        )
        self._owed: deque[Correction] = deque(maxlen=OWED_MAX)
        self._sending: list[Correction] = []
        self._settling = Settling("limits-settling", self._guard, lambda: bool(self._owed), self._send, probe_s)

    @property
    def problem(self) -> str | None:
        return self._outages.problem

    @property
    def owed(self) -> int:
        """Corrections that Redis has not counted yet."""
        return len(self._owed) + len(self._sending)

    async def check(self) -> None:
        """See whether Redis is there, so that readiness is right from the start, and the first request finds a connection."""
        await self._guard.check()

    async def reserve(self, asks: Sequence[Ask]) -> Hold:
        try:
            reserved = await self._guard.reply(lambda: self._counts.reserve(asks))
        except StoreUnavailable as exc:
            closed = next((ask.window for ask in asks if ask.window.on_error == "closed"), None)
            if closed is not None:
                raise LimitsUnavailable(closed) from exc
            return await self._alone.reserve(asks)
        levels = [one.level for one in reserved]
        refused = [(one.wait_s, ask) for one, ask in zip(reserved, asks, strict=True) if one.is_refused]
        if refused:
            wait_s, spent = max(refused, key=lambda one: float("inf") if one[0] is None else one[0])
            raise LimitExceeded(spent, wait_s, levels)
        return Hold(self, [Counted(ask, one.bucket) for ask, one in zip(asks, reserved, strict=True)], levels)

    def settle(self, corrections: Sequence[Correction]) -> None:
        self._owed.extend(corrections)
        self._settling.wake()

    async def aclose(self) -> None:
        await self._settling.aclose(CLOSE_S)  # what is not told by then counts as it was reserved
        await self._guard.aclose()
        await self._counts.aclose()

    async def _send(self) -> None:
        """Tell Redis once. A batch that fails may have been counted: sent again, it could give back what was never held.

        What is lost so counts as it was reserved, until it leaves its window.
        """
        self._sending = [self._owed.popleft() for _ in range(min(len(self._owed), BATCH_MAX))]
        with contextlib.suppress(StoreUnavailable):  # the guard has told it
            await self._guard.call(lambda: self._counts.settle(self._sending), SETTLE_S)
        self._sending = []
