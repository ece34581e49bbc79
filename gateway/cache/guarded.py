"""A store over the network, made safe to ask: every call is short, and one that fails is a miss."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from gateway.cache.base import (
    CachedAnswer,
    CacheKey,
    Embedding,
    Kept,
    Near,
    Objection,
    Observation,
    Place,
    Selection,
    Served,
    Store,
)
from gateway.errors import StoreUnavailable
from gateway.outages import Effects, Outages
from gateway.store_guard import DEADLINE_S, PROBE_S, StoreGuard

log = logging.getLogger("turnout.cache")

PATIENT_S: Final = 5.0
WALK_S: Final = 30.0  # for what walks through all entries: some 50 µs each
ROUND_TRIPS: Final = 3  # of a look-up that comes to neighbours, all within one deadline

EFFECTS: Final = Effects(
    away="does not serve: requests go on without the cache",
    met="met a fault that costs a miss",
    keys="turnout:cache:",
    server="one primary of Redis 8.0 or later",
    unwritable="takes no answers: those that it has are served",
    writes_again="takes answers again",
)

T = TypeVar("T")


class RemoteStore(Store, Protocol):
    """A backend that may be away."""

    @property
    def address(self) -> str:
        """Where it is, for people; without secrets."""
        ...

    @property
    def problem(self) -> str | None:
        """What this server cannot do for the cache."""
        ...

    def report_to(self, listener: Callable[[StoreUnavailable], None]) -> None:
        """Have faults told that did not keep a call from its result."""
        ...

    async def ping(self) -> float:
        """Seconds that a round trip takes, once connected. Raises StoreUnavailable."""
        ...


class Guarded:
    """A Store of which get, nearest, serve, put, observe and observations never fail and never take longer than deadline_s.

    While the breaker of its StoreGuard is open every call is a miss at once. Those that serve people (served, find, remove,
    oppose, entries, evict) have PATIENT_S or WALK_S and raise StoreUnavailable rather than pretend. failed: is called with
    the cause of each fault. clock: monotonic seconds.
    """

    def __init__(
        self,
        store: RemoteStore,
        failed: Callable[[str], None],
        *,
        deadline_s: float = DEADLINE_S,
        probe_s: float = PROBE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._failed, self.clock, self.deadline_s = store, failed, clock, deadline_s
        self._outages = Outages(f"the cache's store at {store.address}", EFFECTS, log, clock)
        self._guard = StoreGuard(
            store.ping,
            self._outages,
            failed,
            deadline_s=deadline_s,
            probe_s=probe_s,
            round_trips=ROUND_TRIPS,
            clock=clock,
        )
        store.report_to(self._guard.note)

    @property
    def address(self) -> str:
        """Where the store is, for people; without secrets."""
        return self._store.address

    @property
    def problem(self) -> str | None:
        """Why the cache is less than it could be, with the remedy; None when all is well."""
        return self._outages.problem or self._store.problem

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open."""
        return self._guard.is_open

    async def check(self) -> None:
        """See whether the store is there, so that `problem` is right from the start. Never raises StoreUnavailable."""
        await self._guard.check()

    async def get(self, exact: bytes, within_s: float | None = None) -> CachedAnswer | None:
        return await self._quick(lambda: self._store.get(exact), None, within_s)

    async def nearest(self, partition: bytes, embedding: Embedding, count: int, within_s: float | None = None) -> Near:
        return await self._quick(lambda: self._store.nearest(partition, embedding, count), Near(), within_s)

    async def serve(self, served: Served, within_s: float | None = None) -> CachedAnswer | None:
        return await self._quick(lambda: self._store.serve(served), None, within_s)

    async def put(self, key: CacheKey, answer: CachedAnswer, embedding: Embedding | None, ttl_s: float) -> None:
        await self._quick(lambda: self._store.put(key, answer, embedding, ttl_s), None, is_write=True)

    async def observe(self, subject: bytes, observation: Observation, ttl_s: float) -> None:
        await self._quick(lambda: self._store.observe(subject, observation, ttl_s), None, is_write=True)

    async def observations(self, subject: bytes, within_s: float | None = None) -> tuple[Observation, ...]:
        return await self._quick(lambda: self._store.observations(subject), (), within_s)

    async def served(self, request_id: str) -> Served | None:
        return await self._patient(self._store.served(request_id))

    async def find(self, id_: str) -> Place | None:
        return await self._patient(self._store.find(id_))

    async def remove(self, partition: bytes, exacts: Sequence[bytes]) -> int:
        return await self._patient(self._store.remove(partition, exacts))

    async def oppose(self, partition: bytes, objection: Objection, embedding: Embedding, ttl_s: float) -> None:
        await self._patient(self._store.oppose(partition, objection, embedding, ttl_s))

    async def entries(self, selection: Selection, limit: int) -> list[Kept]:
        return await self._patient(self._store.entries(selection, limit), WALK_S)

    async def evict(self, selection: Selection) -> int:
        return await self._patient(self._store.evict(selection), WALK_S)

    async def aclose(self) -> None:
        await self._guard.aclose()
        await self._store.aclose()

    async def _quick(
        self, call: Callable[[], Awaitable[T]], missed: T, within_s: float | None = None, *, is_write: bool = False
    ) -> T:
        """The call's result, or `missed` if the store does not give one within so many seconds, deadline_s if not said."""
        try:
            result = await self._guard.call(call, within_s)
        except StoreUnavailable:  # the guard has told it
            return missed
        if is_write:
            self._outages.writes_again()
        return result

    async def patient(self, call: Callable[[RemoteStore], Awaitable[T]]) -> T:
        """The call's result, within PATIENT_S. Raises StoreUnavailable."""
        return await self._patient(call(self._store))

    async def _patient(self, call: Awaitable[T], within_s: float = PATIENT_S) -> T:
        try:
            async with asyncio.timeout(within_s):
                return await call
        except TimeoutError as exc:
            self._failed("timeout")
            raise StoreUnavailable("timeout", f"no reply within {within_s:.0f} s") from exc
        except StoreUnavailable as exc:
            self._guard.note(exc)
            raise


