"""The shared store: Redis with vector sets (8.0 and later); without them it matches equal requests only.

Any command may be lost without harm: an answer without its vector is matched exactly only, a vector without its answer is
passed over and removed, and what Redis evicts was a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from gateway.cache import redis_wire as wire
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
from gateway.cache.redis_selected import newest, selected
from gateway.cache.redis_session import Listener, RedisSession
from gateway.cache.redis_vectors import SEARCHES_MAX, SPARE, WIDER, Found, added, cosines, removed_if_dangling, search
from gateway.cache.vectors import unit
from gateway.redis_link import Command, fault_of

TTL_MAX_S: Final = 10 * 366 * 86_400.0
REMOVED_AT_ONCE: Final = 200

# ARGV: what keys of answers, of observations and of objections begin with, how many elements are answers', the elements.
VALUES: Final = """
local found = {}
for n = 5, #ARGV do
  if n < 5 + tonumber(ARGV[4]) then
    found[#found + 1] = redis.pcall('HGET', ARGV[1] .. ARGV[n], 'h')
    found[#found + 1] = redis.pcall('LRANGE', ARGV[2] .. ARGV[n], 0, -1)
  else
    found[#found + 1] = redis.pcall('GET', ARGV[3] .. ARGV[n])
  end
end
return found
"""
# Remembers what was served as long as the answer has to live. One that cannot be remembered, since Redis is full or
# read-only, is served all the same; the error comes along.
SERVE: Final = """
local answer = redis.call('HMGET', KEYS[1], 'h', 'd')
if not answer[1] then return {false, false, false} end
local done = redis.pcall('SET', KEYS[2], ARGV[1], 'PX', math.max(redis.call('PTTL', KEYS[1]), 1))
return {answer[1], answer[2], done['err'] or false}
"""


class RedisStore:
    """A Store in the Redis at a URL; all that are opened on one Redis are the same store. Raises ValueError for a bad URL.

    Bounded by what the answers' time to live leaves, and by the server's maxmemory. Similarities are right to 0.005.
    """

    def __init__(self, url: str) -> None:
        self._redis = RedisSession(url)

    @property
    def address(self) -> str:
        """Where it is, for people; without the password."""
        return self._redis.address

    @property
    def problem(self) -> str | None:
        """What this server cannot do for the cache, as far as is known."""
        return self._redis.problem

    def report_to(self, listener: Listener) -> None:
        """Have faults told that did not keep a call from its result."""
        self._redis.listener = listener

    async def ping(self) -> float:
        """Seconds that a round trip takes, once connected. Finds out anew what the server can do."""
        return await self._redis.ping()

    async def get(self, exact: bytes) -> CachedAnswer | None:
        key = wire.entry_key(exact)
        [reply] = await self._redis.ask(("HMGET", key, "h", "d"))
        kept = await self._redis.read(reply, key, wire.unpack_whole)
        return None if kept is None else kept[1]

    async def nearest(self, partition: bytes, embedding: Embedding, count: int) -> Near:
        vector = unit(embedding)
        if vector is None or count < 1 or not (await self._redis.known()).has_vectors:
            return Near()
        answers = Found(wire.answers_key(partition), wire.ENTRIES)
        objections = Found(wire.objections_key(partition), wire.objection_prefix(partition))
        asked, near = count + SPARE, Near()
        for _ in range(SEARCHES_MAX):
            near = await self._search(partition, answers, objections, vector, asked)
            if not (answers.is_short_of(count, asked) or objections.is_short_of(count, asked)):
                break
            asked *= WIDER
        await self._redis.tidy([removed_if_dangling(answers), removed_if_dangling(objections)])
        return Near(near.answers[:count], near.objections[:count])

    async def serve(self, served: Served) -> CachedAnswer | None:
        key = wire.entry_key(served.exact)
        command = ("EVAL", SERVE, 2, key, wire.served_key(served.request_id), wire.pack_served(served))
        [reply] = await self._redis.ask(command)
        if isinstance(reply, list) and reply[2]:
            self._redis.listener(fault_of(reply[2].decode("utf-8", "replace")))
        kept = await self._redis.read(reply, key, wire.unpack_whole)
        return kept[1] if kept is not None and kept[0] == served.partition else None

    async def put(self, key: CacheKey, answer: CachedAnswer, embedding: Embedding | None, ttl_s: float) -> None:
        entry, element = wire.entry_key(key.exact), key.exact.hex()
        if ttl_s <= 0:
            await self._redis.ask(("DEL", entry, wire.observations_key(key.exact)))
            return
        ms = _ms(ttl_s)
        commands: list[Command] = [
            ("MULTI",),
            ("DEL", entry, wire.observations_key(key.exact)),
            ("HSET", entry, "h", wire.pack_answer(key.partition, answer), "d", answer.data),
            ("PEXPIRE", entry, ms),
            ("SET", wire.place_key(answer.id), wire.pack_place(key.partition, key.exact), "PX", ms),
            ("EXEC",),
        ]
        vector = None if embedding is None or answer.question is None else unit(embedding)
        if (await self._redis.known()).has_vectors:
            set_key = wire.answers_key(key.partition)
            commands += [("VREM", set_key, element)] if vector is None else added(set_key, element, vector, ms, wire.ENTRIES)
        await self._redis.written(wire.answers_key(key.partition), await self._redis.ask(*commands))

    async def served(self, request_id: str) -> Served | None:
        key = wire.served_key(request_id)
        [reply] = await self._redis.ask(("GET", key))
        return await self._redis.read(reply, key, lambda raw: wire.unpack_served(request_id, raw))

    async def find(self, id_: str) -> Place | None:
        key = wire.place_key(id_)
        [reply] = await self._redis.ask(("GET", key))
        place = await self._redis.read(reply, key, wire.unpack_place)
        if place is None:
            return None
        partition, exact = place
        commands: list[Command] = [("HGET", wire.entry_key(exact), "h")]
        if (await self._redis.known()).has_vectors:
            commands.append(("VEMB", wire.answers_key(partition), exact.hex()))
        reply, *numbers = await self._redis.ask(*commands)
        kept = await self._redis.read(reply, wire.entry_key(exact), wire.unpack_answer)
        if kept is None or kept[0] != partition or kept[1].id != id_:
            return None
        has_vector = bool(numbers) and isinstance(numbers[0], list)
        return Place(partition, exact, kept[1].question, np.array(numbers[0], np.float32) if has_vector else None)

    async def remove(self, partition: bytes, exacts: Sequence[bytes]) -> int:
        return await self._forget([(partition, exact) for exact in exacts])

    async def oppose(self, partition: bytes, objection: Objection, embedding: Embedding, ttl_s: float) -> None:
        vector = unit(embedding)
        if vector is None or ttl_s <= 0 or not (await self._redis.known()).has_vectors:
            return
        digest, prefix, ms = wire.objection_digest(objection), wire.objection_prefix(partition), _ms(ttl_s)
        set_key = wire.objections_key(partition)
        keep: Command = ("SET", f"{prefix}{digest}", wire.pack_objection(objection), "PX", ms)
        await self._redis.written(set_key, await self._redis.ask(keep, *added(set_key, digest, vector, ms, prefix)))

    async def observe(self, subject: bytes, observation: Observation, ttl_s: float) -> None:
        if ttl_s <= 0:
            return
        key, ms = wire.observations_key(subject), _ms(ttl_s)
        replies = await self._redis.ask(
            ("MULTI",),
            ("RPUSH", key, wire.pack_observation(observation)),
            ("LTRIM", key, -OBSERVATIONS_MAX, -1),
            ("PEXPIRE", key, ms, "NX"),
            ("PEXPIRE", key, ms, "GT"),
            ("EXEC",),
        )
        await self._redis.written(key, replies)

    async def observations(self, subject: bytes) -> tuple[Observation, ...]:
        key = wire.observations_key(subject)
        [reply] = await self._redis.ask(("LRANGE", key, 0, -1))
        return await self._redis.read(reply, key, wire.unpack_observations) or ()

    async def entries(self, selection: Selection, limit: int) -> list[Kept]:
        return await newest(self._redis, selection, limit)

    async def evict(self, selection: Selection) -> int:
        found = [(partition, exact) async for exact, partition, _ in selected(self._redis, selection)]
        batches = [found[begin : begin + REMOVED_AT_ONCE] for begin in range(0, len(found), REMOVED_AT_ONCE)]
        return sum([await self._forget(batch) for batch in batches])

    async def aclose(self) -> None:
        await self._redis.aclose()

    async def _forget(self, places: Sequence[tuple[bytes, bytes]]) -> int:
        """Remove the answers of these partitions and digests, and what was observed of them; how many there were."""
        if not places:
            return 0
        commands: list[Command] = [
            ("DEL", *(wire.entry_key(exact) for _, exact in places)),
            ("DEL", *(wire.observations_key(exact) for _, exact in places)),
        ]
        if (await self._redis.known()).has_vectors:
            commands += [("VREM", wire.answers_key(partition), exact.hex()) for partition, exact in places]
        count: int = (await self._redis.ask(*commands))[0]
        return count

    async def _search(self, partition: bytes, answers: Found, objections: Found, vector: Embedding, asked: int) -> Near:
        """What stands for the `asked` nearest elements of both sets; those that stand for nothing any more are marked."""
        for found, reply in zip(
            (answers, objections),
            await self._redis.ask(search(answers.set_key, vector, asked), search(objections.set_key, vector, asked)),
            strict=True,
        ):
            found.similar = await self._redis.read(reply, found.set_key, cosines) or []
        neighbours, wrong = [], []
        answers.dangling, objections.dangling = [], []
        replies = iter(await self._values(answers, objections))
        for element, similarity in answers.similar:
            exact = bytes.fromhex(element)
            kept = await self._redis.read(next(replies), wire.entry_key(exact), wire.unpack_answer)
            seen = await self._redis.read(next(replies), wire.observations_key(exact), wire.unpack_observations) or ()
            if kept is None or kept[0] != partition or kept[1].question is None:
                answers.dangling.append(element)
            else:
                neighbours.append(Neighbour(similarity, exact, kept[1].id, kept[1].question, seen))
        for element, similarity in objections.similar:
            objection = await self._redis.read(next(replies), f"{objections.prefix}{element}", _objection(similarity))
            if objection is None:
                objections.dangling.append(element)
            else:
                wrong.append(objection)
        return Near(tuple(neighbours), tuple(wrong))

    async def _values(self, answers: Found, objections: Found) -> list[Any]:
        """Answer and observations of each element found, then each objection: one command, for each costs this process 30 µs."""
        elements = [element for found in (answers, objections) for element, _ in found.similar]
        if not elements:
            return []
        prefixes = (answers.prefix, wire.OBSERVATIONS, objections.prefix)
        [reply] = await self._redis.ask(("EVAL", VALUES, 0, *prefixes, len(answers.similar), *elements))
        return list(reply)


def _objection(similarity: float) -> Callable[[object], Objection]:
    return lambda raw: wire.unpack_objection(raw, similarity)


def _ms(seconds: float) -> int:
    return max(int(min(seconds, TTL_MAX_S) * 1000), 1)
