"""Look an answer up: first the same request, then the nearest question that survives verification."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from classifiers.pairs.rules import differs
from gateway.cache.base import CachedAnswer, CacheKey, Embedding, Store
from gateway.policy.model import CacheRule

NEIGHBOURS = 5
INLINE_CHARS_MAX = 500  # comparing longer texts takes a millisecond or more, which is not for the event loop


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer from the cache. similarity: cosine, 1.0 for the same request."""

    answer: CachedAnswer
    kind: Literal["exact", "semantic"]
    similarity: float


async def look_up(store: Store, key: CacheKey, rule: CacheRule, embedding: Callable[[], Embedding | None]) -> Hit | None:
    """The answer to this request, if one may be given again.

    embedding: of the key's question; called only when it is needed, None for a text too long to be embedded whole.
    """
    kept = await store.get(key)
    if kept is not None:
        return Hit(kept, "exact", 1.0)
    if rule.mode != "semantic" or key.question is None:
        return None
    vector = embedding()
    if vector is None:
        return None
    for similarity, answer in await store.nearest(key, vector, NEIGHBOURS):
        if similarity < rule.min_similarity:
            break
        if answer.question is not None and await _is_same(key.question, answer.question):
            return Hit(answer, "semantic", similarity)
    return None


async def _is_same(asked: str, kept: str) -> bool:
    if len(asked) + len(kept) <= 2 * INLINE_CHARS_MAX:
        return differs(asked, kept) is None
    return await asyncio.to_thread(differs, asked, kept) is None
