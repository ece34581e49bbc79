"""The embedded store: this process's memory, bounded by bytes, least recently used out first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gateway.cache.base import CachedAnswer, CacheKey, Embedding

OVERHEAD_BYTES = 600  # an entry's Python objects, about


@dataclass(slots=True)
class _Kept:
    key: CacheKey
    answer: CachedAnswer
    expires: float
    size_bytes: int
    row: int | None  # its place in the partition's matrix


class _Partition:
    """The embeddings that may be compared with each other, packed into one matrix without holes."""

    def __init__(self, dim: int) -> None:
        self._rows = np.zeros((1, dim), np.float32)  # most partitions are one conversation's and stay small
        self.keys: list[bytes] = []

    def add(self, exact: bytes, embedding: Embedding) -> int:
        if len(self.keys) == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[len(self.keys)] = embedding
        self.keys.append(exact)
        return len(self.keys) - 1

    def remove(self, row: int) -> bytes | None:
        """Move the last row into the hole; its key, if another row was moved."""
        last = self.keys.pop()
        if row == len(self.keys):
            return None
        self._rows[row] = self._rows[len(self.keys)]
        self.keys[row] = last
        return last

    def nearest(self, embedding: Embedding, count: int) -> list[tuple[float, bytes]]:
        similarity = self._rows[: len(self.keys)] @ embedding
        order = np.argsort(-similarity)[:count]
        return [(float(similarity[i]), self.keys[i]) for i in order]


class MemoryStore:
    """A Store in memory. clock: seconds, any origin."""

    def __init__(self, bytes_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_max, self._clock = bytes_max, clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._partitions: dict[bytes, _Partition] = {}
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: CacheKey) -> CachedAnswer | None:
        return self._fresh(key.exact)

    async def nearest(self, key: CacheKey, embedding: Embedding, count: int) -> list[tuple[float, CachedAnswer]]:
        partition = self._partitions.get(key.partition)
        while partition is not None:
            found = [(similarity, self._fresh(exact)) for similarity, exact in partition.nearest(embedding, count)]
            fresh = [(similarity, answer) for similarity, answer in found if answer is not None]
            if len(fresh) == len(found):
                return fresh
            # Those past their time are forgotten now; others may have stood behind them.
            partition = self._partitions.get(key.partition)
        return []

    async def put(self, key: CacheKey, answer: CachedAnswer, embedding: Embedding | None, ttl_s: float) -> None:
        self._forget(key.exact)
        size = OVERHEAD_BYTES + len(answer.data) + len(answer.question or "") + (0 if embedding is None else embedding.nbytes)
        if size > self._bytes_max:
            return
        row = None
        if embedding is not None:
            row = self._partitions.setdefault(key.partition, _Partition(len(embedding))).add(key.exact, embedding)
        self._kept[key.exact] = _Kept(key, answer, self._clock() + ttl_s, size, row)
        self.size_bytes += size
        while self.size_bytes > self._bytes_max:
            self._forget(next(iter(self._kept)))

    def _fresh(self, exact: bytes) -> CachedAnswer | None:
        kept = self._kept.get(exact)
        if kept is None:
            return None
        if self._clock() >= kept.expires:
            self._forget(exact)
            return None
        self._kept.move_to_end(exact)
        return kept.answer

    def _forget(self, exact: bytes) -> None:
        kept = self._kept.pop(exact, None)
        if kept is None:
            return
        self.size_bytes -= kept.size_bytes
        if kept.row is None:
            return
        partition = self._partitions[kept.key.partition]
        moved = partition.remove(kept.row)
        if moved is not None:
            self._kept[moved].row = kept.row
        if not partition.keys:
            del self._partitions[kept.key.partition]
