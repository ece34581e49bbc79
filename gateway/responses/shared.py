"""Responses in Redis behind a deadline and a breaker: no request waits for a store that is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from gateway.outages import Effects, Outages
from gateway.responses.base import Kept
from gateway.responses.redis import PREFIX, RedisResponses
from gateway.store_guard import PROBE_S, StoreGuard

log = logging.getLogger("turnout.responses")

EFFECTS: Final = Effects(
    away="does not serve: answers are not kept, and what goes on from an earlier one is refused with 503",
    met="met a fault: an answer was not kept, or could not be gone on from",
    keys=PREFIX,
    server="one primary of Redis 7.0 or later",
    unwritable="takes no answers: those that it has can be gone on from",
    writes_again="takes answers again",
)
DEADLINE_S: Final = 0.5
"""Longer than that of other stores: without it the request fails, and a conversation with images has megabytes."""


class SharedResponses:
    """A ResponseStore. failed: is called with the cause of each fault. clock: monotonic seconds."""

    def __init__(
        self,
        store: RedisResponses,
        failed: Callable[[str], None],
        *,
        deadline_s: float = DEADLINE_S,
        probe_s: float = PROBE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._outages = Outages(f"the responses' store at {store.address}", EFFECTS, log, clock)
        self._guard = StoreGuard(store.ping, self._outages, failed, deadline_s=deadline_s, probe_s=probe_s, clock=clock)

    @property
    def problem(self) -> str | None:
        return self._outages.problem

    async def check(self) -> None:
        """See whether Redis is there, so that readiness is right from the start."""
        await self._guard.check()

    async def put(self, owner: str, id_: str, kept: Kept, output_ids: Sequence[str], ttl_s: float) -> None:
        await self._guard.call(lambda: self._store.put(owner, id_, kept, output_ids, ttl_s))
        self._outages.writes_again()

    async def get(self, owner: str, id_: str) -> Kept | None:
        return await self._guard.call(lambda: self._store.get(owner, id_))

    async def holder(self, owner: str, output_id: str) -> str | None:
        return await self._guard.call(lambda: self._store.holder(owner, output_id))

    async def remove(self, owner: str, id_: str) -> bool:
        return await self._guard.call(lambda: self._store.remove(owner, id_))

    async def aclose(self) -> None:
        await self._guard.aclose()
        await self._store.aclose()
