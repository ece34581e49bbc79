"""What stands between requests and a store over a network: a deadline on each call, and a breaker that spares them all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from gateway.errors import StoreUnavailable
from gateway.outages import Outages

DEADLINE_S: Final = 0.05
PROBE_S: Final = 1.0
PROBE_MAX_S: Final = 5.0
PROBE_GROWTH: Final = 1.5
PING_MAX_S: Final = 1.0
STEADY_S: Final = 10.0
BEHIND_S: Final = 1.0

# After one of these nothing is asked until a ping is answered. Others concern single commands: reads go on while writes fail.
OPENING: Final = frozenset({"timeout", "connection", "loading", "auth", "protocol"})

T = TypeVar("T")


class StoreGuard:
    """Calls that end within deadline_s, with their result or with StoreUnavailable.

    The first that finds nobody, or is late while no other is answered, opens a breaker: until a ping in the background is
    answered in time, every call fails at once. ping: seconds that a round trip took; raises StoreUnavailable. failed: is
    called with the cause of each fault. opening: causes that open the breaker. round_trips: of the longest call, all of
    which must fit into the deadline. clock: monotonic seconds.
    """

    def __init__(
        self,
        ping: Callable[[], Awaitable[float]],
        outages: Outages,
        failed: Callable[[str], None],
        *,
        opening: frozenset[str] = OPENING,
        deadline_s: float = DEADLINE_S,
        probe_s: float = PROBE_S,
        round_trips: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ping, self._outages, self._failed, self.clock = ping, outages, failed, clock
        self._opening, self._round_trips = opening, round_trips
        self.deadline_s, self._probe_s = deadline_s, probe_s
        self._breaking: StoreUnavailable | None = None
        self._probing: asyncio.Task[None] | None = None
        self._wait_s, self._closed_at = probe_s, -STEADY_S
        self._replied_at = -STEADY_S

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open."""
        return self._breaking is not None

    async def check(self) -> None:
        """See whether the store is there, so that it is known from the start. Never raises StoreUnavailable."""
        fault = await self._pinged()
        if fault is not None:
            self.note(fault)

    async def call(self, call: Callable[[], Awaitable[T]], within_s: float | None = None) -> T:
        """The call's result, within so many seconds, deadline_s if not said. Raises StoreUnavailable, which is noted."""
        self._refuse_if_open()
        began, limit_s = self.clock(), self.deadline_s if within_s is None else within_s
        if limit_s <= 0:  # the calls before this one were answered, and this process was busy: no fault of the store's
            self._failed("timeout")
            raise StoreUnavailable("timeout", "there was no time left to ask it")
        try:
            async with asyncio.timeout(limit_s):
                result = await call()
        except TimeoutError as exc:
            raise self._late(began, limit_s) from exc
        except StoreUnavailable as exc:
            self.note(exc)
            raise
        self._replied_at = self.clock()
        return result

    async def reply(self, ask: Callable[[], asyncio.Future[T | StoreUnavailable]]) -> T:
        """As `call`, where a lost reply does harm. Raises StoreUnavailable, or passes on the one that is replied, noted.

        While others are answered it is this process that is behind, and waiting goes on, for BEHIND_S at most.
        """
        self._refuse_if_open()
        began = self.clock()
        reply = ask()
        try:
            while not reply.done():
                looked = self.clock()
                # In two parts: when this process was held up in the first, the second lets in the reply that lay there.
                for share in (0.8, 0.2):
                    await asyncio.wait({reply}, timeout=share * self.deadline_s)
                if not reply.done() and (self._replied_at < looked or self.clock() - began > BEHIND_S):
                    raise self._late(looked, self.deadline_s)
        finally:
            reply.cancel()  # does nothing to one that is done
        result = reply.result()
        if isinstance(result, StoreUnavailable):
            self.note(result)
            raise result
        self._replied_at = self.clock()
        return result

    def note(self, fault: StoreUnavailable) -> None:
        """A fault was met, by a call or beside one."""
        self._failed(fault.cause)
        if fault.cause not in self._opening:
            self._outages.met(fault)
            return
        if self._breaking is None:
            self._breaking = fault
            self._outages.begins(fault)
            if self._probing is None or self._probing.done():
                self._probing = asyncio.create_task(self._probe(), name="store-probe")

    async def aclose(self) -> None:
        """Stop looking whether the store is back."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    def _refuse_if_open(self) -> None:
        if self._breaking is not None:
            # A new one: an exception that is raised again and again keeps all of its tracebacks.
            raise StoreUnavailable(self._breaking.cause, str(self._breaking))

    def _late(self, since: float, limit_s: float) -> StoreUnavailable:
        fault = StoreUnavailable("timeout", f"no reply within {limit_s * 1000:.0f} ms")
        if self._replied_at > since:
            # Others are answered: it is this process that is busy, and to be without the store would not help.
            self._failed("timeout")
        else:
            self.note(fault)
        return fault

    async def _probe(self) -> None:
        """Ping until a reply comes in time. Users' requests are never what finds out."""
        if self.clock() - self._closed_at > STEADY_S:  # else it comes and goes, and is left alone the longer
            self._wait_s = self._probe_s
        while self._breaking is not None:
            await asyncio.sleep(self._wait_s)
            self._wait_s = min(self._wait_s * PROBE_GROWTH, PROBE_MAX_S)
            fault = await self._pinged()
            if fault is None:
                self._breaking, self._closed_at = None, self.clock()
                self._outages.ends()
            else:
                self._breaking = fault
                self._outages.begins(fault)

    async def _pinged(self) -> StoreUnavailable | None:
        """What is wrong; None if nothing is. To connect may take longer than a call may."""
        try:
            async with asyncio.timeout(PING_MAX_S):
                took_s = await self._ping()
        except TimeoutError:
            return StoreUnavailable("timeout", f"no reply within {PING_MAX_S:.0f} s")
        except StoreUnavailable as exc:
            return exc
        if took_s * self._round_trips > self.deadline_s:
            limit_ms = self.deadline_s / self._round_trips * 1000
            return StoreUnavailable("timeout", f"a reply takes {took_s * 1000:.0f} ms, it may take {limit_ms:.0f}")
        return None
