"""Where replicas of the gateway tell each other of their breakers: a Redis. Without it each goes on by what it sees itself.

A breaker's state is a key that lapses: "o" and the kind of the last failure for as long as it is open, KEEP_S longer, so that
how long it still cools down is the key's time to live less KEEP_S, by the clock of the Redis alone; or "c" for a while after
it has closed. Read twice a second, written at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from gateway.errors import StoreUnavailable
from gateway.health.breaker import Breaker
from gateway.outages import Effects, Outages
from gateway.redis_link import Argument, Command, RedisLink

log = logging.getLogger("turnout.health")

PREFIX: Final = "turnout:breaker:"
READ_EVERY_S: Final = 0.5
AWAY_MAX_S: Final = 2.0  # between two tries while Redis is away
DEADLINE_S: Final = 1.0  # of a round trip that no request waits for
LEASE_WITHIN_S: Final = 0.05  # of one that a request waits for
LEASE_S: Final = 15.0  # if its holder dies; else it ends with the probe
LEASED_AGAIN_S: Final = 0.5  # after another replica was found to be probing
KEEP_S: Final = 600.0
CLOSED_S: Final = 10.0  # many times what it takes the others to read it

EFFECTS: Final = Effects(
    away="does not serve: each replica finds out by itself which models fail",
    met="met a fault: the other replicas were not told of a change",
    keys=PREFIX,
    server="one primary of Redis 7.0 or later",
)

# KEYS: a breaker's state. ARGV: what it is, for how many milliseconds. Of two cooldowns the longer wins.
OPEN: Final = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) or redis.call('GETRANGE', KEYS[1], 0, 0) ~= 'o' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
"""
# KEYS: a lease. ARGV: whose it must be.
RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""


class Board:
    """One replica's part in it. `run` it in a task that lives as long as the gateway. clock: monotonic seconds."""

    def __init__(self, link: RedisLink, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._self = secrets.token_hex(8)
        self._breakers: WeakValueDictionary[str, Breaker] = WeakValueDictionary()
        self._changed: set[str] = set()  # what Redis has not been told
        self._has_news = asyncio.Event()
        self._outages = Outages(f"the replicas' board at {link.address}", EFFECTS, log, clock)
        self._is_away = False

    @property
    def problem(self) -> str | None:
        """Why replicas do not know of each other just now, with the remedy."""
        return self._outages.problem

    def share(self, breaker: Breaker) -> None:
        """Tell others of this breaker, and it of what they find, until it is gone."""
        self._breakers[breaker.shared_as] = breaker
        breaker.changed = self._note

    async def leased(self, breakers: Sequence[Breaker]) -> bool:
        """Whether this replica may probe these now. If not, those that another one probes wait a little longer.

        A lease goes back when the probe has ended, given up or not.
        Takes LEASE_WITHIN_S at most; where Redis does not say, each replica probes.
        """
        if self._is_away:
            return True
        wanted: list[Command] = [("SET", _lease(b.shared_as), self._self, "NX", "PX", int(LEASE_S * 1000)) for b in breakers]
        try:
            async with asyncio.timeout(LEASE_WITHIN_S):
                replies = await self._link.run(*wanted)
        except (TimeoutError, StoreUnavailable):
            return True  # `run` notices by itself, and says so
        for breaker, reply in zip(breakers, replies, strict=True):
            if reply is None:
                breaker.told_open(LEASED_AGAIN_S, breaker.last_error)
        return None not in replies

    async def run(self) -> None:
        """Write what changes and read what others wrote, until cancelled; then tell the rest."""
        wait_s = READ_EVERY_S
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._has_news.wait()
                self._has_news.clear()
                is_there = await self._exchange()
                wait_s = READ_EVERY_S if is_there else min(wait_s * 2, AWAY_MAX_S)
        finally:
            if self._changed and not self._is_away:
                await self._exchange()

    async def _exchange(self) -> bool:
        """Whether Redis could be told and asked."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._write()
                await self._read()
        except TimeoutError:
            return self._missed(StoreUnavailable("timeout", f"no reply within {DEADLINE_S:g} s"))
        except StoreUnavailable as exc:
            return self._missed(exc)
        self._is_away = False
        self._outages.ends()
        return True

    def _missed(self, fault: StoreUnavailable) -> bool:
        self._is_away = True
        self._outages.begins(fault)
        return False

    async def _write(self) -> None:
        changed, self._changed = self._changed, set()
        commands = [command for name in changed if name in self._breakers for command in self._news(self._breakers[name])]
        if not commands:
            return
        try:
            await self._run(commands)
        except BaseException:  # cancelled or not, it is still to be told
            self._changed |= changed
            raise

    async def _read(self) -> None:
        names = list(self._breakers)
        if not names:
            return
        states: list[bytes | None] = (await self._run([("MGET", *(PREFIX + name for name in names))]))[0]
        told = {name: state.decode(errors="replace") for name, state in zip(names, states, strict=True) if state is not None}
        left_ms: list[int] = await self._run([("PTTL", PREFIX + name) for name in told]) if told else []
        for (name, state), ms in zip(told.items(), left_ms, strict=True):
            breaker = self._breakers.get(name)
            if breaker is None or name in self._changed or ms < 0:
                continue  # what we know and have not told is newer
            if state.startswith("o"):
                breaker.told_open(max(ms / 1000 - KEEP_S, 0.0), state[1:])
            elif state == "c":
                breaker.told_closed()

    async def _run(self, commands: Sequence[Command]) -> list[Any]:
        """The replies. Raises StoreUnavailable, also for the first of them that is an error."""
        replies = await self._link.run(*commands)
        for reply in replies:
            if isinstance(reply, StoreUnavailable):
                raise reply
        return replies

    def _note(self, breaker: Breaker) -> None:
        self._changed.add(breaker.shared_as)
        self._has_news.set()

    def _news(self, breaker: Breaker) -> list[Command]:
        key = PREFIX + breaker.shared_as
        news: list[Command] = []
        if breaker.is_closed:
            news.append(("SET", key, "c", "PX", int(CLOSED_S * 1000)))
        elif breaker.is_open:
            news.append(("EVAL", OPEN, 1, key, "o" + breaker.last_error, int((breaker.cooling_s + KEEP_S) * 1000)))
        if not breaker.is_probing:
            news.append(("EVAL", RELEASE, 1, _lease(breaker.shared_as), self._self))
        return news


def _lease(name: str) -> Argument:
    return f"{PREFIX}{name}:probe"
