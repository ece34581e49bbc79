"""Walk through all answers in Redis, for people who look or clean up: takes a second or so for 100,000 of them."""

from __future__ import annotations

import heapq
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from gateway.cache import redis_wire as wire
from gateway.cache.base import CachedAnswer, Kept, Selection
from gateway.cache.redis_session import RedisSession

SCAN_COUNT: Final = 250  # so that a batch of replies keeps the event loop for a few milliseconds only

HEADS: Final = """
local found = {}
for n, key in ipairs(KEYS) do found[n] = redis.pcall('HGET', key, 'h') end
return found
"""

Found = tuple[bytes, bytes, CachedAnswer]
"""Exact digest, partition, and the answer without its data."""


async def selected(redis: RedisSession, selection: Selection) -> AsyncIterator[Found]:
    """All that match. Other keys of a shared Redis are walked over too, as SCAN does."""
    if selection.id is not None:
        [reply] = await redis.ask(("GET", wire.place_key(selection.id)))
        place = await redis.read(reply, wire.place_key(selection.id), wire.unpack_place)
        if place is not None:
            for found in await _matching(redis, [wire.entry_key(place[1]).encode()], selection):
                yield found
        return
    cursor: bytes | None = b"0"
    while cursor is not None:
        [(position, keys)] = await redis.ask(("SCAN", cursor, "MATCH", f"{wire.ENTRIES}*", "COUNT", SCAN_COUNT))
        cursor = None if position == b"0" else position
        for found in await _matching(redis, keys, selection):
            yield found


async def newest(redis: RedisSession, selection: Selection, limit: int) -> list[Kept]:
    """At most `limit` that match, the newest first."""
    stored: dict[bytes, float] = {}  # a key may come twice in a walk
    async for exact, _, answer in selected(redis, selection):
        stored[exact] = answer.stored_at
        if len(stored) > limit + SCAN_COUNT:
            stored = dict(heapq.nlargest(limit, stored.items(), key=lambda item: item[1]))
    found = []
    for exact, _ in heapq.nlargest(limit, stored.items(), key=lambda item: item[1]):
        key, seen_key = wire.entry_key(exact), wire.observations_key(exact)
        answer, size, left, seen = await redis.ask(
            ("HMGET", key, "h", "d"), ("MEMORY", "USAGE", key), ("PTTL", key), ("LRANGE", seen_key, 0, -1)
        )
        kept = await redis.read(answer, key, wire.unpack_whole)
        if kept is not None and size is not None:
            observations = await redis.read(seen, seen_key, wire.unpack_observations) or ()
            found.append(Kept(kept[1], size, time.time() + left / 1000, observations))
    return found


async def _matching(redis: RedisSession, keys: Sequence[bytes], selection: Selection) -> list[Found]:
    if not keys:
        return []
    [replies] = await redis.ask(("EVAL", HEADS, len(keys), *keys))
    now, found = time.time(), []
    for key, reply in zip(keys, replies, strict=True):
        kept = await redis.read(reply, key, wire.unpack_answer)
        exact = wire.exact_of(key)
        if kept is not None and exact is not None and selection.matches(kept[1], now):
            found.append((exact, *kept))
    return found
