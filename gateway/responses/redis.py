"""Responses in Redis, for all replicas. Never waits on purpose and knows no deadline: `shared.py` bounds it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.errors import StoreUnavailable
from gateway.redis_link import Command, RedisLink
from gateway.redis_script import ping
from gateway.responses.base import Kept

PREFIX: Final = "turnout:responses:"
TTL_MS_MAX: Final = 10 * 366 * 86_400_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


class RedisResponses:
    """A ResponseStore on a link, which it closes. The server forgets what is over its time."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self.address = link.address

    async def ping(self) -> float:
        """Seconds that a round trip takes. Raises StoreUnavailable."""
        return await ping(self._link, f"{PREFIX}ping")

    async def put(self, owner: str, id_: str, kept: Kept, output_ids: Sequence[str], ttl_s: float) -> None:
        ms = max(min(int(ttl_s * 1000), TTL_MS_MAX), 1)
        commands: list[Command] = [("SET", _key("response", owner, id_), _encode(kept), "PX", ms)]
        commands += [("SET", _key("item", owner, output_id), id_, "PX", ms) for output_id in output_ids]
        await self._ask(*commands)

    async def get(self, owner: str, id_: str) -> Kept | None:
        key = _key("response", owner, id_)
        [reply] = await self._ask(("GET", key))
        if reply is None:
            return None
        try:
            return _decode(reply)
        except msgspec.DecodeError as exc:
            raise StoreUnavailable("broken", f"{key} holds something else than a Response: {exc}") from exc

    async def holder(self, owner: str, output_id: str) -> str | None:
        [reply] = await self._ask(("GET", _key("item", owner, output_id)))
        return None if reply is None else bytes(reply).decode("utf-8", "replace")

    async def remove(self, owner: str, id_: str) -> bool:
        [count] = await self._ask(("DEL", _key("response", owner, id_)))
        return bool(count)

    async def aclose(self) -> None:
        await self._link.aclose()

    async def _ask(self, *commands: Command) -> list[Any]:
        """The replies. Raises StoreUnavailable for the first that is an error."""
        replies = await self._link.run(*commands)
        fault = next((reply for reply in replies if isinstance(reply, StoreUnavailable)), None)
        if fault is not None:
            raise fault
        return replies


def _key(kind: str, owner: str, id_: str) -> str:
    """Nobody can choose an id that makes the key of somebody else's."""
    digest = hashlib.sha256(f"{len(owner)}:{owner}:{id_}".encode("utf-8", "surrogateescape")).hexdigest()
    return f"{PREFIX}{kind}:{digest}"