class _ForRequest:
    """A Guarded of which all calls together take no longer than its deadline. For those of a look-up."""

    def __init__(self, guarded: Guarded) -> None:
        self._guarded, self._left_s = guarded, guarded.deadline_s

    async def get(self, exact: bytes) -> CachedAnswer | None:
        return await self._spend(lambda within_s: self._guarded.get(exact, within_s))

    async def nearest(self, partition: bytes, embedding: Embedding, count: int) -> Near:
        return await self._spend(lambda within_s: self._guarded.nearest(partition, embedding, count, within_s))

    async def serve(self, served: Served) -> CachedAnswer | None:
        return await self._spend(lambda within_s: self._guarded.serve(served, within_s))

    async def observations(self, subject: bytes) -> tuple[Observation, ...]:
        return await self._spend(lambda within_s: self._guarded.observations(subject, within_s))

    async def _spend(self, call: Callable[[float], Awaitable[T]]) -> T:
        began = self._guarded.clock()
        try:
            return await call(self._left_s)
        finally:
            self._left_s -= self._guarded.clock() - began

    async def put(self, key: CacheKey, answer: CachedAnswer, embedding: Embedding | None, ttl_s: float) -> None:
        await self._guarded.put(key, answer, embedding, ttl_s)

    async def observe(self, subject: bytes, observation: Observation, ttl_s: float) -> None:
        await self._guarded.observe(subject, observation, ttl_s)

    async def served(self, request_id: str) -> Served | None:
        return await self._guarded.served(request_id)

    async def find(self, id_: str) -> Place | None:
        return await self._guarded.find(id_)

    async def remove(self, partition: bytes, exacts: Sequence[bytes]) -> int:
        return await self._guarded.remove(partition, exacts)

    async def oppose(self, partition: bytes, objection: Objection, embedding: Embedding, ttl_s: float) -> None:
        await self._guarded.oppose(partition, objection, embedding, ttl_s)

    async def entries(self, selection: Selection, limit: int) -> list[Kept]:
        return await self._guarded.entries(selection, limit)

    async def evict(self, selection: Selection) -> int:
        return await self._guarded.evict(selection)

    async def aclose(self) -> None:
        """The store outlives the request."""


class _ForPeople(_ForRequest):
    """A Guarded whose every call takes the time that one for people has, and raises StoreUnavailable rather than pretend."""

    async def get(self, exact: bytes) -> CachedAnswer | None:
        return await self._guarded.patient(lambda store: store.get(exact))

    async def nearest(self, partition: bytes, embedding: Embedding, count: int) -> Near:
        return await self._guarded.patient(lambda store: store.nearest(partition, embedding, count))

    async def observe(self, subject: bytes, observation: Observation, ttl_s: float) -> None:
        await self._guarded.patient(lambda store: store.observe(subject, observation, ttl_s))

    async def observations(self, subject: bytes) -> tuple[Observation, ...]:
        return await self._guarded.patient(lambda store: store.observations(subject))


def for_people(store: Store) -> Store:
    """The store for what must not be lost, as feedback: where it cannot be asked, that is said."""
    return _ForPeople(store) if isinstance(store, Guarded) else store


def for_request(store: Store) -> Store:
    """The store for the look-up of one request: if it is over a network, its calls share one deadline."""
    return _ForRequest(store) if isinstance(store, Guarded) else store
