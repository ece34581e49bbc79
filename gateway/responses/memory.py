"""Responses in this process's memory, up to so many bytes; the oldest give way."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.responses.base import Kept

RECORD_BYTES: Final = 700  # of one without its contents; measured
ITEM_BYTES: Final = 350  # of one id in the index; measured


@dataclass(slots=True)
class _Record:
    kept: Kept
    output_ids: tuple[str, ...]
    expires_at: float
    size_bytes: int


class MemoryResponses:
    """bytes_max: of all that it holds, asked each time: a policy may change. clock: monotonic seconds."""

    problem: str | None = None

    def __init__(self, bytes_max: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_max, self._clock = bytes_max, clock
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()  # the oldest first
        self._holders: dict[tuple[str, str], str] = {}
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    async def put(self, owner: str, id_: str, kept: Kept, output_ids: Sequence[str], ttl_s: float) -> None:
        self._forget((owner, id_))
        self._forget_expired()
        size_bytes = RECORD_BYTES + len(kept.response) + len(kept.items) + ITEM_BYTES * len(output_ids)
        bytes_max = self._bytes_max()
        if size_bytes > bytes_max:
            return
        while self.size_bytes + size_bytes > bytes_max:
            self._forget(next(iter(self._records)))
        self._records[owner, id_] = _Record(kept, tuple(output_ids), self._clock() + ttl_s, size_bytes)
        self._holders.update(((owner, output_id), id_) for output_id in output_ids)
        self.size_bytes += size_bytes

    async def get(self, owner: str, id_: str) -> Kept | None:
        record = self._records.get((owner, id_))
        if record is None:
            return None
        if record.expires_at <= self._clock():
            self._forget((owner, id_))
            return None
        return record.kept

    async def holder(self, owner: str, output_id: str) -> str | None:
        return self._holders.get((owner, output_id))

    async def remove(self, owner: str, id_: str) -> bool:
        is_there = await self.get(owner, id_) is not None
        self._forget((owner, id_))
        return is_there

    async def aclose(self) -> None:
        """Nothing to close."""

    def _forget_expired(self) -> None:
        """Those at the front whose time is over: all of them, as long as the time to live stays the same."""
        while self._records:
            key, record = next(iter(self._records.items()))
            if record.expires_at > self._clock():
                return
            self._forget(key)

    def _forget(self, key: tuple[str, str]) -> None:
        record = self._records.pop(key, None)
        if record is None:
            return
        self.size_bytes -= record.size_bytes
        for output_id in record.output_ids:
            if self._holders.get((key[0], output_id)) == key[1]:
                del self._holders[key[0], output_id]
