"""Budgets counted in Redis, by all replicas together: one script looks at every account of a request and reserves all or none.

An account is a hash: from the number of a bucket to what was spent in it, and `held`, what is reserved; and a sorted set of the
reservations by when they lapse, by the clock of Redis alone. A family has a mark that says since when it is counted here: where
that is missing, Redis is new or has lost its keys, and what was spent before must come from the ledger first. Sums up to nine
million dollars are exact where they are compared, and all of them where they are kept.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.budgets.base import Account, Ask, Charge, Family, Reply, State
from gateway.errors import StoreUnavailable
from gateway.redis_link import RedisLink
from gateway.redis_script import Script, Trips, ping

PREFIX: Final = "turnout:budget:"
MARK_S: Final = 62 * 86_400  # longer than any calendar period; renewed by each request
SENT_S: Final = 3600  # in which a batch of charges that was sent may be sent again and counts once
TRIP_S: Final = 0.8  # a connection that leads nowhere must be given up before Redis is asked again
FILLING_S: Final = 10  # one replica fills a family, the others wait for it

# KEYS: of each account its hash, its reservations and its family's mark. ARGV: the hold, how long it lasts in ms, how long a
# mark does; of each account the oldest bucket that counts, how much is wanted, the ceiling ("" for none), how long it is kept.
# Replies whether all were reserved (-1: a family is unknown), then of each account its spent and reserved sum and its buckets.
RESERVE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local fits, replies = 1, {}
for n = 1, #KEYS / 3 do
  local book, held, mark = KEYS[3 * n - 2], KEYS[3 * n - 1], KEYS[3 * n]
  local oldest, amount = tonumber(ARGV[4 * n]), tonumber(ARGV[4 * n + 1])
  local ceiling = tonumber(ARGV[4 * n + 2])
  if redis.call('PEXPIRE', mark, ARGV[3]) == 0 then fits = -1 end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', now)) do
    redis.call('ZREM', held, member)
    redis.call('HINCRBY', book, 'held', '-' .. string.match(member, '%d+$'))
  end
  local fields, spent, reserved, buckets = redis.call('HGETALL', book), 0, 0, {}
  for i = 1, #fields, 2 do
    if fields[i] == 'held' then
      reserved = tonumber(fields[i + 1])
    elseif tonumber(fields[i]) < oldest then
      redis.call('HDEL', book, fields[i])
    else
      spent = spent + tonumber(fields[i + 1])
      buckets[#buckets + 1] = fields[i]
      buckets[#buckets + 1] = fields[i + 1]
    end
  end
  local standing = spent + reserved
  if fits == 1 and ceiling and (standing >= ceiling or standing + amount > ceiling) then fits = 0 end
  replies[n + 1] = {string.format('%.0f', reserved), buckets}
end
if fits == 1 then
  for n = 1, #KEYS / 3 do
    local amount = ARGV[4 * n + 1]
    if amount ~= '0' then
      redis.call('HINCRBY', KEYS[3 * n - 2], 'held', amount)
      redis.call('ZADD', KEYS[3 * n - 1], now + ARGV[2], ARGV[1] .. ':' .. amount)
      redis.call('PEXPIRE', KEYS[3 * n - 2], ARGV[4 * n + 3])
      redis.call('PEXPIRE', KEYS[3 * n - 1], ARGV[4 * n + 3])
    end
  end
end
replies[1] = fits
return replies
"""
# KEYS: of the batch, then of each charge as above. ARGV: how long the batch's key is kept in ms; of each charge its reservation
# as it stands in the set ("" for none), the bucket, the oldest that counts, the cost, when it was booked, and how long the
# account is kept. Replies what each account has spent then; nothing for a batch that was counted before.
# What was booked before the family was filled from the ledger is in that.
SETTLE: Final = """
if not redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[1]) then return {} end
local replies = {}
for n = 1, (#KEYS - 1) / 3 do
  local book, held, mark = KEYS[3 * n - 1], KEYS[3 * n], KEYS[3 * n + 1]
  local member, bucket, oldest = ARGV[6 * n - 4], ARGV[6 * n - 3], tonumber(ARGV[6 * n - 2])
  local cost, booked, kept = ARGV[6 * n - 1], tonumber(ARGV[6 * n]), ARGV[6 * n + 1]
  if member ~= '' and redis.call('ZREM', held, member) == 1 then
    redis.call('HINCRBY', book, 'held', '-' .. string.match(member, '%d+$'))
  end
  local since = tonumber(redis.call('GET', mark) or '0')
  if cost ~= '0' and booked >= since then
    redis.call('HINCRBY', book, bucket, cost)
    redis.call('PEXPIRE', book, kept)
  end
  local fields, spent = redis.call('HGETALL', book), 0
  for i = 1, #fields, 2 do
    if fields[i] ~= 'held' and tonumber(fields[i]) >= oldest then spent = spent + tonumber(fields[i + 1]) end
  end
  replies[n] = string.format('%.0f', spent)
end
return replies
"""
# KEYS: an account's hash. ARGV: how long it is kept in ms, then buckets and the least that is to be in each.
FILL: Final = """
for n = 2, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[n])
  if not known or tonumber(known) < tonumber(ARGV[n + 1]) then
    redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.status_reply('OK')
"""


