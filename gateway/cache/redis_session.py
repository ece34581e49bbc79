"""Ask one Redis and read what it says: what is known of the server, and what to do about values that are none of ours."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from gateway.cache.redis_server import Server, look_at
from gateway.cache.redis_wire import Broken
from gateway.errors import StoreUnavailable
from gateway.redis_link import Command, RedisLink

log = logging.getLogger("turnout.cache")

T = TypeVar("T")
Listener = Callable[[StoreUnavailable], None]

# Faults of what is kept under one key, not of the server: what is there is as good as nothing.
OF_A_VALUE: Final = frozenset({"foreign", "dimension"})


class RedisSession:
    """One Redis, through RedisLink. Raises ValueError for a bad URL.

    listener: is told of faults that did not keep a call from its result.
    """

    def __init__(self, url: str) -> None:
        self._link = RedisLink(url)
        self._server: Server | None = None
        self._generation = 0  # of the link when it was found out
        self._looking = asyncio.Lock()
        self._said: set[str] = set()
        self.listener: Listener = lambda fault: None

    @property
    def address(self) -> str:
        return self._link.address

    @property
    def problem(self) -> str | None:
        return self._server.problem if self._server is not None else None

    async def ping(self) -> float:
        """Seconds that a round trip takes, once connected. Finds out anew what the server can do."""
        self._server = None
        await self.known()
        began = time.perf_counter()
        await self.ask(("PING",))
        return time.perf_counter() - began

    async def known(self) -> Server:
        """What the server can do. Found out at the first use, and again after its connection was lost: it may be another."""
        if self._generation != self._link.generation:
            self._server = None
        if self._server is None:
            async with self._looking:  # one of many looks, the others wait
                if self._server is None:
                    self._generation = self._link.generation
                    self._server = await look_at(self._link)
                    self._tell(self._server)
        return self._server

    async def ask(self, *commands: Command) -> list[Any]:
        """The replies in order, of one round trip. Those of OF_A_VALUE stay in their places, any other fault is raised."""
        try:
            replies = await self._link.run(*commands)
        except StoreUnavailable as exc:
            if exc.cause == "connection":
                self._server = None
            raise
        for reply in replies:
            for part in reply if isinstance(reply, list) else (reply,):
                if isinstance(part, StoreUnavailable) and part.cause not in OF_A_VALUE:
                    if part.cause == "unsupported":
                        self._server = None  # it is not what it was
                    raise part
        return replies

    async def read(self, reply: Any, key: str | bytes, unpack: Callable[[Any], T]) -> T | None:
        """The value in a reply; None for none. One that is broken, or of something else, is deleted, and is none."""
        if reply is None or (isinstance(reply, list) and reply and all(part is None for part in reply)):
            return None
        try:
            if isinstance(reply, StoreUnavailable):
                raise Broken(str(reply)) from reply
            return unpack(reply)
        except Broken as exc:
            fault = reply if isinstance(reply, StoreUnavailable) else StoreUnavailable("broken", str(exc))
            await self._discard(key, fault)
            return None

    async def written(self, key: str | bytes, replies: Sequence[Any]) -> None:
        """Look through the replies to commands that wrote to a key. What was in their way is deleted: the next ones succeed."""
        for reply in replies:
            for part in reply if isinstance(reply, list) else (reply,):
                if isinstance(part, StoreUnavailable):
                    await self._discard(key, part)
                    return

    async def tidy(self, commands: Sequence[Command | None]) -> None:
        """Run what may fail without harm; None is nothing to run."""
        wanted = [command for command in commands if command is not None]
        try:
            if wanted:
                await self.ask(*wanted)
        except StoreUnavailable as exc:
            self.listener(exc)

    async def aclose(self) -> None:
        await self._link.aclose()

    def _tell(self, server: Server) -> None:
        if server.advice is not None and self._is_new(server.advice):
            log.warning("the cache's store at %s: %s", self.address, server.advice)
        if server.problem is not None and self._is_new(server.problem):
            self.listener(StoreUnavailable("unsupported", server.problem))

    def _is_new(self, said: str) -> bool:
        is_new = said not in self._said
        self._said.add(said)
        return is_new

    async def _discard(self, key: str | bytes, fault: StoreUnavailable) -> None:
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
        self.listener(StoreUnavailable(fault.cause, f"{name} held what the cache did not write, and is deleted ({fault})"))
        await self.tidy([("DEL", key)])
