"""Which alerts were sent: kept in Redis, for all replicas."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Final

from gateway.budgets.told import FileTold
from gateway.errors import StoreUnavailable
from gateway.redis_link import RedisLink

PREFIX: Final = "turnout:alert:"
SENDING_S: Final = 600  # longer than an alert is tried: then its process is gone, and another may send it


class SharedTold:
    """In Redis, and in the file for when Redis is away or has lost its keys. The link is whose it was."""

    def __init__(self, link: RedisLink, file: FileTold, now: Callable[[], float] = time.time) -> None:
        self._link, self._file, self._now = link, file, now

    async def is_first(self, id_: str, until: float) -> bool:
        is_first_here = await self._file.is_first(id_, until)
        try:
            [reply] = await self._link.run(("SET", PREFIX + id_, 1, "NX", "EX", min(self._keep_s(until), SENDING_S)))
        except StoreUnavailable:  # the counts tell that Redis is away
            return is_first_here
        return is_first_here and reply is not None  # an error tells nothing: better twice than never

    async def sent(self, id_: str, until: float) -> None:
        await self._file.sent(id_, until)
        with contextlib.suppress(StoreUnavailable):
            await self._link.run(("SET", PREFIX + id_, 1, "EX", self._keep_s(until)))

    async def not_sent(self, id_: str) -> None:
        await self._file.not_sent(id_)
        with contextlib.suppress(StoreUnavailable):
            await self._link.run(("DEL", PREFIX + id_))

    def _keep_s(self, until: float) -> int:
        return max(int(until - self._now()), 1)