class RedisCounts:
    """The accounts in the Redis of a link, which is its own to close."""

    def __init__(self, link: RedisLink) -> None:
        self._link, self._settle, self._fill = link, Script(SETTLE), Script(FILL)
        self._trips = Trips(link, Script(RESERVE), "budgets-trips", TRIP_S)

    @property
    def address(self) -> str:
        """Where they are, for people; without the password."""
        return self._link.address

    async def ping(self) -> float:
        """Seconds that a round trip takes. Raises StoreUnavailable."""
        return await ping(self._link, f"{PREFIX}ping")

    def reserve(
        self, hold: str, asks: Sequence[Ask], at: float, lease_s: float
    ) -> asyncio.Future[Reply | StoreUnavailable | None]:
        """As the port says; None where a family is unknown. A StoreUnavailable if it cannot be said."""
        keys = [key for ask in asks for key in _keys(ask.account)]
        arguments: list[str | int] = [hold, math.ceil(lease_s * 1000), MARK_S * 1000]
        for ask in asks:
            ceiling = "" if ask.ceiling_nusd is None else ask.ceiling_nusd
            arguments += [ask.account.frame(at).oldest, ask.amount_nusd, ceiling, _kept_ms(ask.account)]
        return self._trips.ask((keys, arguments), lambda said: _read(asks, said))

    async def settle(self, batch: str, charges: Sequence[Charge]) -> dict[Account, int]:
        """Count these, and what the accounts have spent then; nothing if this batch was counted. Raises StoreUnavailable.

        batch: its name: one that was sent and not answered is sent again under the same.
        """
        keys = [f"{PREFIX}sent:{batch}", *(key for charge in charges for key in _keys(charge.account))]
        arguments: list[str | int | float] = [SENT_S * 1000]
        for one in charges:
            member = f"{one.hold}:{one.reserved_nusd}" if one.reserved_nusd else ""
            oldest = one.account.frame(one.booked_at).oldest
            arguments += [member, one.bucket, oldest, one.nusd, f"{one.booked_at:.6f}", _kept_ms(one.account)]
        [reply] = await self._settle.run(self._link, [(keys, arguments)])
        if isinstance(reply, StoreUnavailable):
            raise reply
        return {charge.account: int(spent) for charge, spent in zip(charges, reply, strict=bool(reply))}

    async def begin_fill(self, family: Family) -> bool | None:
        """Whether this replica is to fill a family; None if it is filled. Raises StoreUnavailable."""
        [found, begun] = await self._link.run(
            ("EXISTS", _mark(family)), ("SET", f"{_mark(family)}:filling", 1, "NX", "EX", FILLING_S)
        )
        for reply in (found, begun):
            if isinstance(reply, StoreUnavailable):
                raise reply
        return None if found else begun is not None

    async def fill(self, accounts: Mapping[Account, Mapping[int, int]], since: tuple[Family, float] | None) -> None:
        """Count no less than this in each bucket. since: a family that is known from then on. Raises StoreUnavailable."""
        calls = [
            ([_keys(account)[0]], [_kept_ms(account), *(part for bucket in buckets.items() for part in bucket)])
            for account, buckets in accounts.items()
        ]
        for n in range(0, len(calls), 100):
            for reply in await self._fill.run(self._link, calls[n : n + 100]):
                if isinstance(reply, StoreUnavailable):
                    raise reply
        if since is not None:
            family, at = since
            for reply in await self._link.run(
                ("SET", _mark(family), f"{at:.6f}", "EX", MARK_S), ("DEL", f"{_mark(family)}:filling")
            ):
                if isinstance(reply, StoreUnavailable):
                    raise reply

    async def aclose(self) -> None:
        await self._trips.aclose()
        await self._link.aclose()


def _mark(family: Family) -> str:
    return f"{PREFIX}since:{family.id}"


def _keys(account: Account) -> tuple[str, str, str]:
    return f"{PREFIX}spent:{account.id}", f"{PREFIX}held:{account.id}", _mark(account.family)


def _kept_ms(account: Account) -> int:
    return (account.family.period.length_s + 2 * account.bucket_s + 86_400) * 1000


def _read(asks: Sequence[Ask], said: Any) -> Reply | None:
    if said[0] < 0:
        return None
    states = []
    for ask, (reserved, flat) in zip(asks, said[1:], strict=True):
        numbers = [int(value) for value in flat]
        buckets = dict(zip(numbers[::2], numbers[1::2], strict=True))
        states.append(State(ask.account, sum(buckets.values()), int(reserved), buckets))
    return Reply(said[0] == 1, tuple(states))
