"""The embedded store: this process's memory, bounded by bytes, least recently used out first."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import msgspec

from gateway.cache.base import (
    OBSERVATIONS_MAX,
    CachedAnswer,
    CacheKey,
    Embedding,
    Kept,
    Near,
    Neighbour,
    Objection,
    Observation,
    Place,
    Selection,
    Served,
)

if TYPE_CHECKING:
    from gateway.cache.vectors import Rows

# What the Python objects of one record take besides the texts, bytes and vectors in it; held against tracemalloc by a test.
ANSWER_BYTES: Final = 1_000
VECTOR_BYTES: Final = 100  # the key's place in its partition; the numbers are counted as they are
PARTITION_BYTES: Final = 700
SERVED_BYTES: Final = 620
OBJECTION_BYTES: Final = 520
SUBJECT_BYTES: Final = 350
OBSERVATION_BYTES: Final = 90
WALK: Final = 2_000  # records that a walk through all of them looks at before others have a turn

Pair = tuple[str, str]
"""The question asked and the one whose answer was wrong for it."""
K = TypeVar("K", bytes, Pair)


class _Answer(msgspec.Struct, gc=False):
    """expires_at: seconds since 1970, as everywhere here."""

    partition: bytes
    answer: CachedAnswer
    expires_at: float
    size_bytes: int


class _Served(msgspec.Struct, gc=False):
    served: Served
    expires_at: float
    size_bytes: int


class _Objection(msgspec.Struct, gc=False):
    partition: bytes
    pair: Pair
    expires_at: float
    size_bytes: int


class _Subject(msgspec.Struct, gc=False):
    observations: tuple[Observation, ...]
    expires_at: float
    size_bytes: int


_Record = _Answer | _Served | _Objection | _Subject
_Key = (
    tuple[Literal["answer"], bytes]
    | tuple[Literal["served"], str]
    | tuple[Literal["objection"], tuple[bytes, Pair]]
    | tuple[Literal["subject"], bytes]
)


class MemoryStore:
    """A Store in memory. bytes_max: of all that it holds. clock: seconds since 1970."""

    def __init__(self, bytes_max: int, clock: Callable[[], float] = time.time) -> None:
        self._bytes_max, self._clock = bytes_max, clock
        # INVARIANT: the least recently used first. A neighbour that was only looked at was not used.
        self._records: OrderedDict[_Key, _Record] = OrderedDict()
        self._answers: dict[bytes, Rows[bytes]] = {}
        self._objections: dict[bytes, Rows[Pair]] = {}
        self._exact_of: dict[str, bytes] = {}
        self.size_bytes = 0

    def __len__(self) -> int:
        """How many answers it holds."""
        return sum(isinstance(record, _Answer) for record in self._records.values())

    async def get(self, exact: bytes) -> CachedAnswer | None:
        kept = self._used(("answer", exact))
        return kept.answer if isinstance(kept, _Answer) else None

    async def nearest(self, partition: bytes, embedding: Embedding, count: int) -> Near:
        answers, objections = [], []
        for similarity, exact in self._near(self._answers, partition, embedding, count):
            kept = self._records["answer", exact]
            if isinstance(kept, _Answer) and kept.answer.question is not None:
                answers.append(Neighbour(similarity, exact, kept.answer.id, kept.answer.question, self._observed(exact)))
        for similarity, (asked, wrong) in self._near(self._objections, partition, embedding, count):
            self._records.move_to_end(("objection", (partition, (asked, wrong))))
            objections.append(Objection(asked, wrong, similarity))
        return Near(tuple(answers), tuple(objections))

    async def serve(self, served: Served) -> CachedAnswer | None:
        kept = self._used(("answer", served.exact))
        if not isinstance(kept, _Answer) or kept.partition != served.partition:
            return None
        size = SERVED_BYTES + _bytes(served.asked) + _bytes(served.request_id)
        self._keep(("served", served.request_id), _Served(served, kept.expires_at, size))
        return kept.answer

    async def put(self, key: CacheKey, answer: CachedAnswer, embedding: Embedding | None, ttl_s: float) -> None:
        exact, question = key.exact, answer.question
        if ttl_s <= 0:
            self._remove(exact)
            return
        self._forget(("subject", exact))
        size = ANSWER_BYTES + len(answer.data) + _bytes(answer.id + (question or "") + answer.tenant + answer.route)
        if not self._keep(("answer", exact), _Answer(key.partition, answer, self._clock() + ttl_s, size)):
            return
        self._exact_of[answer.id] = exact
        if embedding is not None and question is not None:
            self._add(self._answers, key.partition, exact, embedding)

    async def served(self, request_id: str) -> Served | None:
        kept = self._used(("served", request_id))
        return kept.served if isinstance(kept, _Served) else None

    async def find(self, id_: str) -> Place | None:
        exact = self._exact_of.get(id_)
        kept = None if exact is None else self._used(("answer", exact))
        if exact is None or not isinstance(kept, _Answer):
            return None
        rows = self._answers.get(kept.partition)
        vector = rows.vector(exact) if rows is not None and exact in rows else None
        return Place(kept.partition, exact, kept.answer.question, vector)

    async def remove(self, partition: bytes, exacts: Sequence[bytes]) -> int:
        count = 0
        for exact in exacts:
            is_there = self._used(("answer", exact)) is not None
            count += self._remove(exact) and is_there
        return count

    async def oppose(self, partition: bytes, objection: Objection, embedding: Embedding, ttl_s: float) -> None:
        pair = (objection.asked, objection.kept)
        self._forget(("objection", (partition, pair)))
        size = OBJECTION_BYTES + _bytes(objection.asked) + _bytes(objection.kept)
        kept = _Objection(partition, pair, self._clock() + ttl_s, size)
        if _unit(embedding) is not None and ttl_s > 0 and self._keep(("objection", (partition, pair)), kept):
            self._add(self._objections, partition, pair, embedding)

    async def observe(self, subject: bytes, observation: Observation, ttl_s: float) -> None:
        if ttl_s <= 0:
            return
        kept = self._used(("subject", subject))
        known, until = (kept.observations, kept.expires_at) if isinstance(kept, _Subject) else ((), 0.0)
        observations = (*known, observation)[-OBSERVATIONS_MAX:]
        size = SUBJECT_BYTES + len(subject) + OBSERVATION_BYTES * len(observations)
        self._keep(("subject", subject), _Subject(observations, max(until, self._clock() + ttl_s), size))

    async def observations(self, subject: bytes) -> tuple[Observation, ...]:
        return self._observed(subject)

    async def entries(self, selection: Selection, limit: int) -> list[Kept]:
        found = [
            Kept(kept.answer, kept.size_bytes, kept.expires_at, self._observed(exact))
            async for exact, kept in self._selected(selection)
        ]
        return heapq.nlargest(limit, found, key=lambda kept: kept.answer.stored_at)

    async def evict(self, selection: Selection) -> int:
        return sum([self._remove(exact) async for exact, _ in self._selected(selection)])

    async def aclose(self) -> None:
        """Nothing to close."""

    async def _selected(self, selection: Selection) -> AsyncIterator[tuple[bytes, _Answer]]:
        now = self._clock()
        for n, key in enumerate(list(self._records)):
            if n % WALK == WALK - 1:
                await asyncio.sleep(0)
            kept = self._records.get(key)
            if key[0] == "answer" and isinstance(kept, _Answer) and now < kept.expires_at and selection.matches(kept.answer, now):
                yield key[1], kept

    def _observed(self, subject: bytes) -> tuple[Observation, ...]:
        kept = self._used(("subject", subject))
        return kept.observations if isinstance(kept, _Subject) else ()

    def _near(
        self, partitions: dict[bytes, Rows[K]], partition: bytes, embedding: Embedding, count: int
    ) -> list[tuple[float, K]]:
        """The nearest that are not past their time."""
        vector = _unit(embedding)
        while vector is not None and count > 0 and (rows := partitions.get(partition)) is not None and rows.dim == len(vector):
            found = rows.nearest(vector, count)
            now = self._clock()
            past = [key for _, key in found if self._records[self._key(partition, key)].expires_at <= now]
            if not past:
                return found
            for key in past:  # others may have stood behind them
                self._forget(self._key(partition, key))
        return []

    def _add(self, partitions: dict[bytes, Rows[K]], partition: bytes, key: K, embedding: Embedding) -> None:
        """Have what is kept found by its embedding, if that has a direction and the length of the others'."""
        from gateway.cache.vectors import Rows

        vector = _unit(embedding)
        rows = partitions.get(partition)
        if vector is None or (rows is not None and rows.dim != len(vector)):
            return
        if rows is None:
            rows = partitions[partition] = Rows(len(vector))
            self.size_bytes += PARTITION_BYTES + rows.nbytes
        before = rows.nbytes
        rows.add(key, vector)
        self.size_bytes += rows.nbytes - before + VECTOR_BYTES
        self._make_room()

    def _drop(self, partitions: dict[bytes, Rows[K]], partition: bytes, key: K) -> None:
        rows = partitions.get(partition)
        if rows is None or key not in rows:
            return
        before = rows.nbytes
        rows.remove(key)
        self.size_bytes -= before - rows.nbytes + VECTOR_BYTES
        if not len(rows):
            self.size_bytes -= PARTITION_BYTES + rows.nbytes
            del partitions[partition]

    def _used(self, key: _Key) -> _Record | None:
        kept = self._records.get(key)
        if kept is None:
            return None
        if self._clock() >= kept.expires_at:
            self._forget(key)
            return None
        self._records.move_to_end(key)
        return kept

    def _keep(self, key: _Key, record: _Record) -> bool:
        """Whether it is kept: one that would not fit into an empty store is not, and costs nothing else its place."""
        self._forget(key)
        if record.size_bytes > self._bytes_max:
            return False
        self._records[key] = record
        self.size_bytes += record.size_bytes
        if self.size_bytes > self._bytes_max:
            self._make_room()
        return True

    def _make_room(self) -> None:
        while self.size_bytes > self._bytes_max and self._records:
            self._forget(next(iter(self._records)))

    def _remove(self, exact: bytes) -> bool:
        """Whether there was an answer. What was observed of it goes with it."""
        self._forget(("subject", exact))
        return self._forget(("answer", exact))

    def _forget(self, key: _Key) -> bool:
        kept = self._records.pop(key, None)
        if kept is None:
            return False
        self.size_bytes -= kept.size_bytes
        if key[0] == "answer" and isinstance(kept, _Answer):
            self._drop(self._answers, kept.partition, key[1])
            if self._exact_of.get(kept.answer.id) == key[1]:
                del self._exact_of[kept.answer.id]
        elif isinstance(kept, _Objection):
            self._drop(self._objections, kept.partition, kept.pair)
        return True

    @staticmethod
    def _key(partition: bytes, key: bytes | Pair) -> _Key:
        return ("answer", key) if isinstance(key, bytes) else ("objection", (partition, key))


def _bytes(text: str) -> int:
    """At most what a text takes in memory, besides its head."""
    return len(text) if text.isascii() else 4 * len(text)


def _unit(embedding: Embedding) -> Embedding | None:
    """As vectors.unit, which needs numpy: only those who look for similar questions have it imported."""
    from gateway.cache.vectors import unit

    return unit(embedding)
