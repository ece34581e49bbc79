"""Single-flight: of identical requests that nothing answers yet one goes upstream, and the others wait for what it brings."""

from __future__ import annotations

import asyncio

from gateway.cache.base import CachedAnswer


class Flight:
    """One request's way upstream, for others to wait on. Ends exactly once, with an answer or without."""

    def __init__(self, flights: dict[bytes, Flight], exact: bytes) -> None:
        self._flights, self._exact = flights, exact
        self._landed: asyncio.Event | None = None  # nearly always nobody waits
        self._answer: CachedAnswer | None = None

    def land(self, answer: CachedAnswer | None) -> None:
        """The leader is done. None: there is nothing that may be given to others."""
        if self._flights.get(self._exact) is self:
            del self._flights[self._exact]
            self._answer = answer
            if self._landed is not None:
                self._landed.set()

    async def wait(self, limit_s: float) -> CachedAnswer | None:
        """What the leader brought; None when it brought nothing, or takes longer than limit_s seconds."""
        if self._flights.get(self._exact) is not self:
            return self._answer
        if self._landed is None:
            self._landed = asyncio.Event()
        try:
            async with asyncio.timeout(limit_s):
                await self._landed.wait()
        except TimeoutError:
            return None
        return self._answer


class Flights:
    """The flights of this process. Bounded by the requests under way, each of which leads at most one."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, Flight] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def of(self, exact: bytes) -> Flight | None:
        """The flight to wait for, if this very request is on its way already."""
        return self._under_way.get(exact)

    def lead(self, exact: bytes) -> Flight:
        """Begin one; land it in any case. A second leader of the same request is nobody's to wait for."""
        flight = Flight(self._under_way, exact)
        self._under_way.setdefault(exact, flight)
        return flight
