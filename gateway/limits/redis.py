"""Limits counted in Redis, by all replicas together: one script looks at every window of a request and counts all or none.

A window is a hash: from the number of a bucket to what was counted in it, by the clock of Redis alone, with the sum of all
(`total`) and the first and last bucket that may be there (`oldest`, `newest`). So a request costs the same however full
its windows are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import StoreUnavailable
from gateway.limits.base import BUCKETS, MICROS, Ask, Correction, Level, Window
from gateway.redis_link import RedisLink
from gateway.redis_script import TRIP_S, Call, Script, Trips, ping

PREFIX: Final = "turnout:limit:"

CLOCK: Final = f"""
local BUCKETS = {BUCKETS}
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
"""
# KEYS: the windows. ARGV: of each the length of its buckets in µs, its limit, and how much is wanted.
# Replies for each with its bucket, what is counted in it, µs until it is empty, and µs to wait: 0 for none, -1 for ever.
RESERVE: Final = (
    CLOCK
    + """
local windows, fits = {}, true
for n, key in ipairs(KEYS) do
  local length, limit, amount = tonumber(ARGV[3 * n - 2]), tonumber(ARGV[3 * n - 1]), tonumber(ARGV[3 * n])
  local current = (now - now % length) / length
  local oldest = current - BUCKETS
  local kept = redis.call('HMGET', key, 'oldest', 'newest', 'total')
  local from, newest, total = tonumber(kept[1] or oldest), tonumber(kept[2] or current), tonumber(kept[3] or 0)
  if newest < oldest or newest > current + BUCKETS then
    -- All of it has left the window; or it was counted before the clock was set back.
    redis.call('DEL', key)
    from, newest, total = oldest, current, 0
  elseif from < oldest then
    for bucket = from, oldest - 1 do
      local count = redis.call('HGET', key, bucket)
      if count then
        redis.call('HDEL', key, bucket)
        total = total - count
      end
    end
    from = oldest
    redis.call('HSET', key, 'oldest', from, 'total', total)
  end
  local over, wait = total + amount - limit, 0
  if over > 0 then
    fits, wait = false, -1
    for bucket = from, newest do
      over = over - (redis.call('HGET', key, bucket) or 0)
      if over <= 0 then
        wait = (bucket + BUCKETS + 1) * length - now
        break
      end
    end
  end
  windows[n] = {length = length, amount = amount, current = current, from = from, newest = newest, total = total, wait = wait}
end
local replies = {}
for n, key in ipairs(KEYS) do
  local window = windows[n]
  if fits and window.amount > 0 then
    window.newest, window.total = math.max(window.newest, window.current), window.total + window.amount
    redis.call('HINCRBY', key, window.current, window.amount)
    redis.call('HSET', key, 'oldest', window.from, 'newest', window.newest, 'total', window.total)
    redis.call('PEXPIRE', key, math.ceil((BUCKETS + 2) * window.length / 1000))
  end
  local reset = window.total == 0 and 0 or (window.newest + BUCKETS + 1) * window.length - now
  replies[n] = {window.current, window.total, reset, window.wait}
end
return replies
"""
)
# KEYS: the windows. ARGV: of each the length of its buckets in µs, the bucket that it was counted in, and the correction.
# What is given back is taken from its own bucket, if that is still there; what comes on top is counted now.
SETTLE: Final = (
    CLOCK
    + """
for n, key in ipairs(KEYS) do
  local length, bucket, by = tonumber(ARGV[3 * n - 2]), tonumber(ARGV[3 * n - 1]), tonumber(ARGV[3 * n])
  if by < 0 then
    by = math.max(by, -(redis.call('HGET', key, bucket) or 0))
  else
    bucket = (now - now % length) / length
    redis.call('HSETNX', key, 'oldest', bucket - BUCKETS)
    redis.call('HSET', key, 'newest', math.max(redis.call('HGET', key, 'newest') or 0, bucket))
    redis.call('PEXPIRE', key, math.ceil((BUCKETS + 2) * length / 1000))
  end
  if by ~= 0 then
    redis.call('HINCRBY', key, bucket, by)
    redis.call('HINCRBY', key, 'total', by)
  end
end
return redis.status_reply('OK')
"""
)


@dataclass(frozen=True, slots=True)
class Reserved:
    """What Redis said of an ask. wait_s: None if it fits or ever will not, see is_refused."""

    bucket: int
    level: Level
    is_refused: bool
    wait_s: float | None


Reply = asyncio.Future["list[Reserved] | StoreUnavailable"]


class RedisCounts:
    """The windows in the Redis of a link, which is its own to close. trip_s: after which a round trip is given up."""

    def __init__(self, link: RedisLink, reserve: str = RESERVE, settle: str = SETTLE, trip_s: float = TRIP_S) -> None:
        self._link, self._settle = link, Script(settle)
        self._trips = Trips(link, Script(reserve), "limits-trips", trip_s)

    @property
    def address(self) -> str:
        """Where they are, for people; without the password."""
        return self._link.address

    async def ping(self) -> float:
        """Seconds that a round trip takes. A write, since one that can only be read cannot count. Raises StoreUnavailable."""
        return await ping(self._link, f"{PREFIX}ping")

    def reserve(self, asks: Sequence[Ask]) -> Reply:
        """Count all that is asked for or, if one of them is refused, nothing. A StoreUnavailable if it cannot be said."""
        return self._trips.ask(_call(asks), lambda said: [_read(ask.window, one) for ask, one in zip(asks, said, strict=True)])

    async def settle(self, corrections: Sequence[Correction]) -> None:
        """Count these. Raises StoreUnavailable."""
        keys = [_key(correction.window) for correction in corrections]
        arguments = [value for one in corrections for value in (one.window.bucket_us, one.bucket, one.by)]
        [reply] = await self._settle.run(self._link, [(keys, arguments)])
        if isinstance(reply, StoreUnavailable):
            raise reply

    async def aclose(self) -> None:
        await self._trips.aclose()
        await self._link.aclose()


def _call(asks: Sequence[Ask]) -> Call:
    keys = [_key(ask.window) for ask in asks]
    return keys, [value for ask in asks for value in (ask.window.bucket_us, ask.window.limit, ask.amount)]


def _key(window: Window) -> str:
    return PREFIX + window.id


def _read(window: Window, reply: Sequence[int]) -> Reserved:
    bucket, total, reset_us, wait_us = reply
    level = Level(window, max(window.limit - total, 0), reset_us / MICROS)
    return Reserved(bucket, level, wait_us != 0, wait_us / MICROS if wait_us > 0 else None)
