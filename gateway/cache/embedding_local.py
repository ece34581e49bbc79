"""Embedders that run in this process: wordllama's static vectors on the event loop, MiniLM in worker threads."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from gateway.cache.base import Embedding
from gateway.cache.embedding import Embedded
from gateway.cache.embedding_probe import TEXTS, why_unfit

# 0.1 ms for prose, which is less than it takes to wake a thread. 1 ms at worst, where no word was met before.
INLINE_CHARS_MAX: Final = 1_000
# Half the machine: the other half forwards answers. One call keeps one core busy for 5 to 75 ms.
THREADS: Final = max((os.cpu_count() or 2) // 2, 1)
# Calls that wait for a thread. Beyond, the question is not looked for: asking the model is better than queueing for it.
WAITING_MAX: Final = 8
TOKEN_CHARS_MAX: Final = 8  # characters a token, twice what English needs: the embedders' own bound of what they look at


class TextEmbedder(Protocol):
    """What classifiers.text has: StaticEmbedder and MiniLMEmbedder. Safe to share between threads."""

    @property
    def name(self) -> str: ...

    @property
    def tokens_max(self) -> int: ...

    def encode_whole(self, text: str) -> tuple[Embedding, bool]:
        """The vector, of length 1 or all zero, and whether the embedder read all of the text."""
        ...


def is_in_reach(embedder: TextEmbedder, text: str) -> bool:
    """Whether the text may be one that the embedder reads whole: no work is done for those that are not."""
    return len(text) <= embedder.tokens_max * TOKEN_CHARS_MAX and bool(text.strip())


def vector_of(embedder: TextEmbedder, text: str) -> Embedded | None:
    """None for a text that was not read whole, or has nothing in it that the embedder knows."""
    vector, is_whole = embedder.encode_whole(text)
    return Embedded(vector) if is_whole and vector.any() else None


def why_local_unfit(embedder: TextEmbedder) -> str | None:
    """As `self_test`, for whoever makes the embedder and cannot wait in a loop."""
    return why_unfit([embedder.encode_whole(text)[0] for text in TEXTS])


class InlineEmbedder:
    """Over an embedder that takes a tenth of a millisecond: a short text is done by the time a thread would begin."""

    problem: Final = None

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder

    @property
    def space(self) -> str:
        return self._embedder.name

    async def embed(self, text: str) -> Embedded | None:
        if not is_in_reach(self._embedder, text):
            return None
        if len(text) <= INLINE_CHARS_MAX:
            return vector_of(self._embedder, text)
        return await asyncio.to_thread(vector_of, self._embedder, text)

    async def self_test(self) -> str | None:
        return why_local_unfit(self._embedder)

    async def aclose(self) -> None:
        """Holds nothing of its own."""


class ThreadedEmbedder:
    """Over an embedder that keeps a core busy: `threads` calls at once, `waiting_max` more in the queue, and no more."""

    problem: Final = None

    def __init__(self, embedder: TextEmbedder, threads: int = THREADS, waiting_max: int = WAITING_MAX) -> None:
        self._embedder = embedder
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embedder")
        self._under_way, self._under_way_max = 0, threads + waiting_max
        self._is_closed = False

    @property
    def space(self) -> str:
        return self._embedder.name

    async def embed(self, text: str) -> Embedded | None:
        if self._is_closed or self._under_way >= self._under_way_max or not is_in_reach(self._embedder, text):
            return None
        # A caller that leaves takes its place in the queue along; a call that has begun runs to its end.
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, vector_of, self._embedder, text)
        finally:
            self._under_way -= 1

    async def self_test(self) -> str | None:
        return await asyncio.to_thread(why_local_unfit, self._embedder)

    async def aclose(self) -> None:
        """What is in the queue is done still: a policy that is replaced has requests in flight."""
        self._is_closed = True
        self._pool.shutdown(wait=False)
